"""Boxes that were predicted beside those to be found: how much they overlap, and which of them match, as COCO defines it.

Source: Lin et al. 2014, "Microsoft COCO: common objects in context", and the rules of its evaluation, crowds included.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int

from luthier.evaluation.predictions import with_ids
from luthier.evaluation.records import Predictions

THRESHOLDS = np.linspace(0.5, 0.95, 10)
MOST_BOXES = 100  # of a picture and a label that are looked at, the surest first

_PLACE = [("x", pa.float64()), ("y", pa.float64()), ("width", pa.float64()), ("height", pa.float64())]
TARGET_TYPE = pa.list_(pa.struct([("label", pa.string()), *_PLACE, ("crowd", pa.bool_()), ("difficult", pa.bool_())]))
ANSWER_TYPE = pa.list_(pa.struct([("label", pa.string()), ("score", pa.float64()), *_PLACE]))


def box_predictions(
    *,
    example_ids: Sequence[str],
    targets: Sequence[Sequence[Mapping[str, Any]]],
    answers: Sequence[Sequence[Mapping[str, Any]]],
    sizes: Sequence[tuple[int, int] | None],
    shown_score: float,
    labels: Sequence[str],
    groups: Sequence[str | None] | None = None,
) -> Predictions:
    """Boxes to be found and answered boxes, a list of each for every picture.

    Args:
        targets: Records of label, x, y, width, height (pixels), crowd and difficult.
        answers: Records of label, score, x, y, width, height.
        sizes: Width and height of the pictures; None of those that cannot be read.
        shown_score: From which score on an answer is given to users: what precision and recall by label are counted at.
        labels: All that the model knows.
        groups: What is resampled together.
    """
    columns = {
        "target": pa.array(targets, TARGET_TYPE),
        "prediction": pa.array(answers, ANSWER_TYPE),
        "width": pa.array([size[0] if size else 0 for size in sizes], pa.int64()),
        "height": pa.array([size[1] if size else 0 for size in sizes], pa.int64()),
        "shown_score": pa.array([shown_score] * len(targets), pa.float64()),
    }
    table = with_ids(example_ids, columns, groups=groups)
    return Predictions(table=table, labels=tuple(labels), answer_kind="boxes")


def overlaps(
    boxes: Float[np.ndarray, "n 4"], others: Float[np.ndarray, "m 4"], crowd: Bool[np.ndarray, " m"] | None = None
) -> Float[np.ndarray, "n m"]:
    """Intersection over union of boxes given as x, y, width, height; with a crowd, over the area of the first alone.

    Example:
        >>> overlaps(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 2, 2], [5, 5, 1, 1]])).round(3).tolist()
        [[0.333, 0.0]]
    """
    ends, other_ends = boxes[:, None, :2] + boxes[:, None, 2:], others[None, :, :2] + others[None, :, 2:]
    sides = np.minimum(ends, other_ends) - np.maximum(boxes[:, None, :2], others[None, :, :2])
    shared = np.prod(np.clip(sides, 0, None), axis=-1)
    area, other_area = boxes[:, 2:].prod(axis=1)[:, None], others[:, 2:].prod(axis=1)[None, :]
    whole = area + other_area - shared
    if crowd is not None:
        whole = np.where(crowd[None, :], area, whole)
    return np.asarray(np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0))


@dataclass(frozen=True, kw_only=True)
class MatchedLabel:
    """All answers with one label, the surest first; of equally sure ones those of earlier rows first.

    Attributes:
        label: Which.
        row: Of each answer, the row of its picture.
        score: Of each answer.
        right: At each threshold, whether the answer found a box to be found.
        counts: At each threshold, whether it counts: not if it found a box that need not be found.
        to_find: In each row of the predictions, how many boxes of this label there are to be found.
    """

    label: str
    row: Int[np.ndarray, " n"]
    score: Float[np.ndarray, " n"]
    right: Bool[np.ndarray, "T n"]
    counts: Bool[np.ndarray, "T n"]
    to_find: Int[np.ndarray, " N"]


def match_labels(
    predictions: Predictions, thresholds: Float[np.ndarray, " T"] = THRESHOLDS, *, most: int = MOST_BOXES
) -> list[MatchedLabel]:
    """The answers of each label that is to be found somewhere, with what they match at each threshold of overlap."""
    targets, answers = (predictions.table[name].to_pylist() for name in ("target", "prediction"))
    labels = sorted({box["label"] for row in targets for box in row if not _is_ignored(box)})
    return [_match_label(label, targets, answers, thresholds, most=most) for label in labels]


def _is_ignored(box: Mapping[str, Any]) -> bool:
    return bool(box["crowd"] or box["difficult"])


def places_of(boxes: Sequence[Mapping[str, Any]]) -> Float[np.ndarray, "n 4"]:
    """x, y, width, height of each."""
    return np.array([[box["x"], box["y"], box["width"], box["height"]] for box in boxes], dtype=np.float64).reshape(-1, 4)


def _match_label(
    label: str,
    targets: Sequence[Sequence[Mapping[str, Any]]],
    answers: Sequence[Sequence[Mapping[str, Any]]],
    thresholds: Float[np.ndarray, " T"],
    *,
    most: int,
) -> MatchedLabel:
    rows, scores, right, counts = [], [], [], []
    to_find = np.zeros(len(targets), dtype=np.int64)
    for row, (boxes, said) in enumerate(zip(targets, answers, strict=True)):
        own = sorted((box for box in boxes if box["label"] == label), key=_is_ignored)
        given = sorted((box for box in said if box["label"] == label), key=lambda box: -box["score"])[:most]
        to_find[row] = sum(not _is_ignored(box) for box in own)
        found, ignored = match_boxes(given, own, thresholds)
        rows += [row] * len(given)
        scores += [box["score"] for box in given]
        right.append(found)
        counts.append(~ignored)
    score = np.array(scores, dtype=np.float64)
    order = np.argsort(-score, kind="stable")
    none = np.zeros((len(thresholds), 0), dtype=bool)
    return MatchedLabel(
        label=label,
        row=np.array(rows, dtype=np.int64)[order],
        score=score[order],
        right=np.concatenate([none, *right], axis=1)[:, order],
        counts=np.concatenate([none, *counts], axis=1)[:, order],
        to_find=to_find,
    )


def match_boxes(
    given: Sequence[Mapping[str, Any]], own: Sequence[Mapping[str, Any]], thresholds: Float[np.ndarray, " T"]
) -> tuple[Bool[np.ndarray, "T n"], Bool[np.ndarray, "T n"]]:
    """Of the answers for one picture and label, the surest first: which are right, and which do not count.

    Each takes the box that it overlaps most of those not yet taken; only where none is left that counts, one that does not.

    Args:
        given: The answers.
        own: The boxes of the picture, those that count first.
        thresholds: Overlaps from which on a box is found.
    """
    right = np.zeros((len(thresholds), len(given)), dtype=bool)
    ignored = np.zeros_like(right)
    if not own or not given:
        return right, ignored
    crowd, need_not = np.array([bool(box["crowd"]) for box in own]), np.array([_is_ignored(box) for box in own])
    shared = overlaps(places_of(given), places_of(own), crowd)
    free = np.ones((len(thresholds), len(own)), dtype=bool)
    least, levels = np.minimum(thresholds, 1 - 1e-10), np.arange(len(thresholds))
    for place in range(len(given)):
        for kind, found in ((~need_not, right), (need_not, ignored)):
            fitting = np.where(free & kind, shared[place], -1.0)
            best = len(own) - 1 - np.argmax(fitting[:, ::-1], axis=1)  # of equals the last, as COCO's loop does
            takes = (fitting[levels, best] >= least) & ~right[:, place]
            found[:, place] = takes
            free[levels[takes], best[takes]] &= crowd[best[takes]]
    return right, ignored


def best_score(predictions: Predictions) -> tuple[float, float]:
    """The score from which on answers have the best F1 over all labels, at half an overlap, and that F1; 0 if none is right.

    The score is rounded down to two digits, so that it can be said and typed.
    """
    matched = match_labels(predictions, THRESHOLDS[:1])
    scores = np.concatenate([np.zeros(0), *(label.score for label in matched)])
    order = np.argsort(-scores, kind="stable")
    right, counts = (
        np.cumsum(np.concatenate([np.zeros(0, dtype=bool), *found])[order])
        for found in ([label.right[0] for label in matched], [label.counts[0] for label in matched])
    )
    if not len(order) or not right[-1]:
        return 0.0, 0.0
    f1 = 2 * right / (counts + sum(int(label.to_find.sum()) for label in matched))
    best = int(np.argmax(f1))
    return float(np.floor(scores[order][best] * 100) / 100), float(f1[best])
