"""Does a confidence of 80 % come true in 80 % of cases? The reliability curve, its error, and the temperature that would help.

The temperature is only reported; nothing rescales the probabilities of a model that was measured without it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from luthier.core.rows import slices_of
from luthier.evaluation.bootstrap import bootstrap_weights
from luthier.evaluation.label_sets import label_matrix
from luthier.evaluation.predictions import UNSEEN, prediction_indices, prob_matrix, target_indices, unit_indices
from luthier.evaluation.records import Predictions

NUM_BINS = 15


@dataclass(frozen=True, kw_only=True)
class ReliabilityPoint:
    """One bin of the reliability curve.

    Attributes:
        confidence: Mean probability of the predicted label.
        accuracy: Share that is right.
        n: Examples in the bin.
    """

    confidence: float
    accuracy: float
    n: int


def confidences(predictions: Predictions) -> tuple[Float[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
    """The probability of each predicted label, and whether it is right; of several labels each that is given counts."""
    if predictions.answer_kind == "labels":
        true, given = (label_matrix(predictions, column)[:, :-1] > 0 for column in ("target", "prediction"))
        return prob_matrix(predictions)[given].astype(np.float64), true[given]
    predicted = prediction_indices(predictions)
    chosen = prob_matrix(predictions)[np.arange(len(predicted)), predicted].astype(np.float64)
    return chosen, predicted == target_indices(predictions)


def reliability_curve(
    confidence: Float[np.ndarray, " N"], right: Bool[np.ndarray, " N"], *, num_bins: int = NUM_BINS
) -> list[ReliabilityPoint]:
    """Confidence against accuracy in bins that hold equally many examples; equal confidences share a bin.

    Source: Nguyen & O'Connor, Posterior calibration and exploratory analysis for NLP models, 2015 (equal-mass bins).
    """
    if not len(confidence):
        return []
    edges = np.quantile(confidence, np.linspace(0, 1, num_bins + 1))
    bins = np.searchsorted(edges[1:-1], confidence)
    counts = np.bincount(bins, minlength=num_bins)
    filled = np.flatnonzero(counts)
    means = np.bincount(bins, confidence, minlength=num_bins)[filled] / counts[filled]
    shares = np.bincount(bins, right, minlength=num_bins)[filled] / counts[filled]
    return [
        ReliabilityPoint(confidence=float(mean), accuracy=float(share), n=int(n))
        for mean, share, n in zip(means, shares, counts[filled], strict=True)
    ]


def calibration_error(confidence: Float[np.ndarray, " N"], right: Bool[np.ndarray, " N"], *, num_bins: int = NUM_BINS) -> float:
    """Expected calibration error: the mean distance of the curve from the diagonal, weighted by examples; 0 to 1.

    Example:
        >>> calibration_error(np.array([0.8, 0.8, 0.8, 0.8]), np.array([True, True, False, False]))
        0.3
    """
    points = reliability_curve(confidence, right, num_bins=num_bins)
    distance = sum(point.n * abs(point.confidence - point.accuracy) for point in points)
    return round(distance / max(len(confidence), 1), 12)


def best_temperature(predictions: Predictions) -> float:
    """The temperature that would give these (validation) predictions the lowest log loss: above 1 is over-confidence.

    Searched between 1/20 and 20. Targets that are no label have no say.

    Source: Guo et al., On calibration of modern neural networks, 2017.
    """
    from scipy.optimize import minimize_scalar

    targets = target_indices(predictions)
    known = np.flatnonzero(targets != UNSEEN)
    probs = prob_matrix(predictions)

    def loss(log_temperature: float) -> float:
        losses = np.empty(len(known))
        for part in slices_of(probs):
            rows = known[part]
            # float32's smallest normal number keeps the logarithm finite without changing any stored probability.
            logits = np.log(np.maximum(probs[rows].astype(np.float64), np.finfo(np.float32).tiny))
            scaled = logits / np.exp(log_temperature)
            top = scaled.max(axis=1)
            total = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
            losses[part] = total - scaled[np.arange(len(rows)), targets[rows]]
        return float(losses.mean())

    if not len(known):
        return 1.0
    limit = float(np.log(20))
    return float(np.exp(minimize_scalar(loss, bounds=(-limit, limit), method="bounded").x))


def error_grew(before: Predictions, after: Predictions, *, confidence: float, samples: int, seed: int) -> bool:
    """Whether the calibration error grew by more than the chance of the sample: the paired bootstrap interval is above zero.

    The predictions must be aligned.
    """
    units = unit_indices(before)
    rows = np.arange(len(units))
    old_confidence, old_right = confidences(before)
    new_confidence, new_right = confidences(after)
    growth = []
    for weights in bootstrap_weights(int(units.max()) + 1, samples=samples, seed=seed):
        for column in weights.T:
            drawn = np.repeat(rows, column[units].astype(np.int64))
            old = calibration_error(old_confidence[drawn], old_right[drawn])
            growth.append(calibration_error(new_confidence[drawn], new_right[drawn]) - old)
    return bool(np.quantile(growth, (1 - confidence) / 2) > 0)
