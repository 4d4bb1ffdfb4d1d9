"""How well the probabilities rank the examples; does not decompose into sums, so each resample sorts anew."""

import numpy as np
from jaxtyping import Bool, Float, Int

from luthier.evaluation.predictions import prob_matrix, target_indices
from luthier.evaluation.records import Direction, Predictions


class RocAuc:
    """Area under the ROC curve: the chance that a random example of a class ranks above a random one of the others.

    Two labels: of the second label. More: each label against the rest, mean over the labels that have examples on both
    sides. Where no label has, there is nothing to rank, and the value is 0.5.

    Cost: sorts N probabilities per label and resample; with 150 labels prefer measures that decompose.
    """

    name = "roc_auc"
    direction: Direction = "higher"

    def value_of(self, predictions: Predictions, indices: Int[np.ndarray, " n"]) -> float:
        """The area for the examples at `indices`."""
        targets = target_indices(predictions)[indices]
        probs = prob_matrix(predictions)[indices]
        places = [1] if probs.shape[1] == 2 else range(probs.shape[1])
        areas = [area_under_curve(probs[:, place], targets == place) for place in places]
        return float(np.mean([area for area in areas if area is not None] or [0.5]))


def area_under_curve(scores: Float[np.ndarray, " N"], positive: Bool[np.ndarray, " N"]) -> float | None:
    """Mann and Whitney's statistic over its maximum, ties counting half; None if one side is empty."""
    others = np.sort(scores[~positive])
    own = scores[positive]
    if not len(others) or not len(own):
        return None
    below = np.searchsorted(others, own, side="left") + np.searchsorted(others, own, side="right")
    return float(below.mean() / 2 / len(others))


ROC_AUC = RocAuc()
