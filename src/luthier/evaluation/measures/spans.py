"""Labelled pieces of texts: found where label, first and last character are right; a part of one, or a longer one, is wrong.

Precision, recall and F1 count the pieces of all texts together; `span_macro_f1` is the mean of the labels' own F1.

Source: Coope et al. 2020, "Span-ConveRT" (exact value spans); Rastogi et al. 2019.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from luthier.evaluation.bootstrap import summed_stats
from luthier.evaluation.measures.class_counts import ClassCounts
from luthier.evaluation.per_class import ClassScore
from luthier.evaluation.records import Direction, Predictions

Piece = tuple[str, int, int]


@dataclass(frozen=True, kw_only=True)
class SpanMeasure:
    """A score of summed counts by label."""

    name: str
    of_counts: Callable[[ClassCounts], Float[np.ndarray, "*S"]]
    direction: Direction = "higher"

    def stats(self, predictions: Predictions) -> Float[np.ndarray, "N k"]:
        """Of each text: pieces found, answered and to be found, by label."""
        return span_counts(predictions)

    def value(self, summed: Float[np.ndarray, "*S k"]) -> Float[np.ndarray, "*S"]:
        """The score of summed counts."""
        right, predicted, actual = np.moveaxis(summed.reshape(*summed.shape[:-1], 3, -1), -2, 0)
        return self.of_counts(ClassCounts(right=right, predicted=predicted, actual=actual))


def span_counts(predictions: Predictions) -> Float[np.ndarray, "N k"]:
    """Of each text the pieces found, answered and to be found: k = 3 (labels + 1), the last for labels that train never had."""
    place = {label: number for number, label in enumerate(predictions.labels)}
    columns = (predictions.table[name].to_pylist() for name in ("target", "prediction"))
    counts = np.zeros((predictions.table.num_rows, 3, len(place) + 1))
    for row, cells in enumerate(zip(*columns, strict=True)):
        target, answer = map(pieces_of, cells)
        for kind, pieces in enumerate((target & answer, answer, target)):
            for label, _, _ in pieces:
                counts[row, kind, place.get(label, -1)] += 1
    return counts.reshape(len(counts), -1)


def pieces_of(cell: str) -> set[Piece]:
    """(label, start, end) of each piece that a cell of predictions names.

    Example:
        >>> pieces_of('[{"slot": "date", "start": 4, "end": 9, "text": "today"}]')
        {('date', 4, 9)}
    """
    return {(item["slot"], item["start"], item["end"]) for item in json.loads(cell)} if cell != "[]" else set()


def label_scores(predictions: Predictions) -> list[ClassScore]:
    """Precision, recall and F1 of each label, in the order of the labels; `support` counts the pieces to be found."""
    right, predicted, actual = summed_stats(span_counts, predictions).reshape(3, -1)
    counts = ClassCounts(right=right, predicted=predicted, actual=actual)
    precision, recall, f1 = counts.precision(), counts.recall(), counts.f1()
    return [
        ClassScore(
            label=label,
            precision=float(precision[place]),
            recall=float(recall[place]),
            f1=float(f1[place]),
            support=int(actual[place]),
            predicted=int(predicted[place]),
        )
        for place, label in enumerate(predictions.labels)
    ]


def _together(counts: ClassCounts) -> ClassCounts:
    """The counts of all labels as those of one."""
    summed = (values.sum(axis=-1, keepdims=True) for values in (counts.right, counts.predicted, counts.actual))
    right, predicted, actual = summed
    return ClassCounts(right=right, predicted=predicted, actual=actual)


SPAN_F1 = SpanMeasure(name="span_f1", of_counts=lambda counts: _together(counts).f1()[..., 0])
SPAN_PRECISION = SpanMeasure(name="span_precision", of_counts=lambda counts: _together(counts).precision()[..., 0])
SPAN_RECALL = SpanMeasure(name="span_recall", of_counts=lambda counts: _together(counts).recall()[..., 0])
SPAN_MACRO_F1 = SpanMeasure(name="span_macro_f1", of_counts=lambda counts: counts.macro(counts.f1()))
