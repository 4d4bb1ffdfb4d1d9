"""From what a head says of its candidates to the boxes that are answered: the best of them, without doubles. NumPy.

Source: Neubeck and Van Gool 2006, "Efficient non-maximum suppression"; Carion et al. 2020 (queries need none).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from luthier.evaluation.boxes import overlaps
from luthier.models.box_outputs import BOX, CELL, LOGITS, QUALITY
from luthier.tasks.inputs import EMPTY

LEAST_SCORE = 0.05  # of boxes found on maps: below it almost none is right
MOST_CANDIDATES = 400  # of a picture, that are compared with each other
COLUMNS = 6  # of a box among what is decoded: label, score, x, y, width, height


def decode_boxes(
    outputs: Float[np.ndarray, "B A K"], sizes: Float[np.ndarray, "B 2"], *, limit: int, overlap: float
) -> Float[np.ndarray, "B L6"]:
    """The best boxes of each picture, the surest first, in pixels of the picture; filled up with `EMPTY`.

    Args:
        outputs: Candidates, with the columns of `box_outputs`.
        sizes: Width and height of the pictures.
        limit: L, of each picture.
        overlap: Of two boxes with one label that overlap more, the less sure one is left out.
    """
    decoded = np.full((len(outputs), limit, COLUMNS), EMPTY, dtype=np.float32)
    find = _of_queries if not outputs[0, 0, CELL].any() else _of_places
    for picture, (candidates, size) in enumerate(zip(outputs, sizes, strict=True)):
        labels, scores, boxes = find(candidates, limit, overlap)
        scale = np.tile(size, 2)
        found = np.concatenate([labels[:, None], scores[:, None], boxes * scale], axis=1)[:limit]
        decoded[picture, : len(found)] = found
    return decoded.reshape(len(outputs), -1)


Found = tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"], Float[np.ndarray, "n 4"]]


def _of_places(candidates: Float[np.ndarray, "A K"], limit: int, overlap: float) -> Found:
    """Labels, scores and boxes (as shares of the picture) from places of maps; a score is the mean of label and fit."""
    scores = np.sqrt(_sigmoid(candidates[:, LOGITS:]) * _sigmoid(candidates[:, QUALITY, None]))
    place, label = np.nonzero(scores >= LEAST_SCORE)
    score = scores[place, label]
    order = np.argsort(-score, kind="stable")[:MOST_CANDIDATES]
    place, label, score = place[order], label[order], score[order]
    boxes = _sides(candidates[place, BOX])
    there = (boxes[:, 2:] > 0).all(axis=1)
    label, score, boxes = label[there], score[there], boxes[there]
    kept = suppress(boxes, label, overlap=overlap, limit=limit)
    return label[kept], score[kept], boxes[kept]


def _of_queries(candidates: Float[np.ndarray, "Q K"], limit: int, overlap: float) -> Found:
    """Of each query its most probable label; which of them are worth anything, only their scores say."""
    logits = candidates[:, LOGITS:]
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs = (shifted / shifted.sum(axis=1, keepdims=True))[:, :-1]
    label, score = probs.argmax(axis=1), probs.max(axis=1)
    order = np.argsort(-score, kind="stable")
    boxes = _sides(candidates[order, BOX])
    there = (boxes[:, 2:] > 0).all(axis=1)
    return label[order][there], score[order][there], boxes[there]


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)))


def _sides(corners: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
    """Left, top, width, height of boxes cut at the picture's borders."""
    corners = np.clip(corners.astype(np.float64), 0, 1)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def suppress(
    boxes: Float[np.ndarray, "n 4"], labels: Int[np.ndarray, " n"], *, overlap: float, limit: int
) -> Int[np.ndarray, " kept"]:
    """Of boxes from sure to unsure those to keep: none overlaps a surer one with the same label by more than `overlap`.

    Example:
        >>> boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 3], [0, 0, 4, 3], [5, 5, 2, 2]], dtype=float)
        >>> suppress(boxes, np.array([0, 0, 1, 0]), overlap=0.5, limit=9).tolist()
        [0, 2, 3]
    """
    hides = (overlaps(boxes, boxes) > overlap) & (labels[:, None] == labels[None, :])
    alive = np.ones(len(boxes), dtype=bool)
    kept: list[int] = []
    for place in range(len(boxes)):
        if alive[place]:
            kept.append(place)
            if len(kept) == limit:
                break
            alive &= ~hides[place]
    return np.array(kept, dtype=np.int64)


def answered_boxes(decoded: Float[np.ndarray, " L6"], labels: Sequence[str], *, least: float = 0.0) -> list[dict[str, Any]]:
    """What was decoded of one picture, of a score of `least` or more: label, score, and x, y, width, height in pixels."""
    rows = decoded.reshape(-1, COLUMNS).astype(np.float64)
    return [
        {
            "label": labels[int(label)],
            "score": round(score, 4),
            **{name: round(value, 2) for name, value in zip(("x", "y", "width", "height"), place, strict=True)},
        }
        for label, score, *place in rows[(rows[:, 0] != EMPTY) & (rows[:, 1] >= least)].tolist()
    ]
