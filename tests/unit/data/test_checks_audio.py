"""What is found wrong with recordings, by row; and folders and manifests of sound as sources."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from luthier.core import sound
from luthier.data.checks.audio import check_audio
from luthier.data.dataset import Dataset
from luthier.data.findings import Finding
from luthier.data.infer import infer_schema
from luthier.data.load import load_source
from luthier.data.schema import Kind
from luthier.data.settings import DataSettings
from luthier.errors import DataError, MissingExtraError, SpecError
from luthier.testing.tables import make_dataset, write_sounds

RATE = 8_000
Add = Callable[[str, np.ndarray], str]


def tone(seconds: float = 0.2, *, level: float = 0.3) -> np.ndarray:
    return level * np.sin(np.arange(int(RATE * seconds)) / 5)


@pytest.fixture
def add(tmp_path: Path) -> Add:
    def write(name: str, samples: np.ndarray, rate: int = RATE) -> str:
        soundfile.write(tmp_path / name, samples, rate)
        return str(tmp_path / name)

    return write


def dataset_of(paths: list[str | None], sizes: dict[str, int] | None = None) -> Dataset:
    columns = {"clip": paths, "label": ["a"] * len(paths)}
    return make_dataset(columns, roles={"audio": "clip", "target": "label"}, sizes=sizes)


def by_state(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.evidence["state"]: finding for finding in findings if "state" in finding.evidence}


def test_unusable_recordings_are_named_by_row_and_left_out(add: Add, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "empty.wav").touch()
    broken = Path(add("broken.flac", np.random.default_rng(0).normal(size=40_000) / 5))
    broken.write_bytes(broken.read_bytes()[:9_000])
    monkeypatch.setattr(sound, "MAX_SECONDS", 8)
    paths = [
        add("good.wav", tone()),
        str(tmp_path / "absent.wav"),
        str(tmp_path / "text.wav"),
        str(tmp_path / "empty.wav"),
        str(broken),
        add("silent.wav", tone(level=1e-5)),
        add("long.wav", tone(9.0)),
        None,
    ]
    found = by_state(check_audio(dataset_of(paths)))
    rows = {state: finding.rows.tolist() for state, finding in found.items()}
    assert rows == {"missing": [1], "unreadable": [2], "empty": [3], "damaged": [4], "silent": [5], "long": [6]}
    assert all(finding.by_default and finding.action and finding.severity == "warning" for finding in found.values())
    assert "Row: toy.csv:6" in found["silent"].problem


def test_the_test_part_is_never_changed(add: Add, tmp_path: Path) -> None:
    paths = [add("a.wav", tone()), add("b.wav", tone()), str(tmp_path / "absent.wav")]
    found = by_state(check_audio(dataset_of(paths, {"train": 1, "test": 2})))["missing"]
    assert found.part == "test"
    assert found.action is None
    assert found.evidence["excluded_from_scoring"] is True


def test_clipped_and_very_short_recordings_are_told(add: Add) -> None:
    paths = [add("ok.wav", tone()), add("loud.wav", np.clip(tone(level=3.0), -1, 1)), add("short.wav", tone(0.02))]
    found = by_state(check_audio(dataset_of(paths)))
    assert {state: finding.rows.tolist() for state, finding in found.items()} == {"clipped": [1], "short": [2]}
    assert all(finding.severity == "info" and finding.action is None for finding in found.values())


def test_one_full_scale_peak_is_not_clipping(add: Add) -> None:
    samples = tone()
    samples[100] = 1.0
    assert by_state(check_audio(dataset_of([add("a.wav", samples)]))) == {}


def test_other_rates_and_channels_are_told(add: Add) -> None:
    paths = [
        add("a.wav", tone()),
        add("b.wav", tone()),
        add("c.wav", tone(), rate=16_000),
        add("d.wav", np.stack([tone()] * 2, 1)),
    ]
    rates, channels = check_audio(dataset_of(paths))
    assert rates.evidence == {"rates": {"8000": 3, "16000": 1}}
    assert rates.rows.tolist() == [2]
    assert "3 of 8,000 Hz, 1 of 16,000 Hz; all are resampled" in rates.problem
    assert channels.evidence == {"channels": {"1": 3, "2": 1}}
    assert "mixed down" in channels.problem


def test_stereo_throughout_is_told_and_one_rate_is_not(add: Add) -> None:
    (found,) = check_audio(dataset_of([add(f"{name}.wav", np.stack([tone()] * 2, 1)) for name in "ab"]))
    assert "2 of 2 channels; they are mixed down to one" in found.problem


def test_nothing_usable_is_an_error(tmp_path: Path) -> None:
    (found,) = check_audio(dataset_of([str(tmp_path / "a.wav"), str(tmp_path / "b.wav")]))
    assert found.severity == "error"
    assert "All 2 recordings of toy (all) are not there" in found.problem
    assert "--audio" in found.remedy


def test_without_soundfile_the_extra_is_named(add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = dataset_of([add("a.wav", tone())])
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    with pytest.raises(MissingExtraError, match="extra 'audio'"):
        check_audio(dataset)


def make_folder(folder: Path) -> Path:
    for label in ("drum", "flute"):
        write_sounds(folder / label, 3, seed=len(label))
    return folder


def test_a_folder_by_class_is_a_table_of_paths_and_labels(tmp_path: Path) -> None:
    make_folder(tmp_path / "music")
    (tmp_path / "music" / "drum" / "notes.txt").write_text("x")
    source = load_source([tmp_path / "music"], DataSettings())
    assert source.kind == "audio-folder"
    assert source.table.column_names == ["example_id", "audio", "label"]
    assert source.table["label"].to_pylist() == ["drum"] * 3 + ["flute"] * 3
    assert source.table["example_id"][0].as_py() == "drum/sound-0.wav"
    assert all(Path(path).is_file() for path in source.table["audio"].to_pylist())
    assert "1 file in the folders of recordings is not used: drum/notes.txt" in source.findings[0].problem


def test_sub_folders_named_like_parts_are_parts(tmp_path: Path) -> None:
    for part in ("train", "test"):
        make_folder(tmp_path / "music" / part)
    source = load_source([tmp_path / "music"], DataSettings())
    assert {part: len(rows) for part, rows in source.parts.items()} == {"train": 6, "test": 6}


def test_recordings_without_class_folders_are_refused(tmp_path: Path) -> None:
    write_sounds(tmp_path, 2, seed=0)
    with pytest.raises(DataError, match=r"The recordings in .* are not in class folders") as caught:
        load_source([tmp_path], DataSettings())
    assert "a table with a column of paths" in caught.value.remedy


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_paths_of_a_manifest_are_meant_from_its_folder(suffix: str, tmp_path: Path) -> None:
    write_sounds(tmp_path / "wavs", 4, seed=0)
    lines = {
        "csv": ["file,word", *(f"wavs/sound-{place}.wav,{'ab'[place % 2]}" for place in range(4))],
        "jsonl": [f'{{"file": "wavs/sound-{place}.wav", "word": "{"ab"[place % 2]}"}}' for place in range(4)],
    }[suffix]
    (tmp_path / f"list.{suffix}").write_text("\n".join(lines))
    source = load_source([tmp_path / f"list.{suffix}"], DataSettings())
    assert source.table["file"][1].as_py() == str(tmp_path / "wavs" / "sound-1.wav")
    schema, _ = infer_schema(source.table, DataSettings())
    assert schema.roles == {"audio": "file", "target": "word"}
    assert schema.kind_of("file") is Kind.AUDIO


def test_a_text_beside_a_recording_is_its_transcript(tmp_path: Path) -> None:
    write_sounds(tmp_path, 3, seed=0)
    texts = ["in being comparatively modern", "has never been surpassed", "the earliest book printed with types"]
    rows = [f"sound-{place}.wav,{text},22050" for place, text in enumerate(texts)]
    (tmp_path / "list.csv").write_text("\n".join(["file,text,rate", *rows]))
    source = load_source([tmp_path / "list.csv"], DataSettings())
    schema, decisions = infer_schema(source.table, DataSettings())
    assert (schema.roles["audio"], schema.roles["target"]) == ("file", "text")
    reason = next(decision.reason for decision in decisions if decision.name == "target")
    assert "what is said in a recording" in reason


def test_the_flag_names_the_column_and_wrong_names_are_corrected(tmp_path: Path) -> None:
    write_sounds(tmp_path, 3, seed=0)
    (tmp_path / "list.csv").write_text("\n".join(["clip,word", *(f"sound-{place}.wav,{'aba'[place]}" for place in range(3))]))
    source = load_source([tmp_path / "list.csv"], DataSettings(audio="clip"))
    assert infer_schema(source.table, DataSettings(audio="clip", target="word"))[0].roles["audio"] == "clip"
    with pytest.raises(SpecError, match=r"--audio names 'clop'.*Did you mean 'clip'"):
        infer_schema(source.table, DataSettings(audio="clop"))
