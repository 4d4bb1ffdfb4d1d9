"""Whether larger answers go with larger targets, whatever their size; does not decompose into sums of the examples."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from luthier.evaluation.numbers import answered_numbers, target_numbers
from luthier.evaluation.records import Direction, Predictions


class Spearman:
    """Pearson's correlation of the ranks, equal numbers sharing their mean rank; 0 where targets or answers do not vary.

    Cost: sorts once; a resample costs a few sums.
    """

    name = "spearman"
    direction: Direction = "higher"

    def value_of(self, predictions: Predictions, indices: Int[np.ndarray, " n"]) -> float:
        """The correlation for the examples at `indices`."""
        return self.prepare(predictions)(np.bincount(indices, minlength=predictions.table.num_rows).astype(np.float64))

    def prepare(self, predictions: Predictions) -> Callable[[Float[np.ndarray, " N"]], float]:
        """From how often each example counts to the correlation."""
        _, of_target = np.unique(target_numbers(predictions), return_inverse=True)
        _, of_answer = np.unique(answered_numbers(predictions), return_inverse=True)

        def correlation(weights: Float[np.ndarray, " N"]) -> float:
            first, second = (_ranks(places, weights) for places in (of_target, of_answer))
            total = max(float(weights.sum()), 1.0)
            first, second = first - (weights @ first) / total, second - (weights @ second) / total
            spreads = float(weights @ first**2) * float(weights @ second**2)
            return float(np.clip(weights @ (first * second) / np.sqrt(spreads), -1, 1)) if spreads > 0 else 0.0

        return correlation


def _ranks(places: Int[np.ndarray, " N"], weights: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """The mean rank of each example among all, each repeated as often as its weight says."""
    counts = np.bincount(places, weights)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[places])


SPEARMAN = Spearman()
