"""Sound is prepared as transformers' own feature extractors prepare it, and YAMNet's filters are those of its weights."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import transformers
from safetensors.numpy import load_file

from luthier.core.storage import write_json
from luthier.models.audio_processor import AudioProcessor
from luthier.models.audio_settings import AudioSettings
from luthier.models.mel import YAMNET, cosine_coefficients, hann, log_mel, mel_filters
from luthier.testing.folders import AUDIO_FAMILIES, tiny_audio_model

RATE = 16_000


def sound(seconds: float, *, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Two gliding tones in noise."""
    generator = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    tones = 0.3 * np.sin(2 * np.pi * (300 + 900 * time) * time) + 0.1 * np.sin(2 * np.pi * 2_500 * time)
    return (tones + generator.normal(0, 0.01, len(time))).astype(np.float32)


def load(folder: Path, config: dict[str, object], network: dict[str, object]) -> AudioProcessor:
    folder.mkdir(exist_ok=True)
    write_json(folder / "preprocessor_config.json", config)
    write_json(folder / "config.json", network)
    return AudioProcessor.load(folder)


@pytest.mark.parametrize("seconds", [0.07, 1.3, 29.99])
@pytest.mark.parametrize("bands", [80, 128])
def test_whispers_spectrogram_is_that_of_its_extractor(seconds: float, bands: int, tmp_path: Path) -> None:
    extractor = transformers.WhisperFeatureExtractor(feature_size=bands)
    mine = load(tmp_path, extractor.to_dict(), {"model_type": "whisper"})
    samples = sound(seconds)
    expected = extractor(samples, sampling_rate=RATE, return_tensors="np").input_features[0]
    found = mine.prepare(samples)
    assert found.shape == expected.shape == (bands, 3_000)
    np.testing.assert_allclose(found, expected, atol=1e-4)  # the extractor computes in float32
    assert mine.audio_settings.values(len(samples)) == 1_500


@pytest.mark.filterwarnings("ignore:At least one mel filter")  # AST's own lowest bands hold no frequency
@pytest.mark.parametrize("seconds", [0.3, 10.0, 10.2])
@pytest.mark.parametrize("normalises", [True, False])
def test_asts_spectrogram_is_that_of_its_extractor(seconds: float, normalises: bool, tmp_path: Path) -> None:
    extractor = transformers.ASTFeatureExtractor(do_normalize=normalises)
    mine = load(tmp_path, extractor.to_dict(), {"model_type": "audio-spectrogram-transformer"})
    samples = sound(seconds)
    expected = extractor(samples, sampling_rate=RATE, return_tensors="np").input_values[0]
    found = mine.prepare(samples[: mine.audio_settings.window])
    assert found.shape == expected.shape == (1_024, 128)
    np.testing.assert_allclose(found, expected, atol=2e-4)


@pytest.mark.parametrize("normalises", [True, False])
@pytest.mark.parametrize("masked", [True, False])
def test_samples_are_normalised_as_wav2vec2_does(normalises: bool, masked: bool, tmp_path: Path) -> None:
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=normalises, return_attention_mask=masked)
    mine = load(tmp_path, extractor.to_dict(), {"model_type": "wav2vec2"})
    samples = 0.2 + sound(0.8)
    expected = extractor(samples, sampling_rate=RATE, return_tensors="np").input_values[0]
    found = mine.prepare(samples)
    np.testing.assert_allclose(found[: len(samples)], expected, atol=1e-6)
    assert not found[len(samples) :].any()
    assert mine.is_masked == masked


@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")  # WavLM calls torch so
@pytest.mark.parametrize("family", sorted(AUDIO_FAMILIES))
def test_the_blocks_see_as_many_values_as_is_said(family: str, tmp_path: Path) -> None:
    import torch

    from luthier.models.load import load_backbone
    from luthier.models.settings import ModelSettings
    from luthier.models.source import resolve_model
    from luthier.tasks.audio_inputs import AudioInputs

    folder = tiny_audio_model(tmp_path / "model", family=family)
    processor = AudioProcessor.load(folder).for_seconds(0.5)
    files = []
    for number, seconds in enumerate((0.1, 0.37, 0.5)):
        soundfile.write(path := tmp_path / f"{number}.wav", sound(seconds, rate=8_000), 8_000)
        files.append(path)
    inputs = AudioInputs.build(files, processor)
    backbone = load_backbone(resolve_model(ModelSettings(name=str(folder)), modality="audio"))
    batch = {name: torch.from_numpy(array) for name, array in inputs.batch(np.arange(len(files))).items()}
    with torch.no_grad():
        state = backbone(batch)
    seen = state.mask.sum(1).tolist() if state.mask is not None else [state.hidden.shape[1]] * len(files)
    assert inputs.lengths.tolist() == seen
    assert torch.isfinite(backbone.pool(state)).all()


def test_cepstral_coefficients_are_the_orthonormal_cosine_transform() -> None:
    from scipy.fft import dct

    bands = np.random.default_rng(0).normal(size=(7, 40))
    np.testing.assert_allclose(cosine_coefficients(bands, 13), dct(bands, norm="ortho")[:, :13], atol=1e-12)


def test_frames_are_computed_alike_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = sound(2.0)
    whole = log_mel(samples, YAMNET)
    monkeypatch.setattr("luthier.models.mel.FRAMES_AT_ONCE", 7)
    np.testing.assert_array_equal(log_mel(samples, YAMNET), whole)


def test_own_settings_survive_the_model_folder(tmp_path: Path) -> None:
    settings = AudioSettings(mel=YAMNET, samples=15_600, is_own_length=True, longest=0.975, convolutions=((3, 2),))
    processor = AudioProcessor(settings)
    processor.save(tmp_path)
    again = AudioProcessor.load(tmp_path)
    assert again.audio_settings == settings
    assert again.fingerprint() == processor.fingerprint()


@pytest.mark.shared_data
def test_yamnets_front_end_is_the_one_its_weights_bring(shared: Path) -> None:
    weights = load_file(shared / "weights" / "yamnet_audioset" / "model.safetensors")
    np.testing.assert_allclose(mel_filters(YAMNET).T, weights["frontend.mel"], atol=4e-3)  # kept in 8 bits
    np.testing.assert_allclose(hann(YAMNET), weights["frontend.window"], atol=1e-6)
