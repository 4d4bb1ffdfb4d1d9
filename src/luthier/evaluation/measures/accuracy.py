"""Measures by which each example is simply right or wrong."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from luthier.evaluation.label_sets import label_matrix
from luthier.evaluation.predictions import UNSEEN, prediction_indices, prob_matrix, target_indices
from luthier.evaluation.records import Direction, Predictions


@dataclass(frozen=True, kw_only=True)
class Proportion:
    """The share of examples that are right; compared by McNemar's exact test where the examples are independent.

    Attributes:
        is_right: Whether each example is right.
    """

    name: str
    is_right: Callable[[Predictions], Bool[np.ndarray, " N"]]
    direction: Direction = "higher"

    def stats(self, predictions: Predictions) -> Float[np.ndarray, "N 2"]:
        """Right or wrong, and one for the count."""
        right = self.is_right(predictions)
        return np.stack([right, np.ones(len(right))], axis=1)

    def value(self, summed: Float[np.ndarray, "*S 2"]) -> Float[np.ndarray, "*S"]:
        """Right ones over all."""
        return np.asarray(summed[..., 0] / np.maximum(summed[..., 1], 1))


def _is_predicted(predictions: Predictions) -> Bool[np.ndarray, " N"]:
    return np.asarray(target_indices(predictions) == prediction_indices(predictions))


def _is_among_first_three(predictions: Predictions) -> Bool[np.ndarray, " N"]:
    targets = target_indices(predictions)
    probs = prob_matrix(predictions)
    of_target = np.take_along_axis(probs, np.maximum(targets, 0)[:, None], axis=1)
    # A tie is broken as argsort breaks it: the label that stands later in the list ranks higher, as in scikit-learn.
    places = np.arange(probs.shape[1])
    ahead = (probs > of_target) | ((probs == of_target) & (places > targets[:, None]))
    return np.asarray((ahead.sum(axis=1) < 3) & (targets != UNSEEN))


def _is_whole_set_right(predictions: Predictions) -> Bool[np.ndarray, " N"]:
    actual, given = (label_matrix(predictions, column) for column in ("target", "prediction"))
    return np.asarray((actual == given).all(axis=1))


ACCURACY = Proportion(name="accuracy", is_right=_is_predicted)
TOP_3_ACCURACY = Proportion(name="top_3_accuracy", is_right=_is_among_first_three)
SUBSET_ACCURACY = Proportion(name="subset_accuracy", is_right=_is_whole_set_right)
