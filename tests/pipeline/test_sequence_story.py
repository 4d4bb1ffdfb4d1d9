"""From a table of pairs to a model that writes one text from another."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv as csv
import pytest
import torch
import transformers
from safetensors import safe_open

import luthier
from luthier.cli.main import run as command
from luthier.pipeline import Run, run_folder
from luthier.testing.language_folders import tiny_language_folder

WORDS = {"one": "uno", "red": "rojo", "cat": "gato", "sea": "mar"}
SETTINGS = {"threads": 1, "precision": "float32", "bootstrap_samples": 200, "preflight": False, "batch_size": 8}
SHORT = {**SETTINGS, "num_epochs": 1, "learning_rate": 1e-3}


def make_pairs(number: int, *, seed: int) -> list[tuple[str, str]]:
    """Different word-by-word translations of one to three words."""
    generator, found = np.random.default_rng(seed), {}
    while len(found) < number:
        words = generator.choice(list(WORDS), generator.integers(1, 4)).tolist()
        found[" ".join(words)] = " ".join(WORDS[word] for word in words)
    return list(found.items())


def write_pairs(path: Path, pairs: list[tuple[str, str]]) -> Path:
    path.write_text("english\tspanish\n" + "".join(f"{source}\t{target}\n" for source, target in pairs), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Every text of one to three words is in one part."""
    folder, pairs = tmp_path_factory.mktemp("data"), make_pairs(84, seed=0)
    cut = {"train": pairs[:60], "validation": pairs[60:69], "test": pairs[69:]}
    return {part: str(write_pairs(folder / f"{part}.tsv", rows)) for part, rows in cut.items()}


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("few") / "pairs.tsv", make_pairs(40, seed=1))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    folder, texts = tmp_path_factory.mktemp("models"), 9 * [word for pair in WORDS.items() for word in pair]
    return {name: str(tiny_language_folder(folder / name, name, texts=texts, width=32)) for name in ("bart", "t5")}


@pytest.fixture(scope="module")
def run(parts: dict[str, str], models: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Run:
    settings = {**SETTINGS, "method": "full", "num_epochs": 40, "learning_rate": 3e-3, "patience": 40, "warmup_fraction": 0.1}
    settings |= {"model": models["bart"], "num_beams": 2, "batch_size": 4, "overlap": "keep", **parts}
    return luthier.tune([], out=str(tmp_path_factory.mktemp("runs") / "pairs"), **settings)


def losses(folder: Path) -> list[float]:
    events = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    return [event["loss"] for event in events if event["event"] == "step"]


def test_it_learns_to_write_and_is_scored_on_what_it_writes(run: Run) -> None:
    metrics = run.metrics
    assert (metrics.task, metrics.primary_measure, metrics.steers_by) == ("sequence-to-sequence", "chrf", "token_loss")
    assert set(metrics.test) == {"majority", "classic", "pretrained", "tuned"}
    scores = {name: found["chrf"] for name, found in metrics.test.items()}
    assert scores["tuned"].value > 0.8
    assert scores["tuned"].low > max(scores["pretrained"].high, scores["majority"].high)
    assert metrics.validation["tuned"] < metrics.validation["pretrained"]
    assert metrics.described["classic"][0] == "Translation memory"


def test_the_saved_folder_is_transformers_own(run: Run) -> None:
    sources = [source for source, _ in make_pairs(84, seed=0)][:8]
    model = luthier.load_model(run.model_path, device="cpu")
    network = transformers.AutoModelForSeq2SeqLM.from_pretrained(run.model_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(run.model_path)
    batch = tokenizer(sources, return_tensors="pt", padding=True)
    with torch.no_grad():
        written = network.generate(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    texts = [text.strip() for text in tokenizer.batch_decode(written, skip_special_tokens=True)]
    assert model.predict(sources) == texts
    assert network.generation_config.num_beams == 2
    assert network.get_input_embeddings().weight is network.get_output_embeddings().weight
    with safe_open(run.model_path / "model.safetensors", "pt") as file:
        assert sum("embed_tokens" in name or "lm_head" in name or "shared" in name for name in file.keys()) == 1  # noqa: SIM118


def test_the_command_writes_an_answer_beside_each_row(run: Run, tmp_path: Path) -> None:
    table = write_pairs(tmp_path / "new.tsv", make_pairs(12, seed=5))
    assert command(["predict", str(run.folder), str(table), "--out", str(tmp_path / "out.csv")]) == 0
    answers = csv.read_csv(tmp_path / "out.csv")
    assert answers.column_names == ["english", "spanish", "prediction"]
    said = zip(answers["spanish"].to_pylist(), answers["prediction"].to_pylist(), strict=True)
    assert sum(target == answer for target, answer in said) >= 8


def test_the_report_shows_sources_with_what_is_right_and_what_was_written(run: Run) -> None:
    report = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "Translation memory" in report
    assert "chrF" in report
    assert "loss per token" in report.lower()


@pytest.mark.parametrize(
    ("family", "method"), [("bart", "top-blocks:1"), ("bart", "top-blocks:3"), ("t5", "top-blocks:2"), ("t5", "top-blocks:3")]
)
def test_training_from_the_store_is_the_same_training(
    few: Path, models: Mapping[str, str], tmp_path: Path, family: str, method: str
) -> None:
    asked = {**SHORT, "model": models[family], "method": method, "dropout": 0.0}
    stored = luthier.tune(few, out=str(tmp_path / "stored"), store="float32", **asked)
    plain = luthier.tune(few, out=str(tmp_path / "plain"), store="off", **asked)
    decided = {
        item["name"]: item["value"] for item in map(json.loads, (stored.folder / "decisions.jsonl").read_text().splitlines())
    }
    assert decided["store"] == "float32"
    assert losses(stored.folder) == pytest.approx(losses(plain.folder), rel=1e-5)
    assert len(losses(stored.folder)) > 3


@pytest.mark.parametrize(("family", "method"), [("t5", "lora:2"), ("bart", "gradual")])
def test_other_methods_tune_and_keep_the_head_tied(
    few: Path, models: Mapping[str, str], tmp_path: Path, family: str, method: str
) -> None:
    made = luthier.tune(few, model=models[family], method=method, out=str(tmp_path / "run"), **SHORT)
    network = transformers.AutoModelForSeq2SeqLM.from_pretrained(made.model_path)
    assert network.get_input_embeddings().weight is network.get_output_embeddings().weight
    assert (made.model_path / "adapter").is_dir() is method.startswith("lora")
    assert len(luthier.load_model(made.folder).predict(["one cat", "sea"])) == 2


class Killed(BaseException):
    """The process ends here."""


def test_a_killed_run_goes_on_to_the_same_model(
    few: Path, models: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {**SHORT, "model": models["t5"], "method": "full", "label_smoothing": 0.1, "checkpoint_seconds": 0}
    straight = luthier.tune(few, out=str(tmp_path / "straight"), **asked)
    record = run_folder.RunFolder.record

    def recorded(self: run_folder.RunFolder, event: dict[str, Any]) -> None:
        record(self, event)
        if event["event"] == "step" and event["step"] == 2:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(run_folder.RunFolder, "record", recorded)
        with pytest.raises(Killed):
            luthier.tune(few, out=str(tmp_path / "killed"), **asked)
    again = luthier.resume(tmp_path / "killed")
    for name in ("model/model.safetensors", "predictions.parquet"):
        assert (again.folder / name).read_bytes() == (straight.folder / name).read_bytes()
