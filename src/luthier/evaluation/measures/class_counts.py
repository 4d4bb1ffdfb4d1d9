"""Measures made of three counts per class: true positives, predictions, targets.

The classes of an average are those that occur among the targets or the predictions of the examples scored, and 0 / 0 is 0:
scikit-learn's definition with `zero_division=0`. Targets that are no label of the model form one further class, which is
never predicted. An example may have one label, or any number of them; the counts mean the same.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from luthier.evaluation.label_sets import label_matrix
from luthier.evaluation.predictions import prediction_indices, target_indices
from luthier.evaluation.records import Direction, Predictions


@dataclass(frozen=True, kw_only=True)
class ClassCounts:
    """Summed counts by class; the last axis is the class.

    Attributes:
        right: Examples of the class that were predicted as such.
        predicted: Examples predicted as the class.
        actual: Examples of the class.
    """

    right: Float[np.ndarray, "*S C1"]
    predicted: Float[np.ndarray, "*S C1"]
    actual: Float[np.ndarray, "*S C1"]

    def precision(self) -> Float[np.ndarray, "*S C1"]:
        """Right ones among those predicted."""
        return _ratio(self.right, self.predicted)

    def recall(self) -> Float[np.ndarray, "*S C1"]:
        """Right ones among the actual ones."""
        return _ratio(self.right, self.actual)

    def f1(self) -> Float[np.ndarray, "*S C1"]:
        """Harmonic mean of precision and recall."""
        return _ratio(2 * self.right, self.predicted + self.actual)

    def macro(self, by_class: Float[np.ndarray, "*S C1"]) -> Float[np.ndarray, "*S"]:
        """Mean over the classes that occur among targets or predictions."""
        occurs = (self.predicted + self.actual) > 0
        return _ratio((by_class * occurs).sum(axis=-1), occurs.sum(axis=-1))


@dataclass(frozen=True, kw_only=True)
class ClassCountMeasure:
    """A score of the summed class counts."""

    name: str
    of_counts: Callable[[ClassCounts], Float[np.ndarray, "*S"]]
    direction: Direction = "higher"

    def stats(self, predictions: Predictions) -> Float[np.ndarray, "N k"]:
        """Three indicators per class and one class more for targets that are no label: k = 3 (C + 1)."""
        return class_count_stats(predictions)

    def value(self, summed: Float[np.ndarray, "*S k"]) -> Float[np.ndarray, "*S"]:
        """The score of summed indicators."""
        right, predicted, actual = np.moveaxis(summed.reshape(*summed.shape[:-1], 3, -1), -2, 0)
        return self.of_counts(ClassCounts(right=right, predicted=predicted, actual=actual))


def class_count_stats(predictions: Predictions) -> Float[np.ndarray, "N k"]:
    """Counts of each example: right (by class), predicted classes, actual classes."""
    if predictions.answer_kind == "labels":
        actual, given = (label_matrix(predictions, column) for column in ("target", "prediction"))
        return np.concatenate([np.minimum(actual, given), given, actual], axis=1)
    targets, predicted = target_indices(predictions), prediction_indices(predictions)
    rows = np.arange(len(targets))
    # Index -1, the target that is no label, falls on the last of the C + 1 places by itself.
    stats = np.zeros((len(targets), 3, len(predictions.labels) + 1))
    stats[rows, 0, targets] = targets == predicted
    stats[rows, 1, predicted] = 1
    stats[rows, 2, targets] = 1
    return stats.reshape(len(targets), 3 * (len(predictions.labels) + 1))


def _ratio(top: Float[np.ndarray, "*S"], bottom: Float[np.ndarray, "*S"]) -> Float[np.ndarray, "*S"]:
    return np.asarray(np.divide(top, bottom, out=np.zeros(np.shape(bottom)), where=np.asarray(bottom) > 0))


def _weighted_f1(counts: ClassCounts) -> Float[np.ndarray, "*S"]:
    return _ratio((counts.f1() * counts.actual).sum(axis=-1), counts.actual.sum(axis=-1))


def _micro_precision(counts: ClassCounts) -> Float[np.ndarray, "*S"]:
    return _ratio(counts.right.sum(axis=-1), counts.predicted.sum(axis=-1))


def _micro_recall(counts: ClassCounts) -> Float[np.ndarray, "*S"]:
    return _ratio(counts.right.sum(axis=-1), counts.actual.sum(axis=-1))


def _micro_f1(counts: ClassCounts) -> Float[np.ndarray, "*S"]:
    """Of all labels given and all labels there are, whichever they are."""
    return _ratio(2 * counts.right.sum(axis=-1), (counts.predicted + counts.actual).sum(axis=-1))


def _mcc(counts: ClassCounts) -> Float[np.ndarray, "*S"]:
    """Matthews' correlation for several classes.

    Source: Gorodkin, Comparing two K-category assignments by a K-category correlation coefficient, 2004.
    """
    n = counts.actual.sum(axis=-1)
    covariance = counts.right.sum(axis=-1) * n - (counts.actual * counts.predicted).sum(axis=-1)
    of_predicted = n**2 - (counts.predicted**2).sum(axis=-1)
    of_actual = n**2 - (counts.actual**2).sum(axis=-1)
    return _ratio(covariance, np.sqrt(of_predicted * of_actual))


MACRO_F1 = ClassCountMeasure(name="macro_f1", of_counts=lambda counts: counts.macro(counts.f1()))
MACRO_PRECISION = ClassCountMeasure(name="macro_precision", of_counts=lambda counts: counts.macro(counts.precision()))
MACRO_RECALL = ClassCountMeasure(name="macro_recall", of_counts=lambda counts: counts.macro(counts.recall()))
WEIGHTED_F1 = ClassCountMeasure(name="weighted_f1", of_counts=_weighted_f1)
MCC = ClassCountMeasure(name="mcc", of_counts=_mcc)
MICRO_F1 = ClassCountMeasure(name="micro_f1", of_counts=_micro_f1)
MICRO_PRECISION = ClassCountMeasure(name="micro_precision", of_counts=_micro_precision)
MICRO_RECALL = ClassCountMeasure(name="micro_recall", of_counts=_micro_recall)
