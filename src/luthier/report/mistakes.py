"""Where the model was wrong: the worst answers, and the confusion matrix cut to a size one can read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from luthier.core.names import count_of
from luthier.evaluation.records import Predictions
from luthier.report.boxes import worst_pictures
from luthier.report.marked import surest_wrong_rows
from luthier.report.pointed import worst_answers, worst_slots
from luthier.report.rankings import worst_likeness, worst_rankings
from luthier.report.written import worst_and_best

MOST_MISTAKES = 12
MOST_LABELS = 14
LEAST_TOLD = 10  # tokens of a text whose perplexity says something
ALL_OTHERS = "all others"
NO_LABEL = "none"


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A wrong answer on the test part.

    Attributes:
        target, prediction: What was right and what was answered; empty where the example itself shows both.
        confidence: Probability the model gave to its answer; None where it gives none.
        target_confidence: Probability it gave to the right label; None where it does not know that label.
        note: What is wrong with it, where that is not plain to see.
        target_tags, tags: Where every word has a tag: the right ones, and those given.
    """

    example_id: str
    target: str = ""
    prediction: str = ""
    confidence: float | None = None
    target_confidence: float | None = None
    note: str = ""
    target_tags: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


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
    """The worst answers of the tuned model.

    Of labels the most confident wrong ones, of several labels those with most of them wrong, of numbers those farthest off, of
    texts that were written the worst and a few of the best; of any other kind the wrong ones in the file's order.
    Of labels the most confident wrong ones, of several labels and of boxes those with most of them wrong, of numbers those
    farthest off; of any other kind the wrong ones in the file's order.
    """
    if not path.is_file():
        return ()
    from luthier.evaluation.predictions import read_predictions

    tuned = read_predictions(path)["tuned"]
    if tuned.answer_kind == "likelihood":
        return tuple(_worst_told(tuned, most))
    if not {"example_id", "target", "prediction"} <= set(tuned.table.column_names):
        return ()
    by_kind = {
        "labels": _worst_sets,
        "number": _farthest_numbers,
        "entities": _surest_tags,
        "tags": _surest_tags,
        "answer": _pointed,
        "slots": _pointed,
        "relevance": _compared,
        "similarity": _compared,
        "text": _written,
        "boxes": _worst_boxes,
    }
    worst = by_kind.get(tuned.answer_kind, _most_confident)
    return tuple(worst(tuned, most))


def _compared(tuned: Predictions, most: int) -> list[Mistake]:
    worst = worst_rankings if tuned.answer_kind == "relevance" else worst_likeness
    return [
        Mistake(example_id=name, target=target, prediction=prediction, confidence=None, target_confidence=None, note=note)
        for name, target, prediction, note in worst(tuned, most)
    ]


def _written(tuned: Predictions, most: int) -> list[Mistake]:
    """Texts from the worst to the best, beside the first that is right."""
    rows = tuned.table.to_pylist()
    return [
        Mistake(
            example_id=str(rows[place]["example_id"]),
            target=str(rows[place]["target"]),
            prediction=str(rows[place]["prediction"]),
            note=note,
        )
        for place, note in worst_and_best(tuned, most)
    ]


def _most_confident(tuned: Predictions, most: int) -> list[Mistake]:
    import pyarrow as pa
    import pyarrow.compute as pc

    targets, answers = tuned.table["target"], tuned.table["prediction"]
    if pa.types.is_nested(targets.type):
        pairs = zip(targets.to_pylist(), answers.to_pylist(), strict=True)
        wrong = tuned.table.filter(pa.array([target != answer for target, answer in pairs], pa.bool_()))
    else:
        wrong = tuned.table.filter(pc.not_equal(targets, answers))
    places = {label: place for place, label in enumerate(tuned.labels)}
    mistakes = [_mistake(row, places) for row in wrong.to_pylist()]
    mistakes.sort(key=lambda mistake: -(mistake.confidence or 0))
    return mistakes[:most]


def _mistake(row: dict[str, object], places: dict[str, int]) -> Mistake:
    target, prediction = _shown(row["target"]), _shown(row["prediction"])
    probs = row.get("probs")
    known = dict(zip(places, probs, strict=True)) if isinstance(probs, list) and places else {}
    return Mistake(
        example_id=str(row["example_id"]),
        target=target,
        prediction=prediction,
        confidence=known.get(prediction),
        target_confidence=known.get(target),
    )


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or NO_LABEL
    return NO_LABEL if value is None else str(value)


def _worst_sets(tuned: Predictions, most: int) -> list[Mistake]:
    """Those whose probabilities are farthest from the truth, of the sets that are not right."""
    from luthier.evaluation.label_sets import label_matrix
    from luthier.evaluation.predictions import prob_matrix

    true, given = (label_matrix(tuned, column) for column in ("target", "prediction"))
    distance = np.abs(true[:, :-1] - prob_matrix(tuned)).sum(axis=1) + true[:, -1]
    wrong = np.flatnonzero((true != given).any(axis=1))
    rows = wrong[np.argsort(-distance[wrong], kind="stable")][:most]
    mistakes = []
    for row in tuned.table.take(rows).to_pylist():
        missed = [label for label in row["target"] if label not in row["prediction"]]
        wrongly = [label for label in row["prediction"] if label not in row["target"]]
        parts = [f"missed {', '.join(missed)}"] * bool(missed) + [f"wrongly gave {', '.join(wrongly)}"] * bool(wrongly)
        mistakes.append(
            Mistake(
                example_id=row["example_id"],
                target=_shown(row["target"]),
                prediction=_shown(row["prediction"]),
                note="; ".join(parts),
            )
        )
    return mistakes


def _surest_tags(tuned: Predictions, most: int) -> list[Mistake]:
    """The rows with a wrong tag of which the model was surest."""
    rows = surest_wrong_rows(tuned, most)
    taken = tuned.table.take([row for row, _ in rows]).to_pylist()
    return [
        Mistake(
            example_id=row["example_id"],
            target=_shown(row["target"]),
            prediction=_shown(row["prediction"]),
            confidence=sure,
            target_tags=tuple(row["target"]),
            tags=tuple(row["prediction"]),
        )
        for row, (_, sure) in zip(taken, rows, strict=True)
    ]


def _farthest_numbers(tuned: Predictions, most: int) -> list[Mistake]:
    from luthier.evaluation.display import format_number
    from luthier.evaluation.numbers import answered_numbers, target_numbers

    targets, answers = target_numbers(tuned), answered_numbers(tuned)
    rows = np.argsort(-np.abs(answers - targets), kind="stable")[:most]
    ids = tuned.table["example_id"].take(rows).to_pylist()
    return [
        Mistake(
            example_id=name,
            target=format_number(targets[row]),
            prediction=format_number(answers[row]),
            note=f"{format_number(abs(answers[row] - targets[row]))} too {'high' if answers[row] > targets[row] else 'low'}",
        )
        for name, row in zip(ids, rows, strict=True)
        if answers[row] != targets[row]
    ]


def _worst_told(tuned: Predictions, most: int) -> list[Mistake]:
    """The texts that are told worst, for each of their tokens; very short ones are left out: chance decides about them."""
    from luthier.evaluation.display import format_number

    loss, tokens = (tuned.table[name].to_numpy(zero_copy_only=False) for name in ("loss", "tokens"))
    per_token = np.where(tokens >= min(LEAST_TOLD, tokens.max(initial=0)), loss / np.maximum(tokens, 1), -np.inf)
    rows = np.argsort(-per_token, kind="stable")[:most]
    ids = tuned.table["example_id"].take(rows).to_pylist()
    return [
        Mistake(
            example_id=name,
            note=f"perplexity {format_number(float(np.exp(per_token[row])))} over {count_of(int(tokens[row]), 'token')}",
        )
        for name, row in zip(ids, rows, strict=True)
        if np.isfinite(per_token[row])
    ]


def _pointed(tuned: Predictions, most: int) -> list[Mistake]:
    """Of pieces of a text the worst; users' words are left to the examples, in which both sides are marked."""
    worst = worst_answers if tuned.answer_kind == "answer" else worst_slots
    return [Mistake(example_id=name, confidence=sure, note=note) for name, sure, note in worst(tuned, most)]


def _worst_boxes(tuned: Predictions, most: int) -> list[Mistake]:
    """The pictures with most boxes missed or made up; they are drawn."""
    return [Mistake(example_id=name, note=note) for name, _, note in worst_pictures(tuned, most)]


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
