"""Where a classifier is right and wrong: scores by class, the confusion matrix, the pairs it confuses most."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from luthier.evaluation.bootstrap import summed_stats
from luthier.evaluation.measures.class_counts import ClassCounts, class_count_stats
from luthier.evaluation.predictions import UNSEEN, prediction_indices, target_indices
from luthier.evaluation.records import Predictions


@dataclass(frozen=True, kw_only=True)
class ClassScore:
    """One class.

    Attributes:
        support: Examples whose target it is.
        predicted: Examples predicted as it.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    predicted: int


@dataclass(frozen=True, kw_only=True)
class ConfusedPair:
    """Examples of `target` that were predicted as `prediction`."""

    target: str
    prediction: str
    n: int


def class_scores(predictions: Predictions) -> list[ClassScore]:
    """Precision, recall and F1 of each label, in the order of the labels; 0 / 0 is 0."""
    summed = summed_stats(class_count_stats, predictions).reshape(3, -1)
    counts = ClassCounts(right=summed[0], predicted=summed[1], actual=summed[2])
    precision, recall, f1 = counts.precision(), counts.recall(), counts.f1()
    return [
        ClassScore(
            label=label,
            precision=float(precision[place]),
            recall=float(recall[place]),
            f1=float(f1[place]),
            support=int(summed[2, place]),
            predicted=int(summed[1, place]),
        )
        for place, label in enumerate(predictions.labels)
    ]


def confusion_matrix(predictions: Predictions) -> Int[np.ndarray, "C C"]:
    """Examples by target (row) and prediction (column). Targets that are no label are left out."""
    size = len(predictions.labels)
    targets, predicted = target_indices(predictions), prediction_indices(predictions)
    known = targets != UNSEEN
    return np.bincount(targets[known] * size + predicted[known], minlength=size * size).reshape(size, size)


def confused_pairs(confusion: Int[np.ndarray, "C C"], labels: Sequence[str], *, limit: int = 10) -> list[ConfusedPair]:
    """The most frequent errors, the most frequent first; ties in the order of the labels."""
    errors = confusion - np.diag(np.diag(confusion))
    order = np.argsort(-errors, axis=None, kind="stable")[:limit]
    places = [divmod(int(place), len(labels)) for place in order]
    return [
        ConfusedPair(target=labels[row], prediction=labels[column], n=int(errors[row, column]))
        for row, column in places
        if errors[row, column]
    ]
