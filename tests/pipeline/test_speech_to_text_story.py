"""From a manifest with transcripts to an encoder-decoder that writes down what it hears."""

import json
from pathlib import Path

import numpy as np
import pyarrow.csv as csv
import pytest
import torch
import transformers

import luthier
from luthier.cli.main import run as command
from luthier.models.audio_processor import AudioProcessor
from luthier.pipeline import Run
from luthier.testing.language_folders import tiny_language_folder

from .test_speech_story import write_manifest

SETTINGS = {"threads": 1, "precision": "float32", "bootstrap_samples": 200, "preflight": False, "batch_size": 8}
SETTINGS |= {"overlap": "keep", "learning_rate": 3e-3}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_manifest(tmp_path_factory.mktemp("speech") / "clips", 60, seed=0)


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_language_folder(tmp_path_factory.mktemp("models") / "whisper", "whisper", width=32))


@pytest.fixture(scope="module")
def run(manifest: Path, whisper: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "heard"
    return luthier.tune(manifest, model=whisper, method="full", num_epochs=10, patience=10, out=str(out), **SETTINGS)


def test_a_model_that_writes_chooses_its_task_and_is_scored_on_what_it_writes(run: Run) -> None:
    metrics = run.metrics
    assert (metrics.task, metrics.primary_measure, metrics.steers_by) == ("speech-to-text", "wer", "token_loss")
    assert set(metrics.test) == {"majority", "pretrained", "tuned"}
    assert metrics.validation["tuned"] < metrics.validation["pretrained"] / 2
    assert metrics.test["tuned"]["cer"].value < metrics.test["pretrained"]["cer"].value
    assert (run.folder / "report.html").read_text(encoding="utf-8").count("data:image/png") > 0


def test_the_saved_folder_is_transformers_own(run: Run, manifest: Path) -> None:
    model = luthier.load_model(run.model_path, device="cpu")
    assert isinstance(model.processor, AudioProcessor)
    paths = [str(manifest.parent / "clips" / f"{place}.flac") for place in range(4)]
    network = transformers.AutoModelForSpeechSeq2Seq.from_pretrained(run.model_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(run.model_path)
    clips = [model.processor.prepare(model.processor.read(model.processor.clips(Path(path))[0])) for path in paths]
    with torch.no_grad():
        written = network.generate(input_features=torch.from_numpy(np.stack(clips)))
    texts = [text.strip() for text in tokenizer.batch_decode(written, skip_special_tokens=True)]
    assert model.predict(paths) == texts
    assert any(texts)


def test_the_command_writes_an_answer_beside_each_row(run: Run, manifest: Path, tmp_path: Path) -> None:
    assert command(["predict", str(run.folder), str(manifest), "--out", str(tmp_path / "out.csv")]) == 0
    answers = csv.read_csv(tmp_path / "out.csv")
    assert answers.column_names == ["file", "transcript", "prediction"]
    assert answers.num_rows == 60


@pytest.mark.parametrize("method", ["top-blocks:1", "top-blocks:3"])
def test_training_from_the_store_is_the_same_training(manifest: Path, whisper: str, tmp_path: Path, method: str) -> None:
    asked = {**SETTINGS, "model": whisper, "method": method, "dropout": 0.0, "num_epochs": 1}
    found = []
    for store in ("float32", "off"):
        made = luthier.tune(manifest, out=str(tmp_path / store), store=store, **asked)
        events = map(json.loads, (made.folder / "journal.jsonl").read_text().splitlines())
        found.append([event["loss"] for event in events if event["event"] == "step"])
    assert found[0] == pytest.approx(found[1], rel=1e-5)
    assert len(found[0]) > 3
