"""Files of sound: headers judged before anything is decoded, samples mixed down and resampled."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from luthier.core import sound
from luthier.core.sound import inspect_header, is_sound_file, of_length, read_header, read_mono, resample, resampled_length
from luthier.errors import DataError, MissingExtraError


def write(path: Path, samples: np.ndarray, rate: int = 8_000, **options: str) -> Path:
    soundfile.write(path, samples, rate, **options)
    return path


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "aiff", "mp3"])
def test_formats_are_known_by_name_and_can_be_decoded(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"a.{suffix}", np.sin(np.arange(8_000) / 3).astype(np.float32) / 2)
    assert is_sound_file(Path(path.name.upper()))
    header = read_header(path)
    assert (header.rate, header.channels) == (8_000, 1)
    assert abs(header.seconds - 1) < 0.1
    assert 0.3 < np.abs(read_mono(path)).max() < 0.7


def test_channels_are_mixed_down_to_their_mean(tmp_path: Path) -> None:
    left, right = np.full(100, 0.5, dtype=np.float32), np.full(100, -0.25, dtype=np.float32)
    path = write(tmp_path / "stereo.wav", np.stack([left, right], axis=1), subtype="FLOAT")
    np.testing.assert_allclose(read_mono(path), 0.125)
    assert len(read_mono(path, start=90, frames=50)) == 10


def test_faults_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = write(tmp_path / "good.wav", np.zeros(100))
    (tmp_path / "text.wav").write_text("not a sound")
    (tmp_path / "nothing.wav").touch()
    write(tmp_path / "header.wav", np.zeros(0))
    found = {
        name: inspect_header(tmp_path / name)[1] for name in ("good.wav", "text.wav", "nothing.wav", "header.wav", "no.wav")
    }
    assert found == {
        "good.wav": "",
        "text.wav": "unreadable",
        "nothing.wav": "empty",
        "header.wav": "empty",
        "no.wav": "missing",
    }
    monkeypatch.setattr(sound, "MAX_SECONDS", 0.001)
    assert inspect_header(good)[1] == "long"
    monkeypatch.setattr(sound, "MAX_FILE_BYTES", 10)
    assert inspect_header(good)[1] == "huge"
    monkeypatch.undo()
    monkeypatch.setattr(sound, "RATES", (9_000, 10_000))
    assert inspect_header(good)[1] == "odd"
    with pytest.raises(DataError, match="sample rate outside of 1,000 to 384,000 Hz") as caught:
        read_header(good)
    assert "luthier check" in caught.value.remedy


def test_what_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", np.random.default_rng(0).normal(size=20_000) / 5)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 3] + bytes(len(whole) // 3))
    with pytest.raises(DataError, match=r"a\.flac cannot be decoded") as caught:
        read_mono(path)
    assert "replace the file" in caught.value.remedy


@pytest.mark.parametrize("name", ["soundfile", "soxr"])
def test_a_missing_library_names_the_extra(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.wav", np.zeros(100))
    monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(MissingExtraError, match=r"extra 'audio'") as caught:
        resample(read_mono(path), 8_000, 16_000)
    assert caught.value.remedy == "pip install 'luthier[audio]'"


@given(frames=st.integers(1, 3_000), rate=st.sampled_from([8_000, 11_025, 44_100, 48_000]))
def test_resampled_sound_is_as_long_as_before(frames: int, rate: int) -> None:
    samples = resample(np.zeros(frames, dtype=np.float32), rate, 16_000)
    assert len(samples) == resampled_length(frames, rate, 16_000)
    assert abs(len(samples) / 16_000 - frames / rate) <= 1 / 16_000


def test_a_tone_stays_the_same_tone_at_another_rate() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(22_050) / 22_050).astype(np.float32)
    made = resample(tone, 22_050, 16_000)
    expected = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(made[500:-500], expected[500:-500], atol=1e-3)


def test_lengths_are_cut_or_filled_up_with_silence() -> None:
    assert of_length(np.ones(3), 5).tolist() == [1, 1, 1, 0, 0]
    assert of_length(np.ones(3), 2).tolist() == [1, 1]
