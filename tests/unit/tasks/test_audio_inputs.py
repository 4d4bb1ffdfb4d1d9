"""Windows of recordings: which there are, what they hold, and what is made of their answers."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from luthier.errors import DataError, ModelError
from luthier.models.audio_processor import AudioProcessor, choose_max_seconds
from luthier.models.audio_settings import AudioSettings
from luthier.models.mel import YAMNET
from luthier.tasks import TASKS
from luthier.tasks.audio_inputs import AudioInputs
from luthier.tasks.protocol import Sample, TaskState
from luthier.tasks.row_task import RowTask

RATE = 8_000
SAMPLES = AudioSettings(rate=RATE, longest=0.5)


def write(path: Path, seconds: float, *, rate: int = RATE) -> Path:
    samples = np.linspace(-0.9, 0.9, round(seconds * rate)).astype(np.float32)
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


def test_short_files_are_one_unit_and_long_ones_several(tmp_path: Path) -> None:
    paths = [write(tmp_path / "short.wav", 0.2), write(tmp_path / "long.wav", 1.2)]
    inputs = AudioInputs.build(paths, AudioProcessor(SAMPLES))
    assert inputs.row_of.tolist() == [0, 1, 1, 1]
    assert inputs.lengths.tolist() == [1_600, 4_000, 4_000, 4_000]
    starts = [clip.start for clip in inputs.clips]
    assert starts == [0, 0, 2_800, 5_600]
    batch = inputs.batch(np.arange(4))
    assert batch["input_values"].shape == (4, 4_000)
    assert batch["attention_mask"].sum(1).tolist() == [1_600, 4_000, 4_000, 4_000]
    assert not batch["input_values"][0, 1_600:].any()
    whole = soundfile.read(paths[1], dtype="float32")[0]
    np.testing.assert_array_equal(batch["input_values"][2], whole[2_800:6_800])


@given(frames=st.integers(1, 100_000), rate=st.sampled_from([8_000, 11_025, 44_100]), longest=st.floats(0.1, 3.0))
def test_windows_cover_the_file_and_none_is_too_long(frames: int, rate: int, longest: float) -> None:
    from luthier.core.sound import SoundHeader

    processor = AudioProcessor(AudioSettings(rate=16_000, longest=longest))
    processor.header = lambda path: SoundHeader(frames=frames, rate=rate, channels=1)  # type: ignore[method-assign]
    clips = processor.clips(Path("a.wav"))
    heard = np.zeros(frames, dtype=bool)
    for clip in clips:
        assert clip.start >= 0 and clip.start + clip.frames <= frames
        assert 1 <= processor.samples_of(clip) <= processor.audio_settings.window
        heard[clip.start : clip.start + clip.frames] = True
    assert heard.all()
    assert len({clip.frames for clip in clips}) == 1


def test_equal_files_have_equal_keys_and_windows_of_one_file_do_not(tmp_path: Path) -> None:
    paths = [write(tmp_path / "a.wav", 1.0), write(tmp_path / "b.wav", 1.0), write(tmp_path / "c.wav", 0.9)]
    keys = AudioInputs.build(paths, AudioProcessor(SAMPLES)).keys.tolist()
    assert keys[:2] == keys[2:4]
    assert len(set(keys)) == 4


def test_units_of_one_length_come_without_a_mask(tmp_path: Path) -> None:
    settings = AudioSettings(mel=YAMNET, samples=15_600, is_own_length=True, longest=0.975, seen=96)
    paths = [write(tmp_path / "short.wav", 0.1), write(tmp_path / "long.wav", 1.5)]
    inputs = AudioInputs.build(paths, AudioProcessor(settings))
    batch, light = inputs.batch(np.arange(3)), inputs.light_batch(np.arange(3))
    assert {name: array.shape for name, array in batch.items()} == {"input_values": (3, 96, 64)}
    assert light["input_values"].shape == (3, 96, 64)
    assert not any(light["input_values"].strides)
    assert inputs.lengths.tolist() == [96, 96, 96]


def test_a_moment_of_sound_is_filled_up_to_what_the_convolutions_need(tmp_path: Path) -> None:
    settings = AudioSettings(rate=RATE, convolutions=((400, 320), (3, 2)))
    inputs = AudioInputs.build([write(tmp_path / "a.wav", 0.001)], AudioProcessor(settings))
    assert inputs.samples.tolist() == [400 + 2 * 320]
    assert inputs.lengths.tolist() == [1]
    assert inputs.batch(np.array([0]))["attention_mask"].sum() == 1_040


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.wav is not there"):
        AudioInputs.build([tmp_path / "absent.wav"], AudioProcessor(SAMPLES))


def test_the_longest_window_fits_the_data_within_limits() -> None:
    seconds = np.array([0.4, 1.234, 0.9])
    free, own = AudioProcessor(SAMPLES), AudioProcessor(AudioSettings(samples=16_000, is_own_length=True))
    assert choose_max_seconds(np.array([0.2, 0.333]), free).value == 0.34
    capped = choose_max_seconds(seconds, free)
    assert capped.value == 0.5
    assert "66.7% of the training clips are longer" in capped.reason
    assert choose_max_seconds(seconds, free, asked=0.7).value == 0.7
    given = choose_max_seconds(seconds, own, asked=0.7)
    assert given.value == 1.0
    assert "asked for 0.7, but the model hears 1 seconds" in given.reason
    assert free.for_seconds(0.25).seconds == 0.25
    assert own.for_seconds(0.25).seconds == 1.0


@pytest.mark.parametrize("settings", [AudioSettings(rate=10), AudioSettings(longest=1e6), AudioSettings(scale=0.0)])
def test_settings_that_cannot_be_are_refused(settings: AudioSettings) -> None:
    with pytest.raises(ModelError, match="cannot be done") as caught:
        AudioProcessor(settings)
    assert "preprocessor_config.json" in caught.value.remedy


def test_a_damaged_processor_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "processor.json").write_text('{"kind": "audio", "audio": {"rate": "fast"}}')
    with pytest.raises(ModelError, match=r"processor\.json is damaged"):
        AudioProcessor.load(tmp_path)
    with pytest.raises(ModelError, match=r"has no preprocessor_config\.json"):
        AudioProcessor.load(tmp_path / "other")


def task() -> RowTask:
    found = TASKS["audio-classification"]
    assert isinstance(found, RowTask)
    return found


def test_what_is_decoded_of_windows_is_averaged_row_by_row() -> None:
    decoded = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.2, 0.8]], dtype=np.float32)
    merged = task().merge(decoded, np.array([4, 2, 2, 7]))
    np.testing.assert_allclose(merged, [[1, 0], [0.25, 0.75], [0.2, 0.8]], rtol=1e-6)
    assert task().merge(decoded, np.arange(4)) is decoded


def test_baselines_see_rows_once_whatever_the_number_of_windows(tmp_path: Path) -> None:
    state = TaskState(task="audio-classification", labels=("a", "b"))
    paths = [str(write(tmp_path / f"{name}.wav", 0.2)) for name in "abc"]
    features = np.array([[1.0, 0.1], [1.0, 0.2], [0.1, 1.0], [1.0, 0.0]], dtype=np.float32)
    row_of = np.array([0, 0, 1, 2])
    sample = Sample(table=None, roles={}, rows=paths, targets=np.array([0, 0, 1, 0]), features=features, row_of=row_of)
    found = {baseline.name: baseline.fit_predict(sample, sample, state, 0) for baseline in task().baselines}
    names = ("majority", "classic", "pretrained", "persistence")
    assert {name: probs.shape for name, probs in found.items()} == dict.fromkeys(names, (3, 2))
    np.testing.assert_allclose(found["majority"][0], [2 / 3, 1 / 3])
    assert found["pretrained"].argmax(1).tolist() == [0, 1, 0]
