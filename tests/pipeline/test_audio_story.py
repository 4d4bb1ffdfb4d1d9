"""From a folder of recordings to a tuned model, by the same code as texts; and with a network of one's own."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pyarrow import csv, parquet

import luthier
from luthier.cli.main import run as command
from luthier.errors import DataError, ModelError, SpecError
from luthier.pipeline import Run
from luthier.testing.folders import tiny_audio_model, tiny_text_model

EXAMPLES = Path(__file__).parents[2] / "examples"
SETTINGS = {"num_epochs": 2, "threads": 1, "precision": "float32", "learning_rate": 1e-3, "bootstrap_samples": 200}
PITCHES = {"high": 1_500.0, "low": 400.0, "middle": 800.0}
RATE = 8_000


def make_sounds(folder: Path, number: int, *, seed: int, rate: int = RATE, seconds: float = 0.3) -> Path:
    """WAV files by class: a tone of about its pitch, in noise."""
    generator = np.random.default_rng(seed)
    for place in range(number):
        label = list(PITCHES)[place % len(PITCHES)]
        time = np.arange(int(rate * seconds * generator.uniform(0.7, 1.3))) / rate
        pitch = PITCHES[label] * generator.uniform(0.9, 1.1)
        samples = 0.3 * np.sin(2 * np.pi * pitch * time) + generator.normal(0, 0.02, len(time))
        path = folder / label / f"{place:03}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, rate)
    return folder


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train/ and test/, one sub-folder for each class."""
    folder = tmp_path_factory.mktemp("tones")
    make_sounds(folder / "train", 90, seed=0)
    make_sounds(folder / "test", 45, seed=1)
    return folder


@pytest.fixture(scope="module")
def audio_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_audio_model(tmp_path_factory.mktemp("models") / "tiny-wav2vec2")


@pytest.fixture(scope="module")
def run(sounds: Path, audio_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "tones"
    return luthier.tune(sounds, model=str(audio_model), out=str(out), method="full", **SETTINGS)


def test_recordings_become_a_model_that_beats_chance(run: Run) -> None:
    test = run.metrics.test
    assert run.metrics.task == "audio-classification"
    assert run.metrics.n == 45
    assert {"majority", "classic", "pretrained", "probe", "tuned"} == set(test)
    assert test["tuned"]["accuracy"].low > test["majority"]["accuracy"].high
    assert test["classic"]["accuracy"].value > 0.9


def test_the_longest_stretch_heard_at_once_is_a_decision_with_a_reason(run: Run) -> None:
    decisions = [json.loads(line) for line in (run.folder / "decisions.jsonl").read_text().splitlines()]
    (made,) = [decision for decision in decisions if decision["name"] == "max_seconds"]
    assert 0.3 < made["value"] < 0.5
    assert "the longest training clip fits" in made["reason"]
    assert luthier.load_spec(run.folder / "spec.yaml").model.max_seconds == made["value"]


def test_the_model_answers_for_files_of_any_rate_and_length(run: Run, tmp_path: Path) -> None:
    make_sounds(tmp_path / "same", 30, seed=7)
    make_sounds(tmp_path / "other", 12, seed=8, rate=22_050, seconds=1.5)
    model = luthier.load_model(run.folder)
    for folder in ("same", "other"):
        files = sorted((tmp_path / folder).rglob("*.wav"))
        answers = model.predict(files)
        assert np.mean([answer == file.parent.name for answer, file in zip(answers, files, strict=True)]) > 0.7
    probs = model.predict_probs(files)
    np.testing.assert_allclose(probs.sum(1), 1, atol=1e-5)


def test_predict_takes_folders_files_and_manifests_and_a_bad_file_costs_only_itself(run: Run, tmp_path: Path) -> None:
    make_sounds(tmp_path / "new", 6, seed=3)
    (tmp_path / "new" / "low" / "broken.wav").write_text("no sound")
    out = tmp_path / "answers.csv"
    assert command(["predict", str(run.folder), str(tmp_path / "new"), "--out", str(out), "--probs"]) == 0
    rows = csv.read_csv(out).to_pylist()
    assert len(rows) == 7
    (broken,) = [row for row in rows if "broken" in row["audio"]]
    assert not broken["prediction"]
    assert {"audio", "prediction", "confidence", "prob_high", "prob_low", "prob_middle"} == set(broken)

    (tmp_path / "new" / "list.jsonl").write_text('{"clip": "low/001.wav"}\n{"clip": "low/absent.wav"}\n')
    out = tmp_path / "answers.jsonl"
    source = tmp_path / "new" / "list.jsonl"
    assert command(["predict", str(run.folder), str(source), "--out", str(out)]) == 0
    first, second = (json.loads(line) for line in out.read_text().splitlines())
    assert first["prediction"] in PITCHES
    assert second["prediction"] is None
    with pytest.raises(DataError, match=r"absent\.wav: there is no such file"):
        luthier.load_model(run.folder).predict([tmp_path / "absent.wav"])


def test_the_report_shows_spectrograms_and_the_card_says_what_it_takes(run: Run) -> None:
    report = (run.folder / "report.html").read_text()
    assert "audio classification" in report.lower()
    if run.metrics.test["tuned"]["accuracy"].value < 1:
        assert "data:image/png;base64," in report
    card = (run.model_path / "README.md").read_text()
    assert "It takes recordings and answers with one of 3 labels" in card
    assert 'model.predict(["recording.wav"])' in card
    assert "recordings/ --out answers.csv" in card


def test_long_recordings_are_heard_in_windows_and_answered_once(sounds: Path, audio_model: Path, tmp_path: Path) -> None:
    run = luthier.tune(
        sounds, model=str(audio_model), out=str(tmp_path / "run"), method="top-blocks:1", max_seconds=0.1, **SETTINGS
    )
    split = parquet.read_table(run.folder / "split.parquet")
    assert split.num_rows == 135
    assert run.metrics.n == 45
    assert run.metrics.test["tuned"]["accuracy"].low > run.metrics.test["majority"]["accuracy"].high


@pytest.mark.parametrize("family", ["wav2vec2-base", "hubert", "whisper", "ast"])
def test_every_family_goes_the_same_way(family: str, sounds: Path, tmp_path: Path) -> None:
    folder = tiny_audio_model(tmp_path / family, family=family)
    settings = {**SETTINGS, "num_epochs": 1, "split": "60/20/20"}
    run = luthier.tune(sounds / "test", model=str(folder), out=str(tmp_path / "run"), method="top-blocks:1", **settings)
    assert run.metrics.n == 9
    files = sorted((sounds / "test").rglob("*.wav"))[:5]
    assert set(luthier.load_model(run.folder).predict(files)) <= set(PITCHES)


def test_recordings_are_answered_with_any_number_of_labels(sounds: Path, audio_model: Path, tmp_path: Path) -> None:
    lists = {"high": '["whistle", "loud"]', "middle": '["loud"]', "low": "[]"}
    for part in ("train", "test"):
        files = sorted((sounds / part).glob("*/*.wav"))
        rows = [{"file": str(path), "heard": lists[path.parent.name]} for path in files]
        (tmp_path / f"{part}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    run = luthier.tune(tmp_path, target="heard", model=str(audio_model), out=str(tmp_path / "run"), method="full", **SETTINGS)
    assert run.metrics.task == "audio-multi-label"
    assert run.metrics.test["tuned"]["micro_f1"].value > run.metrics.test["majority"]["micro_f1"].value
    model = luthier.load_model(run.folder)
    high, low = model.predict_probs([str(next(sounds.glob(f"test/{pitch}/*.wav"))) for pitch in ("high", "low")])
    assert high[model.labels.index("whistle")] > low[model.labels.index("whistle")]


def test_recordings_are_answered_with_numbers(sounds: Path, audio_model: Path, tmp_path: Path) -> None:
    for part in ("train", "test"):
        files = sorted((sounds / part).glob("*/*.wav"))
        rows = [f"{path},{PITCHES[path.parent.name] + number / 10}" for number, path in enumerate(files)]
        (tmp_path / f"{part}.csv").write_text("\n".join(["file,pitch", *rows]) + "\n", encoding="utf-8")
    run = luthier.tune(tmp_path, target="pitch", model=str(audio_model), out=str(tmp_path / "run"), method="full", **SETTINGS)
    assert run.metrics.task == "audio-regression"
    assert run.metrics.test["tuned"]["mae"].value < run.metrics.test["majority"]["mae"].value
    low, high = luthier.load_model(run.folder).predict(
        [str(next(sounds.glob(f"test/{pitch}/*.wav"))) for pitch in ("low", "high")]
    )
    assert low < high


def test_a_network_of_ones_own_brings_its_preprocessing(sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    from sound_networks.frames import frame_backbone

    backbone = frame_backbone(tiny=True)
    run = luthier.tune(sounds, backbone=backbone, out=str(tmp_path / "run"), method="top-blocks:1", **SETTINGS)
    files = sorted((sounds / "test").rglob("*.wav"))
    with pytest.raises(ModelError, match="sound_networks"):
        luthier.load_model(run.folder)
    answers = luthier.load_model(run.folder, allow=["sound_networks"]).predict(files)
    assert np.mean([answer == file.parent.name for answer, file in zip(answers, files, strict=True)]) == pytest.approx(
        run.metrics.test["tuned"]["accuracy"].value
    )
    out = tmp_path / "answers.csv"
    assert command(["predict", str(run.folder), str(files[0]), "--out", str(out)]) == 2
    assert command(["predict", str(run.folder), str(files[0]), "--out", str(out), "--allow", "sound_networks"]) == 0
    assert "sound_networks.frames:build_tiny_frame_net" in (run.model_path / "README.md").read_text()
    with pytest.raises(SpecError, match="brings its own preprocessing"):
        luthier.tune(sounds, backbone=backbone, model="wav2vec2", out=str(tmp_path / "other"), **SETTINGS)


@pytest.mark.parametrize("method", ["gradual", "lora:2", "probe"])
def test_other_methods_work_on_sound(method: str, sounds: Path, audio_model: Path, tmp_path: Path) -> None:
    settings = {**SETTINGS, "num_epochs": 1, "split": "60/20/20"}
    run = luthier.tune(sounds / "test", model=str(audio_model), out=str(tmp_path / "run"), method=method, **settings)
    assert run.metrics.n == 9
    answers = luthier.load_model(run.folder).predict(sorted((sounds / "test").rglob("*.wav"))[:3])
    assert set(answers) <= set(PITCHES)


def test_recordings_are_checked_without_torch(sounds: Path) -> None:
    code = "import sys; from luthier.cli.main import run; assert run(sys.argv[1:]) == 0; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, "check", str(sounds)], check=True, capture_output=True)


def losses(folder: Path) -> list[float]:
    events = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    return [event["loss"] for event in events if event["event"] == "step"]


@pytest.mark.parametrize("kind", ["wav2vec2", "whisper", "frames"])
def test_losses_are_the_same_from_the_store_and_without(
    kind: str, sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    from sound_networks.frames import frame_backbone

    given = {"backbone": frame_backbone(tiny=True)}
    if kind != "frames":
        given = {"model": str(tiny_audio_model(tmp_path / kind, family=kind))}
    found = {}
    for store in ("float32", "off"):
        run = luthier.tune(
            sounds, out=str(tmp_path / store), method="top-blocks:2", store=store, dropout=0.0, **given, **SETTINGS
        )
        found[store] = losses(run.folder)
        decisions = [json.loads(line) for line in (run.folder / "decisions.jsonl").read_text().splitlines()]
        (made,) = [decision for decision in decisions if decision["name"] == "store"]
        assert made["value"] == store
    assert len(found["off"]) > 3
    np.testing.assert_allclose(found["float32"], found["off"], atol=1e-5)


def test_wrong_models_and_settings_are_told(
    sounds: Path, audio_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*arguments: str, data: Path = sounds) -> str:
        capsys.readouterr()
        assert command(["tune", str(data), "--out", str(tmp_path / "run"), "--threads", "1", *arguments]) == 2
        return " ".join(capsys.readouterr().err.split())

    text = tiny_text_model(tmp_path / "text")
    assert "reads text, the data are audio" in told("--model", str(text))
    assert "There is no default model for audio" in told()
    assert "--max-length 64 is for text, and the data are audio" in told("--model", str(audio_model), "--max-length", "64")
    assert "CutMix pastes a piece of one picture" in told("--model", str(audio_model), "--cutmix", "1")
    settings = json.loads((audio_model / "preprocessor_config.json").read_text())
    other = tmp_path / "other"
    other.mkdir()
    for path in audio_model.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    (other / "preprocessor_config.json").write_text(json.dumps({**settings, "feature_extractor_type": "EncodecExtractor"}))
    assert "Unknown feature extractor 'EncodecExtractor'" in told("--model", str(other))
    (other / "preprocessor_config.json").write_text(json.dumps({**settings, "sampling_rate": 3}))
    assert "which cannot be done" in told("--model", str(other))
    (tmp_path / "loose").mkdir()
    soundfile.write(tmp_path / "loose" / "a.wav", np.zeros(100), RATE)
    assert "are not in class folders" in told("--model", str(audio_model), data=tmp_path / "loose")
    assert "give a folder with one sub-folder of recordings" in told(
        "--model", str(audio_model), data=tmp_path / "loose" / "a.wav"
    )
