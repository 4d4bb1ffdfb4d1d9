"""A number per example: how large the errors are, where they lie, and a sample of points to draw."""

import numpy as np
from jaxtyping import Float

from luthier.evaluation.details.details import Details
from luthier.evaluation.numbers import answered_numbers, target_numbers
from luthier.evaluation.records import Predictions

MOST_POINTS = 600
BANDS = 5
BINS = 25
SHARES = (0.5, 0.8, 0.9, 0.95)


def details_of_number(predictions: Predictions) -> Details:
    """Errors in all, their distribution, by the size of the target, and points spread over the order of the targets."""
    targets, answers = target_numbers(predictions), answered_numbers(predictions)
    errors = answers - targets
    order = np.argsort(targets, kind="stable")
    shown = order[np.unique(np.linspace(0, len(order) - 1, min(MOST_POINTS, len(order))).astype(np.int64))]
    counts, edges = np.histogram(errors, bins=min(BINS, max(5, len(errors) // 4)))
    more = {
        "mean_error": float(errors.mean()),
        "largest_error": float(np.abs(errors).max()),
        "distance_quantiles": {f"{share:g}": float(np.quantile(np.abs(errors), share)) for share in SHARES},
        "range": [float(targets.min()), float(targets.max())],
        "bands": bands(targets, answers),
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
        "points": [[float(targets[row]), float(answers[row])] for row in shown],
    }
    return Details(more=more)


def bands(targets: Float[np.ndarray, " N"], answers: Float[np.ndarray, " N"]) -> list[dict[str, float]]:
    """The errors in fifths of the targets, from small to large; equal targets share a band.

    Example:
        >>> bands(np.array([1.0, 1.0, 9.0, 9.0]), np.array([2.0, 1.0, 9.0, 7.0]))[-1]
        {'low': 9.0, 'high': 9.0, 'n': 2, 'mean_error': -1.0, 'mean_distance': 1.0}
    """
    edges = np.quantile(targets, np.linspace(0, 1, BANDS + 1)[1:-1])
    places = np.searchsorted(edges, targets, side="right")
    found = []
    for place in np.unique(places):
        own = places == place
        errors = answers[own] - targets[own]
        found.append(
            {
                "low": float(targets[own].min()),
                "high": float(targets[own].max()),
                "n": int(own.sum()),
                "mean_error": float(errors.mean()),
                "mean_distance": float(np.abs(errors).mean()),
            }
        )
    return found
