"""Section 5: where it fails. Labels from worst to best, pairs taken for each other, the most confident mistakes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from luthier.report import wording
from luthier.report.mistakes import ALL_OTHERS, heat_map
from luthier.report.records import RunRecords
from luthier.report.section import Section

WORST_LABELS = 12
WORST_PAIRS = 8


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
        "all_right": bool(run.metrics.per_class) and not run.mistakes and _num_wrong(run) == 0,
    }
    return Section(title="Where it fails", template="failures.html", facts=facts)


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
