"""Proper scores of the probabilities: a model does best by saying what it believes. Lower is better."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from luthier.evaluation.predictions import UNSEEN, prob_matrix, target_indices
from luthier.evaluation.records import Direction, Predictions

SMALLEST_PROB = float(np.finfo(np.float32).eps)


@dataclass(frozen=True, kw_only=True)
class MeanPenalty:
    """The mean over examples of a penalty."""

    name: str
    penalty: Callable[[Predictions], Float[np.ndarray, " N"]]
    direction: Direction = "lower"

    def stats(self, predictions: Predictions) -> Float[np.ndarray, "N 2"]:
        """The penalty, and one for the count."""
        penalty = self.penalty(predictions)
        return np.stack([penalty, np.ones(len(penalty))], axis=1)

    def value(self, summed: Float[np.ndarray, "*S 2"]) -> Float[np.ndarray, "*S"]:
        """Summed penalties over the count."""
        return np.asarray(summed[..., 0] / np.maximum(summed[..., 1], 1))


def target_probs(predictions: Predictions) -> Float[np.ndarray, " N"]:
    """The probability given to each target; 0 for a target that is no label of the model."""
    targets = target_indices(predictions)
    probs = prob_matrix(predictions).astype(np.float64)
    return np.where(targets == UNSEEN, 0.0, probs[np.arange(len(targets)), targets])


def _log_penalty(predictions: Predictions) -> Float[np.ndarray, " N"]:
    """Minus the natural logarithm of the target's probability, which counts as float32's epsilon at least."""
    return np.asarray(-np.log(np.maximum(target_probs(predictions), SMALLEST_PROB)))


def _squared_penalty(predictions: Predictions) -> Float[np.ndarray, " N"]:
    """Squared distance of the probabilities from the truth, summed over the labels: 0 to 2 (Brier, 1950)."""
    probs = prob_matrix(predictions).astype(np.float64)
    return np.asarray((probs**2).sum(axis=1) - 2 * target_probs(predictions) + 1)


LOG_LOSS = MeanPenalty(name="log_loss", penalty=_log_penalty)
BRIER = MeanPenalty(name="brier", penalty=_squared_penalty)
