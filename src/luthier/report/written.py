"""Texts that a model wrote: the worst and the best of them by chrF, each beside what is right."""

import numpy as np

from luthier.evaluation.measures.chrf import best_counts, chrf_of
from luthier.evaluation.records import Predictions
from luthier.evaluation.references import said_and_references

BEST_SHARE = 3  # one in so many of those shown is among the best


def worst_and_best(tuned: Predictions, most: int) -> list[tuple[int, str]]:
    """Rows of predictions, the worst first and then the best, with a note on each.

    Example:
        >>> from luthier.evaluation.text_predictions import text_predictions
        >>> said = text_predictions(example_ids=["a", "b", "c"], targets=["cat", "dog", "owl"], predictions=["cat", "x", "own"])
        >>> worst_and_best(said, 2)
        [(1, 'chrF 0.0 %'), (0, 'among the best: chrF 100.0 %')]
    """
    counts = [best_counts(said, references) for said, references in said_and_references(tuned)]
    if not counts:
        return []
    scores = chrf_of(np.array(counts, dtype=np.float64))
    order = np.argsort(scores, kind="stable")
    number = min(most, len(order))
    best = order[::-1][: max(1, number // BEST_SHARE) if number > 1 else 0]
    worst = order[: number - len(best)]
    shown = [(int(row), f"chrF {100 * scores[row]:.1f} %") for row in worst]
    return shown + [(int(row), f"among the best: chrF {100 * scores[row]:.1f} %") for row in best]
