"""How well the probabilities find a class: precision over all cuts of the ranking; says more than ROC where it is rare."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

from luthier.evaluation.predictions import prob_matrix, target_indices
from luthier.evaluation.records import Direction, Predictions


class AveragePrecision:
    """The precision at each place of the ranking where an example of the class stands, averaged over them.

    Two labels: of the second label. More: of each label, mean over the labels that have examples. Examples of equal probability
    share a place. Where nothing can be ranked the value is 0. What chance gives is the share of the class.

    Cost: sorts N probabilities per label once; a resample costs two sums over them.
    Source: Davis & Goadrich 2006, "The relationship between precision-recall and ROC curves"; ties as in scikit-learn.
    """

    name = "average_precision"
    direction: Direction = "higher"

    def value_of(self, predictions: Predictions, indices: Int[np.ndarray, " n"]) -> float:
        """The average for the examples at `indices`."""
        return self.prepare(predictions)(np.bincount(indices, minlength=predictions.table.num_rows).astype(np.float64))

    def prepare(self, predictions: Predictions) -> Callable[[Float[np.ndarray, " N"]], float]:
        """From how often each example counts to the average."""
        targets, probs = target_indices(predictions), prob_matrix(predictions)
        places = [1] if probs.shape[1] == 2 else range(probs.shape[1])
        ranked = [_ranked(probs[:, place], targets == place) for place in places]

        def mean(weights: Float[np.ndarray, " N"]) -> float:
            found = [value for order, last, positive in ranked if (value := _average(weights[order], last, positive)) >= 0]
            return float(np.mean(found)) if found else 0.0

        return mean


def _ranked(
    scores: Float[np.ndarray, " N"], positive: Bool[np.ndarray, " N"]
) -> tuple[Int[np.ndarray, " N"], Int[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
    """The order from high to low, the last place with the same score of each place, and which places are of the class."""
    order = np.argsort(-scores, kind="stable")
    ordered = -scores[order]
    return order, np.searchsorted(ordered, ordered, side="right") - 1, positive[order]


def _average(counts: Float[np.ndarray, " N"], last: Int[np.ndarray, " N"], positive: Bool[np.ndarray, " N"]) -> float:
    """Of a ranking whose places count so often; -1 where none is of the class."""
    hits = counts * positive
    found, passed = np.cumsum(hits), np.cumsum(counts)
    if not len(found) or not found[-1]:
        return -1.0
    return float((hits * found[last] / np.maximum(passed[last], 1)).sum() / found[-1])


AVERAGE_PRECISION = AveragePrecision()
