"""From pictures with boxes to a model that finds them, by the same code as everything else."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

import luthier
from luthier.cli.main import run as command
from luthier.errors import DataError, LuthierError, SpecError
from luthier.evaluation.predictions import read_predictions
from luthier.pipeline import Run
from luthier.testing.detectors import tiny_detector, tiny_map_model
from luthier.testing.drawn import draw_pictures, write_voc
from luthier.testing.folders import tiny_text_model

SETTINGS: dict[str, Any] = {
    "threads": 1,
    "precision": "float32",
    "bootstrap_samples": 200,
    "boxes_picture_side": 96,
    "batch_size": 8,
    "preflight": False,
    "evaluations_per_epoch": 1,
}
QUICK = {**SETTINGS, "num_epochs": 1, "head_learning_rate": 1e-3, "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def image_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_map_model(tmp_path_factory.mktemp("models") / "maps")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VOC with lists of its parts; one box has no area."""
    folder = tmp_path_factory.mktemp("shapes") / "shapes"
    rows = draw_pictures(folder / "JPEGImages", 80, seed=1, most=1)
    rows[3][1].append({"label": "disc", "x": 5, "y": 5, "width": 0, "height": 9})
    parts = {"train": range(60), "val": range(60, 64), "test": range(64, 80)}
    return write_voc(folder, rows, parts={part: list(numbers) for part, numbers in parts.items()})


@pytest.fixture(scope="module")
def run(data: Path, image_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "shapes"
    rates = {"learning_rate": 3e-3, "head_learning_rate": 3e-3, "num_epochs": 5, "warmup_fraction": 0.1, "patience": 50}
    rates["batch_size"] = 6
    return luthier.tune(data, model=str(image_model), out=str(out), method="full", boxes_limit=30, **SETTINGS | rates)


def losses(folder: Path) -> list[float]:
    events = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    return [event["loss"] for event in events if event["event"] == "step"]


def decisions(folder: Path) -> dict[str, Any]:
    made = [json.loads(line) for line in (folder / "decisions.jsonl").read_text().splitlines()]
    return {decision["name"]: decision["value"] for decision in made}


def test_it_finds_boxes_in_given_parts(run: Run) -> None:
    test = run.metrics.test
    assert run.metrics.n == 16
    assert run.metrics.primary_measure == "box_map"
    assert set(test) == {"majority", "probe", "tuned"}
    assert test["tuned"]["box_map50"].value > 0.2
    assert test["tuned"]["box_map50"].low > test["majority"]["box_map50"].high
    assert test["tuned"]["box_map"].value < test["tuned"]["box_map50"].value
    assert decisions(run.folder)["picture_size"] == "96 x 64"
    assert {row["label"] for row in run.metrics.per_class} == {"disc", "block"}


def test_a_box_without_area_is_told_and_left_out(run: Run) -> None:
    findings = json.loads((run.folder / "findings.json").read_text())["findings"]
    (finding,) = [finding for finding in findings if finding["check"] == "boxes" and finding["severity"] == "warning"]
    assert finding["examples"] == ["Annotations/drawn-1-003.xml"]
    assert "1 box" in finding["problem"]


def test_the_card_can_be_computed_again_from_the_file(run: Run) -> None:
    from luthier.evaluation.measures import MEASURES

    tuned = read_predictions(run.folder / "predictions.parquet")["tuned"]
    again = MEASURES["box_map"].value_of(tuned, np.arange(tuned.table.num_rows))
    assert again == pytest.approx(run.metrics.test["tuned"]["box_map"].value)


def test_the_report_draws_pictures_with_their_boxes(run: Run) -> None:
    report = (run.folder / "report.html").read_text()
    assert report.count('<svg class="boxed"') >= 6
    assert report.count("<image href=") >= 6
    assert "What it finds" in report
    assert 'class="box found"' in report
    assert (
        'class="box missed"' in report or 'class="box made-up"' in report or run.metrics.test["tuned"]["box_map50"].value == 1
    )
    card = (run.model_path / "README.md").read_text()
    assert "in pixels of the picture as it is" in card
    assert "pipeline_tag: object-detection" in card


def test_the_model_answers_from_python_and_command_line(run: Run, data: Path, tmp_path: Path) -> None:
    model = luthier.load_model(run.model_path)
    path = sorted((data / "JPEGImages").iterdir())[70]
    said = model.predict([path])[0]
    assert {"label", "score", "x", "y", "width", "height"} == set(said[0]) if said else True
    least = decisions(run.folder)["shown_score"]
    assert 0.05 <= least < 1
    assert all(box["score"] >= least for box in said)
    out = tmp_path / "answers.jsonl"
    assert command(["predict", str(run.folder), str(data / "JPEGImages"), "--out", str(out), "--probs"]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == 80
    assert max(len(row["boxes"]) for row in rows) <= 30
    every = next(row["boxes"] for row in rows if row["image"] == str(path))
    assert [box for box in every if box["score"] >= least] == said
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 96.01 for row in rows for box in row["boxes"])


def test_a_picture_that_cannot_be_read_costs_its_own_row(run: Run, data: Path, tmp_path: Path) -> None:
    good = sorted((data / "JPEGImages").iterdir())[0]
    (tmp_path / "list.csv").write_text(f"image\n{good}\nabsent.png\n")
    out = tmp_path / "answers.parquet"
    assert command(["predict", str(run.folder), str(tmp_path / "list.csv"), "--out", str(out)]) == 0
    assert [row is None for row in parquet.read_table(out)["boxes"].to_pylist()] == [False, True]


def test_what_is_frozen_gives_the_same_from_the_store_and_anew(data: Path, image_model: Path, tmp_path: Path) -> None:
    found = {}
    for store in ("float32", "off"):
        out = tmp_path / store
        rates = {"learning_rate": 1e-5, "head_learning_rate": 1e-4}  # so small that rounding does not grow
        luthier.tune(data, model=str(image_model), out=str(out), method="top-blocks:1", store=store, **QUICK | rates)
        found[store] = losses(out)
        assert decisions(out)["store"] == store
    assert found["float32"] == pytest.approx(found["off"], rel=1e-5)


@pytest.mark.parametrize("method", ["lora:2", "gradual"])
def test_other_methods_train_too(method: str, data: Path, image_model: Path, tmp_path: Path) -> None:
    run = luthier.tune(data, model=str(image_model), out=str(tmp_path / "run"), method=method, max_rows=16, **QUICK)
    assert 0 <= run.metrics.test["tuned"]["box_map"].value <= 1
    assert luthier.load_model(run.folder).predict([sorted((data / "JPEGImages").iterdir())[0]])


@pytest.mark.parametrize("family", ["detr", "yolos"])
def test_detectors_are_tuned_by_the_same_command(family: str, data: Path, tmp_path: Path) -> None:
    model = tiny_detector(tmp_path / "model", family)
    settings = {**QUICK, "method": "top-blocks:1", "store": "float32", "max_rows": 24}
    run = luthier.tune(data, model=str(model), out=str(tmp_path / "run"), **settings)
    assert decisions(run.folder)["store"] == "float32"
    described = json.loads((run.model_path / "luthier.json").read_text())
    assert described["head"]["kind"] == "queries"
    said = read_predictions(run.folder / "predictions.parquet")["tuned"].table
    paths = [data / "JPEGImages" / f"{Path(name).stem}.png" for name in said["example_id"].to_pylist()]
    answers = [len(boxes) for boxes in luthier.load_model(run.folder).predict(paths)]
    least = decisions(run.folder)["shown_score"]
    assert answers == [sum(box["score"] >= least for box in boxes) for boxes in said["prediction"].to_pylist()]
    assert all(np.isfinite(losses(run.folder)))


def test_views_change_the_steps_and_nothing_is_stored(data: Path, image_model: Path, tmp_path: Path) -> None:
    found = {}
    for name, augment in (("plain", "none"), ("first", "strong"), ("again", "strong")):
        out = tmp_path / name
        settings = {**QUICK, "method": "probe", "augment": augment, "max_rows": 16}
        luthier.tune(data, model=str(image_model), out=str(out), **settings)
        found[name] = losses(out)
        assert (decisions(out)["store"] == "off") == (augment != "none")
    assert found["first"] == found["again"]
    assert found["first"][1:] != pytest.approx(found["plain"][1:], rel=1e-3)


def wrong_table(tmp_path: Path, cells: list[str]) -> Path:
    rows = draw_pictures(tmp_path, len(cells), seed=2)
    lines = [json.dumps({"image": name, "boxes": cell}) for (name, _), cell in zip(rows, cells, strict=True)]
    path = tmp_path / "shapes.jsonl"
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"mixup": 0.2}, "--mixup is for examples with one label each"),
        ({"head_pooling": "max"}, "nothing is pooled"),
        ({"class_weights": "balanced"}, "--class-weights is for examples with one label each"),
        ({"boxes_overlap": 0.0}, "overlap"),
        ({"boxes_picture_side": 8}, "picture_side"),
        ({"augment": "wild"}, "augment"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    settings: dict[str, Any], problem: str, data: Path, image_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(LuthierError, match=problem) as caught:
        luthier.tune(data, model=str(image_model), out=str(tmp_path / "run"), **QUICK | settings)
    assert caught.value.remedy


def test_settings_of_boxes_are_refused_where_there_are_none(tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("text,label\n" + "\n".join(f"row {place},{'ab'[place % 2]}" for place in range(40)))
    model = tiny_text_model(tmp_path / "model")
    for settings, problem in (({"boxes_limit": 5}, "--boxes-limit is for boxes"), ({"augment": "light"}, "--augment light")):
        with pytest.raises(SpecError, match=problem):
            luthier.tune(tmp_path / "texts.csv", target="label", model=str(model), out=str(tmp_path / "run"), **settings)


def test_a_column_of_other_things_is_not_taken_for_boxes(tmp_path: Path, image_model: Path) -> None:
    path = wrong_table(tmp_path, ["a lot"] * 10 + ["little"] * 10)
    with pytest.raises(DataError, match="'boxes' does not hold boxes"):
        luthier.tune(path, task="object-detection", target="boxes", model=str(image_model), out=str(tmp_path / "run"), **QUICK)


def test_a_model_of_texts_is_refused(tmp_path: Path, data: Path) -> None:
    with pytest.raises(LuthierError):
        luthier.tune(data, model=str(tiny_text_model(tmp_path / "model")), out=str(tmp_path / "run"), **QUICK)


@pytest.mark.shared_data
def test_the_two_boxes_without_area_of_bccd_are_found(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["check", str(shared / "data" / "bccd")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "BloodImage_00338.xml" in said
    assert "BloodImage_00343.xml" in said
