"""From a manifest with transcripts to a model that writes down what it hears."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

import luthier
from luthier.cli.main import run as command
from luthier.pipeline import Run
from luthier.testing.folders import tiny_audio_model

EXAMPLES = Path(__file__).parents[2] / "examples"
SETTINGS = {"threads": 1, "precision": "float32", "bootstrap_samples": 200}
TONES = {"a": 600.0, "b": 1_100.0, "c": 2_000.0, " ": 250.0}
WORDS = ("a", "b", "ca")
RATE = 8_000


def speak(text: str, generator: np.random.Generator) -> np.ndarray:
    """A tone for each letter, also for the space between words, with silence after it."""
    parts = []
    for letter in text:
        time = np.arange(int(RATE * generator.uniform(0.06, 0.09))) / RATE
        tone = 0.3 * np.sin(2 * np.pi * TONES[letter] * generator.uniform(0.95, 1.05) * time)
        parts += [tone, np.zeros(int(RATE * 0.04))]
    samples = np.concatenate(parts)
    return samples + generator.normal(0, 0.005, len(samples))


def write_manifest(folder: Path, number: int, *, seed: int) -> Path:
    """`list.csv` and its files; transcripts of one to three words in both cases."""
    generator = np.random.default_rng(seed)
    (folder / "clips").mkdir(parents=True)
    rows = ["file,transcript"]
    for place in range(number):
        text = " ".join(generator.choice(WORDS, generator.integers(1, 5)))
        soundfile.write(folder / "clips" / f"{place}.flac", speak(text, generator), RATE)
        rows.append(f"clips/{place}.flac,{text.capitalize()}")
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    return folder / "list.csv"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("speech")
    sizes = {"train": 96, "validation": 24, "test": 30}
    return {part: str(write_manifest(folder / part, size, seed=place)) for place, (part, size) in enumerate(sizes.items())}


@pytest.fixture(scope="module")
def run(data: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "speech"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        from sound_networks.frames import frame_backbone

        settings = {**SETTINGS, "task": "speech-recognition", "method": "full", "num_epochs": 30, "learning_rate": 3e-3}
        settings |= {"head_learning_rate": 3e-3, "batch_size": 8, "warmup_fraction": 0.1, "patience": 12}
        return luthier.tune([], backbone=frame_backbone(tiny=True), out=str(out), **data, **settings)


def losses(folder: Path) -> list[float]:
    events = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    return [event["loss"] for event in events if event["event"] == "step"]


def test_it_learns_to_write_what_it_hears(run: Run) -> None:
    test = run.metrics.test
    assert run.metrics.task == "speech-recognition"
    assert run.metrics.primary_measure == "wer"
    assert run.metrics.directions["wer"] == "lower"
    assert set(test) == {"majority", "probe", "tuned"}
    assert test["tuned"]["wer"].high < test["majority"]["wer"].low
    assert test["tuned"]["cer"].value < 0.2
    assert set(run.metrics.absent) == {"classic", "pretrained", "scratch"}
    assert run.verdict == "keep"


def test_the_tables_of_the_run_name_texts(run: Run) -> None:
    from luthier.evaluation.predictions import read_predictions

    said = read_predictions(run.folder / "predictions.parquet")["tuned"].table
    assert said.column("target").to_pylist()[0].islower()
    wrong = [row for row in said.to_pylist() if row["target"] != row["prediction"]]
    report = (run.folder / "report.html").read_text()
    assert "word error rate" in report.lower()
    for row in wrong[:1]:
        assert row["example_id"] in report
    card = (run.model_path / "README.md").read_text()
    assert "a text in 4 characters: `abc` and spaces" in card


def test_the_model_writes_down_files_and_long_recordings(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    generator = np.random.default_rng(9)
    texts = ["a b", "ca b", " ".join(["ca", "b"] * 8)]
    for place, text in enumerate(texts):
        soundfile.write(tmp_path / f"{place}.wav", speak(text, generator), RATE)
    model = luthier.load_model(run.folder, allow=["sound_networks"])
    answers = model.predict([tmp_path / f"{place}.wav" for place in range(3)])
    assert answers[:2] == texts[:2]
    assert len(answers[2].split()) > 6
    out = tmp_path / "answers.csv"
    assert command(["predict", str(run.folder), str(tmp_path), "--out", str(out), "--allow", "sound_networks"]) == 0
    assert out.read_text().splitlines()[0] == '"audio","prediction"'


def test_losses_are_the_same_from_the_store_and_without(data: dict[str, str], tmp_path: Path) -> None:
    folder = tiny_audio_model(tmp_path / "model")
    settings = {**SETTINGS, "task": "speech-recognition", "method": "top-blocks:1", "num_epochs": 1, "store": "float32"}
    from_store = luthier.tune(data["train"], model=str(folder), out=str(tmp_path / "stored"), **settings)
    assert from_store.metrics.task == "speech-recognition"
    without = luthier.tune(data["train"], model=str(folder), out=str(tmp_path / "plain"), **{**settings, "store": "off"})
    np.testing.assert_allclose(losses(from_store.folder), losses(without.folder), rtol=1e-5)


def test_what_cannot_be_learnt_is_named_by_row(
    data: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = write_manifest(tmp_path / "some", 24, seed=3)
    lines = manifest.read_text().splitlines()
    lines[1] = lines[1].partition(",")[0] + "," + "abc cab " * 30
    manifest.write_text("\n".join(lines))
    folder = tiny_audio_model(tmp_path / "model")
    words = ["tune", "--train", str(manifest), "--validation", data["validation"], "--test", data["test"]]
    words += [
        "--model",
        str(folder),
        "--task",
        "speech-recognition",
        "--method",
        "probe",
        "--threads",
        "1",
        "--num-epochs",
        "1",
    ]
    assert command([*words, "--out", str(tmp_path / "run")]) in (0, 3)
    said = " ".join(capsys.readouterr().out.split())
    assert "1 training row cannot be learnt from" in said
    assert "more characters than their sound has frames" in said
    assert "some/list.csv:2" in said
    assert command([*words, "--out", str(tmp_path / "other"), "--class-weights", "balanced"]) == 2
    assert "--class-weights is for examples with one label each" in " ".join(capsys.readouterr().err.split())


@pytest.mark.shared_data
def test_a_manifest_of_read_speech_goes_the_whole_way(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight sentences teach nothing; but every step takes them."""
    monkeypatch.syspath_prepend(EXAMPLES)
    from sound_networks.frames import frame_backbone

    source = shared / "data" / "ljspeech_mini" / "metadata.csv"
    settings = {**SETTINGS, "method": "probe", "num_epochs": 1, "split": "50/25/25", "bootstrap_samples": 200}
    run = luthier.tune(source, backbone=frame_backbone(tiny=True), out=str(tmp_path / "run"), **settings)
    assert run.metrics.task == "speech-recognition"
    assert run.metrics.n == 2
