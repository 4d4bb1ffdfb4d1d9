"""Boxes of test pictures to be drawn: which were found, missed or made up; the worst pictures, and the best."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from luthier.evaluation.boxes import match_boxes, overlaps, places_of
from luthier.evaluation.records import Predictions

MOST_BEST = 4
HALF = np.array([0.5])
Outcome = str  # `found`, `missed`, `made up`, `not counted`


@dataclass(frozen=True, kw_only=True)
class DrawnBox:
    """One box on a picture, in its pixels.

    Attributes:
        outcome: Of a box to be found: `missed` (one that is found is drawn as the answer that finds it); of an answer: `found`,
            `made up`, or `not counted` where it covers something that need not be found.
        score: Of an answer.
    """

    label: str
    x: float
    y: float
    width: float
    height: float
    outcome: Outcome
    score: float | None = None


@dataclass(frozen=True, kw_only=True)
class DrawnPicture:
    """A test picture with its boxes.

    Attributes:
        width, height: Of the picture, in pixels.
        note: What is wrong with the answers, or how many are right.
    """

    example_id: str
    width: float
    height: float
    boxes: tuple[DrawnBox, ...]
    note: str

    @property
    def num_wrong(self) -> int:
        """Boxes missed or made up."""
        return sum(box.outcome in ("missed", "made up") for box in self.boxes)

    @property
    def num_found(self) -> int:
        """Boxes found."""
        return sum(box.outcome == "found" for box in self.boxes)


def draw_boxes(predictions: Predictions) -> list[DrawnPicture]:
    """All test pictures, with the answers that users see."""
    return [_drawn(row) for row in predictions.table.to_pylist()]


def read_drawn(path: Path, worst: Iterable[str]) -> dict[str, DrawnPicture]:
    """The pictures named, and the best ones, of the tuned model; nothing where the answers are no boxes."""
    if not path.is_file():
        return {}
    from luthier.evaluation.predictions import read_predictions

    tuned = read_predictions(path)["tuned"]
    if tuned.answer_kind != "boxes":
        return {}
    named, pictures = set(worst), draw_boxes(tuned)
    best = [picture.example_id for picture in best_pictures(pictures) if picture.example_id not in named]
    return {picture.example_id: picture for picture in pictures if picture.example_id in {*named, *best}}


def best_pictures(pictures: Sequence[DrawnPicture], *, most: int = MOST_BEST) -> list[DrawnPicture]:
    """Those with fewest boxes wrong, and of these those with most found."""
    return sorted(pictures, key=lambda picture: (picture.num_wrong, -picture.num_found))[:most]


def worst_pictures(tuned: Predictions, most: int) -> list[tuple[str, float | None, str]]:
    """Those with most boxes missed or made up: id, nothing, and what is wrong."""
    wrong = [picture for picture in draw_boxes(tuned) if picture.num_wrong]
    wrong.sort(key=lambda picture: (-picture.num_wrong, picture.num_found))
    return [(picture.example_id, None, picture.note) for picture in wrong[:most]]


def _drawn(row: Mapping[str, Any]) -> DrawnPicture:
    shown = [box for box in row["prediction"] if box["score"] >= row["shown_score"]]
    boxes: list[DrawnBox] = []
    for label in sorted({box["label"] for box in [*row["target"], *shown]}):
        own = [box for box in row["target"] if box["label"] == label]
        boxes += _judged(label, own, [box for box in shown if box["label"] == label])
    missed = Counter(box.label for box in boxes if box.outcome == "missed")
    made_up = Counter(box.label for box in boxes if box.outcome == "made up")
    found = sum(box.outcome == "found" for box in boxes)
    parts = [f"missed {_counted(missed)}"] * bool(missed) + [f"{_counted(made_up)} where there is none"] * bool(made_up)
    return DrawnPicture(
        example_id=row["example_id"],
        width=row["width"],
        height=row["height"],
        boxes=tuple(boxes),
        note="; ".join(parts) or f"all {found} found, nothing made up",
    )


def _counted(labels: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {label}" for label, count in labels.items())


def _judged(label: str, own: Sequence[Mapping[str, Any]], given: Sequence[Mapping[str, Any]]) -> list[DrawnBox]:
    """The answers with one label, and the boxes to be found that none of them finds."""
    own = sorted(own, key=lambda box: bool(box["crowd"] or box["difficult"]))
    given = sorted(given, key=lambda box: -box["score"])
    right, ignored = match_boxes(given, own, HALF)
    outcomes = np.where(right[0], "found", np.where(ignored[0], "not counted", "made up"))
    to_find = [box for box in own if not (box["crowd"] or box["difficult"])]
    missed = _left_over(to_find, [box for box, is_right in zip(given, right[0], strict=True) if is_right])
    return [_box(label, box, str(outcome)) for box, outcome in zip(given, outcomes, strict=True)] + [
        _box(label, box, "missed") for box in missed
    ]


def _left_over(own: Sequence[Mapping[str, Any]], right: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The boxes that no right answer takes; each answer takes the one that it overlaps most of those left."""
    left = list(own)
    for answer in right:
        shared = overlaps(places_of([answer]), places_of(left))[0]
        del left[len(left) - 1 - int(np.argmax(shared[::-1]))]
    return left


def _box(label: str, box: Mapping[str, Any], outcome: Outcome) -> DrawnBox:
    place = {name: float(box[name]) for name in ("x", "y", "width", "height")}
    return DrawnBox(label=label, outcome=outcome, score=box.get("score"), **place)
