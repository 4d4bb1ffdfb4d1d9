"""How well the probabilities rank the examples; does not decompose into sums of the examples."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

from luthier.evaluation.label_sets import label_matrix
from luthier.evaluation.predictions import prob_matrix, target_indices
from luthier.evaluation.records import Direction, Predictions


class RocAuc:
    """Area under the ROC curve: the chance that a random example of a class ranks above a random one of the others.

    Two labels: of the second label. More: each label against the rest, mean over the labels that have examples on both
    sides. Where no label has, there is nothing to rank, and the value is 0.5.

    Cost: sorts N probabilities per label once; a resample costs a sum over them.
    """

    name = "roc_auc"
    direction: Direction = "higher"

    def value_of(self, predictions: Predictions, indices: Int[np.ndarray, " n"]) -> float:
        """The area for the examples at `indices`."""
        return self.prepare(predictions)(np.bincount(indices, minlength=predictions.table.num_rows).astype(np.float64))

    def prepare(self, predictions: Predictions) -> Callable[[Float[np.ndarray, " N"]], float]:
        """From how often each example counts to the area."""
        targets, probs = target_indices(predictions), prob_matrix(predictions)
        places = [1] if probs.shape[1] == 2 else range(probs.shape[1])
        ranked = [(np.argsort(probs[:, place], kind="stable"), place) for place in places]
        bounds = [_equals(probs[order, place]) for order, place in ranked]
        sides = [(targets == place)[order] for order, place in ranked]

        def mean(weights: Float[np.ndarray, " N"]) -> float:
            areas = [
                area
                for (order, _), equals, positive in zip(ranked, bounds, sides, strict=True)
                if (area := _area(weights[order], *equals, positive)) is not None
            ]
            return float(np.mean(areas or [0.5]))

        return mean


def _equals(ordered: Float[np.ndarray, " N"]) -> tuple[Int[np.ndarray, " N"], Int[np.ndarray, " N"]]:
    """For each place of an ascending order the first place of equal scores, and the first place behind them."""
    return np.searchsorted(ordered, ordered, side="left"), np.searchsorted(ordered, ordered, side="right")


def _area(
    counts: Float[np.ndarray, " N"],
    first: Int[np.ndarray, " N"],
    behind: Int[np.ndarray, " N"],
    positive: Bool[np.ndarray, " N"],
) -> float | None:
    """Mann and Whitney's statistic over its maximum, ties counting half; None if one side is empty."""
    own, others = counts * positive, np.concatenate([[0.0], np.cumsum(counts * ~positive)])
    if not own.sum() or not others[-1]:
        return None
    return float((own * (others[first] + others[behind])).sum() / 2 / own.sum() / others[-1])


ROC_AUC = RocAuc()


class MeanAveragePrecision:
    """Average precision of each label, mean over the labels that some example has; 0 if none has any.

    The average precision of a label is the precision at each place of the ranking where one of its examples stands, averaged
    over them; examples of equal probability share a place. Where several labels of an example are possible.

    Cost: sorts N probabilities per label once; a resample costs two sums over them.
    Source: Manning et al., Introduction to Information Retrieval, 2008, section 8.4; ties as in scikit-learn.
    """

    name = "mean_average_precision"
    direction: Direction = "higher"

    def value_of(self, predictions: Predictions, indices: Int[np.ndarray, " n"]) -> float:
        """The mean for the examples at `indices`."""
        return self.prepare(predictions)(np.bincount(indices, minlength=predictions.table.num_rows).astype(np.float64))

    def prepare(self, predictions: Predictions) -> Callable[[Float[np.ndarray, " N"]], float]:
        """From how often each example counts to the mean."""
        has_label, probs = label_matrix(predictions, "target")[:, :-1] > 0, prob_matrix(predictions)
        order = np.argsort(-probs, axis=0, kind="stable")
        ranked, positive = np.take_along_axis(probs, order, axis=0), np.take_along_axis(has_label, order, axis=0)
        last = _last_of_equals(ranked)

        def mean(weights: Float[np.ndarray, " N"]) -> float:
            counts = weights[order]
            hits = counts * positive
            passed, found = np.cumsum(counts, axis=0), np.cumsum(hits, axis=0)
            precision = np.take_along_axis(found, last, axis=0) / np.maximum(np.take_along_axis(passed, last, axis=0), 1)
            there = found[-1] > 0
            averages = (hits * precision).sum(axis=0)[there] / found[-1][there]
            return float(averages.mean()) if there.any() else 0.0

        return mean


def _last_of_equals(ranked: Float[np.ndarray, "N C"]) -> Int[np.ndarray, "N C"]:
    """For each place of each ranked column, the last place with the same value."""
    size = len(ranked)
    ends = np.ones(ranked.shape, dtype=bool)
    ends[:-1] = ranked[:-1] != ranked[1:]
    places = np.where(ends, np.arange(size)[:, None], size)
    return np.asarray(np.minimum.accumulate(places[::-1], axis=0)[::-1])


MEAN_AVERAGE_PRECISION = MeanAveragePrecision()
