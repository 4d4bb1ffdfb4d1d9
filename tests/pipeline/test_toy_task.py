"""A new kind of problem is one file and one line in a list."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

import luthier
from luthier.tasks import TASKS
from luthier.testing.conformance import TaskConformance
from luthier.testing.folders import tiny_text_model

WORDS = ("parcel", "lost", "screen", "refund", "invoice", "late", "thanks", "broken")


@pytest.fixture(autouse=True, scope="module")
def listed() -> Iterator[None]:
    """The one line, and the folder of the one file on the path, as an installed plug-in would be."""
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(Path(__file__).parent)
    patch.setattr(TASKS, "_members", dict(TASKS._members))
    TASKS.add("loudness", "toy_task:TASK")
    yield
    patch.undo()


class TestLoudness(TaskConformance):
    name = "loudness"


def test_it_is_tuned_predicted_and_reported_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with open("messages.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["message", "loud"])
        for row in range(60):
            loud = row % 2 == 0
            text = " ".join(WORDS[(row * step) % len(WORDS)] for step in (1, 3, 5)) + f" order {row}"
            writer.writerow([text + ("!!!!" if loud else "."), "yes" if loud else "no"])
    folder = tiny_text_model(tmp_path / "tiny", words=(*WORDS, "order"))
    columns = {"text": "message", "target": "loud"}
    run = luthier.tune("messages.csv", task="loudness", model=str(folder), method="probe", threads=1, **columns)
    assert run.card.metrics.task == "loudness"
    assert "majority" in run.card.metrics.test
    assert "classic" not in run.card.metrics.test
    assert run.card.metrics.absent["classic"] == "words do not tell how loud a text is"
    assert (run.folder / "report.html").is_file()
    model = luthier.load_model(run.model_path)
    assert model.task.name == "loudness"
    assert model.predict(["where is my parcel!!!!", "where is my parcel."]) == ["yes", "no"]
