"""Where the model was wrong: the most confident wrong answers, and the confusion matrix cut to a size one can read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

MOST_MISTAKES = 12
MOST_LABELS = 14
ALL_OTHERS = "all others"


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A wrong answer on the test part.

    Attributes:
        confidence: Probability the model gave to its answer; None where it gives none.
        target_confidence: Probability it gave to the right label; None where it does not know that label.
    """

    example_id: str
    target: str
    prediction: str
    confidence: float | None = None
    target_confidence: float | None = None


@dataclass(frozen=True, kw_only=True)
class HeatMap:
    """A confusion matrix to look at.

    Attributes:
        columns: The answers; the last is "all others" if some were put together.
        rows: (right label, counts of the answers given), one count per column.
        num_labels: How many labels there are in all.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int, ...]], ...]
    num_labels: int


def read_mistakes(path: Path, *, most: int = MOST_MISTAKES) -> tuple[Mistake, ...]:
    """The most confident wrong answers of the tuned model; in the file's order where it holds no probabilities."""
    if not path.is_file():
        return ()
    import pyarrow.compute as pc

    from luthier.evaluation.predictions import read_predictions

    tuned = read_predictions(path)["tuned"]
    if not {"example_id", "target", "prediction"} <= set(tuned.table.column_names):
        return ()
    wrong = tuned.table.filter(pc.not_equal(tuned.table["target"], tuned.table["prediction"]))
    places = {label: place for place, label in enumerate(tuned.labels)}
    mistakes = [_mistake(row, places) for row in wrong.to_pylist()]
    mistakes.sort(key=lambda mistake: -(mistake.confidence or 0))
    return tuple(mistakes[:most])


def _mistake(row: dict[str, object], places: dict[str, int]) -> Mistake:
    target, prediction = str(row["target"]), str(row["prediction"])
    probs = row.get("probs")
    known = dict(zip(places, probs, strict=True)) if isinstance(probs, list) else {}
    return Mistake(
        example_id=str(row["example_id"]),
        target=target,
        prediction=prediction,
        confidence=known.get(prediction),
        target_confidence=known.get(target),
    )


def heat_map(confusion: Sequence[Sequence[int]], labels: Sequence[str], *, most: int = MOST_LABELS) -> HeatMap:
    """The confusion matrix; of more than `most` labels only those with the most mistakes, the other answers put together.

    Example:
        >>> heat_map([[8, 2, 0], [1, 9, 0], [0, 0, 5]], ["a", "b", "c"], most=2).rows
        (('a', (8, 2, 0)), ('b', (1, 9, 0)))
    """
    matrix = np.asarray(confusion)
    if len(labels) <= most:
        rows = tuple((label, tuple(map(int, counts))) for label, counts in zip(labels, matrix, strict=True))
        return HeatMap(columns=tuple(labels), rows=rows, num_labels=len(labels))
    shown = _most_confused(matrix, most)
    rest = np.setdiff1d(np.arange(len(labels)), shown)
    rows = tuple((labels[row], (*map(int, matrix[row, shown]), int(matrix[row, rest].sum()))) for row in shown)
    return HeatMap(columns=(*(labels[place] for place in shown), ALL_OTHERS), rows=rows, num_labels=len(labels))


def _most_confused(matrix: Int[np.ndarray, "C C"], most: int) -> Int[np.ndarray, " most"]:
    """Labels in the worst pairs, worst pair first, so that labels confused with each other stand side by side."""
    off = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-np.triu(off + off.T), axis=None, kind="stable")
    places = np.stack(np.unravel_index(order, off.shape), axis=1).reshape(-1)
    first_seen = np.unique(places, return_index=True)[1]
    return places[np.sort(first_seen)][:most]
