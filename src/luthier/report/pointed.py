"""Answers that are pieces of a text: which were worst, and what became of all of them."""

from collections.abc import Mapping
from typing import Any

from luthier.evaluation.measures.answer_text import ANSWERS, best_agreement, token_f1
from luthier.evaluation.measures.spans import pieces_of
from luthier.evaluation.records import Predictions
from luthier.report import wording

Worst = tuple[str, float | None, str]  # example, confidence, what is wrong

# By the key of the card's details: what each count is called.
OUTCOMES: Mapping[str, Mapping[str, str]] = {
    "questions": {
        "right": "Answered right",
        "partly_right": "Partly right",
        "elsewhere": "Answered with other words",
        "withheld": "Not answered, though there is an answer",
        "made_up": "Answered, though there is none",
    },
    "rankings": {
        "first": "A relevant document stands first",
        "in_ten": "among the first ten",
        "later": "later among the hundred that were looked at",
        "nowhere": "not among them",
    },
    "slots": {
        "right": "Found whole",
        "other_extent": "Found, but too short, too long or shifted",
        "elsewhere": "Found elsewhere",
        "missed": "Missed",
        "made_up": "Named, though there is none",
    },
}


def worst_answers(tuned: Predictions, most: int) -> list[Worst]:
    """Those that share fewest words with what is accepted, the most confident first."""
    rows = tuned.table.to_pylist()
    agreements = [best_agreement(token_f1, row["prediction"], row[ANSWERS]) for row in rows]
    wrong = [place for place, agreement in enumerate(agreements) if agreement < 1]
    wrong.sort(key=lambda place: (agreements[place], -rows[place]["confidence"]))
    return [
        (rows[place]["example_id"], rows[place]["confidence"], _about(rows[place], agreements[place])) for place in wrong[:most]
    ]


def _about(row: Mapping[str, Any], agreement: float) -> str:
    if not row[ANSWERS]:
        return "an answer was given, and there is none"
    if not row["prediction"]:
        return "no answer was given, and there is one"
    return f"F1 {agreement:.2f}" if agreement else "not a word in common"


def worst_slots(tuned: Predictions, most: int) -> list[Worst]:
    """The texts with most pieces missed or named in vain."""
    found = []
    for row in tuned.table.to_pylist():
        target, answer = pieces_of(row["target"]), pieces_of(row["prediction"])
        missed, wrongly = (sorted(name for name, *_ in pieces) for pieces in (target - answer, answer - target))
        parts = [f"missed {', '.join(missed)}"] * bool(missed) + [f"wrongly named {', '.join(wrongly)}"] * bool(wrongly)
        found.append((len(missed) + len(wrongly), row["example_id"], "; ".join(parts)))
    found = sorted((item for item in found if item[0]), key=lambda item: -item[0])
    return [(name, None, note) for _, name, note in found[:most]]


def outcomes(details: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What became of the questions, or of the pieces to be found; empty for other kinds of answers."""
    return [
        (words[name], wording.thousands(count))
        for key, words in OUTCOMES.items()
        for name, count in (details.get(key) or {}).items()
        if name in words
    ]
