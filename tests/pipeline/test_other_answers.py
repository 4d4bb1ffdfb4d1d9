"""Several labels, and numbers: from a table to a tuned, measured, saved model, by the same command as one label."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import luthier
from luthier.core.storage import read_json
from luthier.package.predict import predict_source
from luthier.pipeline import run_folder
from luthier.testing.folders import tiny_image_model, tiny_text_model

WORDS = ("parcel", "lost", "screen", "refund", "invoice", "late", "thanks", "broken", "please", "today")
TOPICS = {"parcel": "delivery", "late": "delivery", "refund": "money", "invoice": "money", "broken": "defect"}


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return str(tiny_text_model(tmp_path / "tiny", words=WORDS))


def texts(number: int) -> list[str]:
    generator = np.random.default_rng(0)
    return [" ".join(generator.choice(WORDS, 5)) + f" {row}" for row in range(number)]


def topics(text: str) -> list[str]:
    return sorted({TOPICS[word] for word in text.split() if word in TOPICS})


def urgency(text: str) -> float:
    words = text.split()
    return 1.5 * words.count("today") + 2.25 * words.count("lost") - 0.75 * words.count("thanks") + len(words) / 7


def write_lists(path: Path, number: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for text in texts(number):
            row = {"message": text, "topics": topics(text)}
            file.write(json.dumps({name: value for name, value in row.items() if value}) + "\n")


def test_lists_in_jsonl_are_tuned_measured_reported_and_predicted(model: str, tmp_path: Path) -> None:
    write_lists(tmp_path / "messages.jsonl", 150)
    run = luthier.tune("messages.jsonl", model=model, method="top-blocks:1", num_epochs=3, threads=1)
    metrics = run.card.metrics
    assert metrics.task == "text-multi-label"
    assert metrics.primary_measure == "micro_f1"
    assert metrics.labels == ("defect", "delivery", "money")
    assert metrics.test["classic"]["micro_f1"].value > 0.9
    assert metrics.test["tuned"]["micro_f1"].value > metrics.test["majority"]["micro_f1"].value
    assert [row["label"] for row in metrics.per_class] == list(metrics.labels)
    assert not metrics.confusion
    assert metrics.n == 15  # messages without a topic are test examples too
    report = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "The worst answers" in report
    assert "Most frequent labels" in report
    assert "Over all labels that it gives" in report
    table = pq.read_table(run.folder / "predictions.parquet")
    assert {"prediction", "probs", "majority_prediction", "classic_probs"} <= set(table.column_names)

    loaded = luthier.load_model(run.model_path)
    answers = loaded.predict(["my parcel is late", "thanks please"])
    assert all(isinstance(answer, list) for answer in answers)
    probs = loaded.predict_probs(["my parcel is late"])
    assert probs.shape == (1, 3)
    assert ((probs > 0) & (probs < 1)).all()
    predict_source(run.model_path, "messages.jsonl", out=Path("answers.csv"), probs=True)
    with open("answers.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 150
    assert all(set(json.loads(row["prediction"])) <= set(metrics.labels) for row in rows)
    assert {"prob_defect", "prob_delivery", "prob_money"} <= rows[0].keys()


def test_labels_with_a_delimiter_between_them(model: str, tmp_path: Path) -> None:
    with open("messages.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["message", "topics"])
        writer.writerows([text, "; ".join(topics(text))] for text in texts(90))
    run = luthier.tune("messages.csv", target="topics", label_delimiter=";", model=model, method="probe", threads=1)
    assert run.card.metrics.task == "text-multi-label"
    assert run.card.metrics.labels == ("defect", "delivery", "money")


def test_numbers_are_tuned_measured_reported_and_predicted(model: str, tmp_path: Path) -> None:
    with open("messages.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["message", "urgency"])
        writer.writerows([text, f"{10_000 + 100 * urgency(text) + len(text) / 7:.2f}"] for text in texts(150))
    run = luthier.tune("messages.csv", target="urgency", model=model, method="top-blocks:1", num_epochs=3, threads=1)
    metrics = run.card.metrics
    assert metrics.task == "text-regression"
    assert metrics.primary_measure == "mae"
    assert metrics.directions["mae"] == "lower"
    assert not metrics.labels
    assert not metrics.per_class
    majority, tuned = metrics.test["majority"], metrics.test["tuned"]
    assert tuned["mae"].value < majority["mae"].value
    assert majority["r2"].value == pytest.approx(0, abs=0.2)
    assert majority["pearson"].value == 0
    report = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "farthest from the truth" in report
    assert "Mean of training" in report
    assert "confidence be believed" not in report

    assert "One answer in ten is more than" in (run.model_path / "README.md").read_text(encoding="utf-8")
    loaded = luthier.load_model(run.model_path)
    answer = loaded.predict(["please help today"])[0]
    assert isinstance(answer, float)
    assert 9_000 < answer < 11_000
    with pytest.raises(luthier.LuthierError, match="gives no probabilities"):
        loaded.predict_probs(["please"])
    with pytest.raises(luthier.LuthierError, match="numbers, which have no probabilities"):
        predict_source(run.model_path, "messages.csv", out=Path("answers.jsonl"), probs=True)
    predict_source(run.model_path, "messages.csv", out=Path("answers.jsonl"))
    rows = [json.loads(line) for line in Path("answers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert all(9_000 < row["prediction"] < 11_000 for row in rows)


def test_the_store_changes_no_loss_of_numbers(model: str, tmp_path: Path) -> None:
    with open("messages.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["message", "urgency"])
        writer.writerows([text, urgency(text)] for text in texts(60))
    losses = []
    for store in ("float32", "off"):
        run = luthier.tune(
            "messages.csv", target="urgency", model=model, method="top-blocks:1", num_epochs=2, threads=1, store=store,
            out=store, preflight=False, task="text-regression", precision="float32",
        )  # fmt: skip
        journal = [json.loads(line) for line in (run.folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
        losses.append([event["loss"] for event in journal if event["event"] == "step"])
    assert losses[0]
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-5)


def test_pictures_with_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    with open("pictures.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "brightness"])
        for row in range(60):
            level = int(generator.integers(0, 256))
            Image.fromarray(np.full((32, 32, 3), level, dtype=np.uint8) + np.uint8(row % 3)).save(f"{row}.png")
            writer.writerow([f"{row}.png", level])
    folder = tiny_image_model(tmp_path / "tiny")
    run = luthier.tune("pictures.csv", target="brightness", model=str(folder), method="probe", threads=1)
    assert run.card.metrics.task == "image-regression"
    assert run.card.metrics.test["tuned"]["mae"].value < run.card.metrics.test["majority"]["mae"].value
    data = read_json(run.folder / "findings.json")["data"]
    assert data["class_counts"] == {}
    assert set(data["numbers"]) == {"train", "validation", "test"}


def test_ewc_of_other_answers_says_that_it_is_empirical(model: str, tmp_path: Path) -> None:
    write_lists(tmp_path / "messages.jsonl", 60)
    run = luthier.tune("messages.jsonl", model=model, method="full", num_epochs=1, ewc=100.0, threads=1, preflight=False)
    journal = [json.loads(line) for line in (run.folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    found = [event for event in journal if event["event"] == "importance"]
    assert found
    assert all(event["empirical"] and event["mean"] > 0 for event in found)


class Killed(BaseException):
    """The process ends here."""


def write_numbers(path: Path, number: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["message", "urgency"])
        writer.writerows([text, f"{urgency(text) + len(text) / 7:.3f}"] for text in texts(number))


@pytest.mark.parametrize("method", ["full", "lora:2", "gradual:1"])
def test_every_method_trains_numbers(method: str, model: str, tmp_path: Path) -> None:
    """The self-test before the first step is part of it."""
    write_numbers(tmp_path / "messages.csv", 60)
    run = luthier.tune("messages.csv", target="urgency", model=model, method=method, num_epochs=1, threads=1)
    journal = [json.loads(line) for line in (run.folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    assert any(event["event"] == "preflight" for event in journal)
    assert [event["kept"] for event in journal if event["event"] == "rung_finished"][-1]


def test_an_interrupted_run_of_numbers_goes_on_to_the_same_end(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_numbers(tmp_path / "messages.csv", 60)
    asked = {
        "target": "urgency",
        "model": model,
        "method": "top-blocks:1",
        "num_epochs": 2,
        "checkpoint_seconds": 0,
        "threads": 1,
    }
    straight = luthier.tune("messages.csv", out="straight", **asked)
    original = run_folder.RunFolder.record

    def record(self: run_folder.RunFolder, event: Mapping[str, Any]) -> None:
        original(self, event)
        if event["event"] == "step" and event["step"] == 2:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(run_folder.RunFolder, "record", record)
        with pytest.raises(Killed):
            luthier.tune("messages.csv", out="run", **asked)
    again = luthier.resume(tmp_path / "run")
    assert (again.folder / "predictions.parquet").read_bytes() == (straight.folder / "predictions.parquet").read_bytes()


def test_a_search_looks_for_the_smallest_error(model: str, tmp_path: Path) -> None:
    write_numbers(tmp_path / "messages.csv", 60)
    found = luthier.search(
        "messages.csv", target="urgency", model=model, threads=1, num_epochs=1, trials=3, final=False,
        method={"choice": {"probe": {"probe_penalty": {"log": [1e-5, 10]}}}}, out="found",
    )  # fmt: skip
    record = found.record
    assert record.direction == "lower"
    assert record.trials[record.best].score == min(trial.score for trial in record.trials if trial.score is not None)
