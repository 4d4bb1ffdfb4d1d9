"""Scores of boxes beside those of faster-coco-eval, on the same boxes."""

import contextlib
import io

import numpy as np
import pyarrow as pa
import pytest
from faster_coco_eval import COCO, COCOeval_faster

from luthier.evaluation.boxes import ANSWER_TYPE, TARGET_TYPE, best_score, match_labels, overlaps
from luthier.evaluation.measures import MEASURES
from luthier.evaluation.records import Predictions

LABELS = ("cell", "dust", "worm")


def drawn(seed: int, *, pictures: int, crowds: bool) -> Predictions:
    """Boxes, and answers near some of them: shifted, doubled, of another label, or where nothing is."""
    generator = np.random.default_rng(seed)
    targets, answers = [], []
    for _ in range(pictures):
        boxes, said = [], []
        for _ in range(generator.integers(0, 7)):
            x, y, width, height = generator.uniform([0, 0, 8, 8], [60, 60, 40, 40]).tolist()
            crowd = crowds and generator.random() < 0.3
            place = {"x": x, "y": y, "width": width, "height": height}
            boxes.append({"label": str(generator.choice(LABELS)), **place, "crowd": bool(crowd), "difficult": False})
            for _ in range(generator.integers(0, 3)):
                moved = {name: value + generator.normal(0, 2.5) for name, value in place.items()}
                label = boxes[-1]["label"] if generator.random() < 0.8 else str(generator.choice(LABELS))
                said.append({"label": label, "score": float(generator.integers(1, 20)) / 20, **moved})
        for _ in range(generator.integers(0, 3)):
            x, y, width, height = generator.uniform([0, 0, 8, 8], [60, 60, 40, 40]).tolist()
            place = {"x": x, "y": y, "width": width, "height": height}
            said.append({"label": str(generator.choice(LABELS)), "score": float(generator.random()), **place})
        targets.append(boxes)
        answers.append(said)
    return predictions(targets, answers)


def predictions(targets: list, answers: list) -> Predictions:
    ids = [f"p{place}" for place in range(len(targets))]
    table = pa.table(
        {
            "example_id": ids,
            "group": ids,
            "target": pa.array(targets, TARGET_TYPE),
            "prediction": pa.array(answers, ANSWER_TYPE),
        }
    )
    return Predictions(table=table, labels=LABELS, answer_kind="boxes")


def by_coco(said: Predictions, rows: np.ndarray) -> tuple[float, float, float]:
    """mAP, mAP50 and mAP75 of some pictures, which may occur several times."""
    targets, answers = (said.table[name].take(rows).to_pylist() for name in ("target", "prediction"))
    annotations = [
        {
            "id": 1000 * picture + place + 1,
            "image_id": picture,
            "category_id": LABELS.index(box["label"]),
            "bbox": [box["x"], box["y"], box["width"], box["height"]],
            "area": box["width"] * box["height"],
            "iscrowd": int(box["crowd"]),
        }
        for picture, boxes in enumerate(targets)
        for place, box in enumerate(boxes)
    ]
    results = [
        {
            "image_id": picture,
            "category_id": LABELS.index(box["label"]),
            "bbox": [box["x"], box["y"], box["width"], box["height"]],
            "score": box["score"],
        }
        for picture, boxes in enumerate(answers)
        for box in boxes
    ]
    document = {
        "images": [{"id": picture, "width": 100, "height": 100} for picture in range(len(targets))],
        "annotations": annotations,
        "categories": [{"id": place, "name": label} for place, label in enumerate(LABELS)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(document)
        evaluation = COCOeval_faster(truth, truth.loadRes(results), "bbox")
        evaluation.run()
    return tuple(evaluation.stats[:3])


@pytest.mark.parametrize("crowds", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_coco(seed: int, crowds: bool) -> None:
    said = drawn(seed, pictures=25, crowds=crowds)
    rows = np.arange(25)
    ours = [MEASURES[name].value_of(said, rows) for name in ("box_map", "box_map50", "box_map75")]
    assert ours == pytest.approx(by_coco(said, rows), abs=1e-9)
    assert 0.1 < ours[0] < ours[1] < 0.95


def test_a_picture_drawn_twice_counts_twice() -> None:
    said = drawn(9, pictures=20, crowds=True)
    rows = np.random.default_rng(0).integers(0, 20, 20)
    ours = [MEASURES[name].value_of(said, rows) for name in ("box_map", "box_map50", "box_map75")]
    assert ours == pytest.approx(by_coco(said, np.sort(rows)), abs=1e-9)


def test_overlap_with_a_crowd_is_over_the_area_of_the_answer() -> None:
    answer, crowd = np.array([[2.0, 2, 2, 2]]), np.array([[0.0, 0, 10, 10]])
    assert overlaps(answer, crowd).item() == pytest.approx(4 / 100)
    assert overlaps(answer, crowd, np.array([True])).item() == 1.0


def test_difficult_boxes_need_not_be_found_and_finding_them_costs_nothing() -> None:
    box = {"label": "cell", "x": 0.0, "y": 0.0, "width": 10.0, "height": 10.0, "crowd": False, "difficult": False}
    other = {**box, "x": 50.0}
    answers = [
        {"label": "cell", "score": 0.9, **{key: item[key] for key in ("x", "y", "width", "height")}} for item in (other, box)
    ]
    measure = MEASURES["box_map50"]
    assert measure.value_of(predictions([[box]], [answers]), np.arange(1)) == pytest.approx(0.5)  # the surer answer is wrong
    assert measure.value_of(predictions([[box, {**other, "difficult": True}]], [answers]), np.arange(1)) == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(3))
def test_the_best_score_is_the_best_of_all(seed: int) -> None:
    said = drawn(seed, pictures=15, crowds=False)
    least, f1 = best_score(said)
    tried = {}
    for score in np.arange(0, 100) / 100:
        shown = [[box for box in row if box["score"] >= score] for row in said.table["prediction"].to_pylist()]
        kept = match_labels(predictions(said.table["target"].to_pylist(), shown), np.array([0.5]))
        right, given, wanted = (
            sum(parts) for parts in zip(*[(m.right.sum(), m.counts.sum(), m.to_find.sum()) for m in kept], strict=True)
        )
        tried[score] = 2 * right / (given + wanted)
    assert f1 >= max(tried.values()) - 1e-12
    assert tried[least] == pytest.approx(f1, abs=0.02)
