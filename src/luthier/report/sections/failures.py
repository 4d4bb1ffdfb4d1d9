"""Section 5: where it fails. Labels from worst to best, pairs taken for each other; errors of numbers; the worst answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from luthier.evaluation.display import format_number
from luthier.report import wording
from luthier.report.figures_of_numbers import draw_answers, draw_errors
from luthier.report.marked import Piece, pieces_of
from luthier.report.mistakes import ALL_OTHERS, Mistake, heat_map
from luthier.report.pointed import outcomes
from luthier.report.records import RunRecords
from luthier.report.section import Section

WORST_LABELS = 12
WORST_PAIRS = 8
# Heading and explanation of the worst answers, by the kind of answer.
WORST = {
    "label": (
        "The most confident mistakes",
        "Where the model was surest, and wrong. Some of these are often errors in the given labels: worth a look by somebody "
        "who knows the subject.",
    ),
    "labels": (
        "The worst answers",
        "Where most labels were missed or wrongly given. Some of these are often errors in the given labels: worth a look by "
        "somebody who knows the subject.",
    ),
    "number": (
        "The answers farthest from the truth",
        "Some of these are often errors in the given numbers: worth a look by somebody who knows the subject.",
    ),
    "entities": (
        "The most confident mistakes",
        "Where the model was surest of a word, and wrong: the text as it should be marked, and as it was. What only one of "
        "them has is framed. Some of these are often errors in the given tags: worth a look by somebody who knows the subject.",
    ),
    "boxes": (
        "The pictures with most boxes wrong",
        "Of the boxes that are shown: dashed ones were missed, thick ones were given where there is none, thin ones are "
        "right. Some of these are often errors in the given boxes: worth a look by somebody who knows the subject.",
    ),
    "tags": (
        "The most confident mistakes",
        "Where the model was surest of a word, and wrong; the words it has wrong are marked. Some of these are often errors in "
        "the given tags: worth a look by somebody who knows the subject.",
    ),
}
# What the rows of the table of scores are, what is counted, and what to say of it.
SCORED = {
    "entities": ("Type", "Test entities", "Types of entities from the worst to the best."),
    "tags": ("Tag", "Test words", "Tags from the worst to the best."),
    "slots": ("Name", "Test pieces", "Names of pieces from the worst to the best."),
    "boxes": (
        "Label",
        "Test boxes",
        "Labels from the worst to the best, of the boxes that are shown; half an overlap is right.",
    ),
}
LABELS_SCORED = ("Label", "Test examples", "Labels from the worst to the best.")
OUTCOMES = {
    "right": "Found",
    "other_type": "Found, but as another type",
    "other_extent": "Found, but with more or fewer words",
    "other_both": "Touched by one of another type and extent",
    "missed": "Missed",
    "made_up": "Found where there is none",
}
MARKS = "What is right stands in ⟦ ⟧, what was answered in « »."
WORST |= {
    "answer": ("The worst answers", f"Fewest words in common with an accepted answer, the most confident first. {MARKS}"),
    "slots": ("The worst answers", f"The texts with most pieces missed or named in vain. {MARKS}"),
    "relevance": (
        "The worst rankings",
        "Queries whose first ten documents are least relevant. Some of these are often relevant all the same, and were never "
        "judged: worth a look.",
    ),
    "similarity": (
        "The worst comparisons",
        "Pairs that stand farthest from the place in the order of all pairs that their score gives them.",
    ),
}
WORST["text"] = (
    "Texts it wrote",
    "The worst on the test part, then some of the best, by the groups of characters that they share with the nearest right "
    "text (chrF). The right text shown is the first of the texts that are accepted.",
)
WORST["likelihood"] = (
    "The texts told worst",
    "The highest perplexities of test texts that are not very short: other languages, lists and damaged texts are often among "
    "them.",
)
COUNTED = {"answer": "All questions", "slots": "All pieces together", "relevance": "All queries"}
OTHER_WORST = ("Wrong answers", "Some of the answers that differ from what was expected, in the order of the test part.")


@dataclass(frozen=True, kw_only=True)
class LabelRow:
    """One label's scores, in words; `bar` is F1 in percent."""

    label: str
    bar: float
    f1: str
    precision: str
    recall: str
    support: int


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of the heat map: a count, its share of the row, and whether answer and label agree."""

    count: int
    share: float
    right: bool


def build_failures(run: RunRecords) -> Section:
    """Everything about the tuned model's wrong answers."""
    rows = sorted((_label_row(row) for row in run.metrics.per_class), key=lambda row: row.bar)
    cut = WORST_LABELS if len(rows) > WORST_LABELS + 4 else len(rows)
    facts = {
        "rows": rows[:cut],
        "more_rows": rows[cut:],
        "pairs": _pairs(run),
        "heat": _heat(run),
        "mistakes": run.mistakes,
        "worst": WORST.get(run.metrics.answer_kind, OTHER_WORST),
        "counts": label_counts(run) or outcomes(run.metrics.details),
        "counts_title": COUNTED.get(run.metrics.answer_kind, "All labels together"),
        "scored": SCORED.get(run.metrics.answer_kind, LABELS_SCORED),
        "entities": entity_counts(run),
        "marked": {mistake.example_id: sides for mistake in run.mistakes if (sides := both_sides(run, mistake))},
        "errors": errors_of_numbers(run.metrics.details) if run.metrics.answer_kind == "number" else {},
        "all_right": bool(run.metrics.per_class) and not run.mistakes and _num_wrong(run) == 0,
    }
    return Section(title="Where it fails", template="failures.html", facts=facts)


def both_sides(run: RunRecords, mistake: Mistake) -> tuple[list[Piece], list[Piece]] | None:
    """A text with the marks it should have, and with those it was given; None where there are none, or no text may be shown."""
    text = run.examples.get(mistake.example_id, "")
    if not text or not mistake.tags:
        return None
    are_entities = run.metrics.answer_kind == "entities"
    right = pieces_of(text, mistake.target_tags, mistake.tags, are_entities=are_entities)
    given = pieces_of(text, mistake.tags, mistake.target_tags, are_entities=are_entities)
    return (right, given) if right and given else None


def entity_counts(run: RunRecords) -> list[tuple[str, str]]:
    """What became of the entities that were to be found, and how many were made up."""
    found: Any = run.metrics.details.get("entities")
    if run.metrics.answer_kind != "entities" or not found:
        return []
    return [(title, wording.thousands(found[name])) for name, title in OUTCOMES.items()]


def label_counts(run: RunRecords) -> list[tuple[str, str]]:
    """How many labels are right, missed, wrongly given; how many there are of an example. Of several labels only."""
    found: Any = run.metrics.details.get("counts")
    if run.metrics.answer_kind != "labels" or not found:
        return []
    return [
        ("Labels rightly given", wording.thousands(found["labels_right"])),
        ("Labels missed", wording.thousands(found["labels_missed"])),
        ("Labels wrongly given", wording.thousands(found["labels_wrong"])),
        ("Labels per example", f"{found['mean_labels']:.2f} right, {found['mean_labels_given']:.2f} given"),
        (
            "Without any label",
            f"{wording.thousands(found['examples_without_label'])} right, "
            f"{wording.thousands(found['answers_without_label'])} given",
        ),
    ]


def errors_of_numbers(details: Mapping[str, Any]) -> dict[str, Any]:
    """What the errors of numbers are like: their size, where they lie, drawn and as a table; empty if nothing is known."""
    if not details:
        return {}
    quantiles = details["distance_quantiles"]
    half, most = (format_number(quantiles[share]) for share in ("0.5", "0.9"))
    lean = details["mean_error"]
    size = abs(lean)
    leaning = (
        "neither too high nor too low on the whole"
        if size < 0.05 * quantiles["0.9"]
        else (f"on the whole {format_number(size)} too {'high' if lean > 0 else 'low'}")
    )
    rows = [
        (
            f"{format_number(band['low'])} to {format_number(band['high'])}",
            int(band["n"]),
            format_number(band["mean_distance"]),
            ("+" if band["mean_error"] > 0 else "") + format_number(band["mean_error"]).replace("-", wording.MINUS),
        )
        for band in details["bands"]
    ]
    return {
        "sentence": f"Half of the answers are within {half} of the truth, nine in ten within {most}. They are {leaning}.",
        "bands": rows,
        "figures": [draw_answers(details["points"], details["range"]), draw_errors(details["histogram"])],
        "num_points": len(details["points"]),
    }


def _label_row(row: Mapping[str, object]) -> LabelRow:
    f1, precision, recall = (float(str(row[name])) for name in ("f1", "precision", "recall"))
    return LabelRow(
        label=str(row["label"]),
        bar=round(100 * f1, 1),
        f1=wording.percent(f1),
        precision=wording.percent(precision),
        recall=wording.percent(recall),
        support=int(str(row["support"])),
    )


def _num_wrong(run: RunRecords) -> int:
    matrix = np.asarray(run.metrics.confusion)
    return int(matrix.sum() - np.trace(matrix)) if matrix.ndim == 2 else 0


def _pairs(run: RunRecords) -> list[tuple[str, str, int, str]]:
    """(right label, answer, count, share of the right label's examples), the most frequent first."""
    from luthier.evaluation.per_class import confused_pairs

    if not run.metrics.confusion:
        return []
    matrix = np.asarray(run.metrics.confusion)
    support = dict(zip(run.metrics.labels, matrix.sum(axis=1).tolist(), strict=True))
    pairs = confused_pairs(matrix, run.metrics.labels, limit=WORST_PAIRS)
    return [(pair.target, pair.prediction, pair.n, wording.percent(pair.n / support[pair.target], 0)) for pair in pairs]


def _heat(run: RunRecords) -> dict[str, object]:
    if not run.metrics.confusion:
        return {}
    heat = heat_map(run.metrics.confusion, run.metrics.labels)
    rows = [
        (
            label,
            [
                Cell(count=count, share=round(count / max(sum(counts), 1), 3), right=column == label)
                for column, count in zip(heat.columns, counts, strict=True)
            ],
        )
        for label, counts in heat.rows
    ]
    cut = heat.num_labels > len(heat.rows)
    return {"columns": heat.columns, "rows": rows, "cut": cut, "num_labels": heat.num_labels, "others": ALL_OTHERS}
