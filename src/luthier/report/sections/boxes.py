"""Boxes on pictures: how well each label is found whatever the score, precision over recall, and the best pictures drawn."""

from collections.abc import Mapping, Sequence
from typing import Any

from luthier.report import wording
from luthier.report.boxes import best_pictures
from luthier.report.figures import ACCENT, INK, SOFT, chart
from luthier.report.records import RunRecords
from luthier.report.section import Section

MOST_CURVES = 4
DASHES = ((0, ()), (0, (5, 2)), (0, (2, 2)), (0, (1, 2)))


def build_boxes(run: RunRecords) -> Section | None:
    """What was found of each label; nothing for answers that are no boxes."""
    found: Sequence[Mapping[str, Any]] = run.metrics.details.get("boxes") or ()  # type: ignore[assignment]
    if run.metrics.answer_kind != "boxes" or not found:
        return None
    rows = sorted(found, key=lambda row: -row["ap"])
    facts = {
        "rows": [
            (
                row["label"],
                wording.percent(row["ap"]),
                wording.percent(row["ap50"]),
                round(100 * row["ap50"], 1),
                row["to_find"],
            )
            for row in rows
        ],
        "figure": draw_precision(rows, run.metrics.details.get("recalls") or ()),  # type: ignore[arg-type]
        "curves": min(len(rows), MOST_CURVES),
        "shown_score": run.metrics.details.get("shown_score"),
        "best": best_pictures(list(run.drawn.values())),
    }
    return Section(title="What it finds", template="boxes.html", facts=facts)


def draw_precision(rows: Sequence[Mapping[str, Any]], recalls: Sequence[float]) -> str:
    """Precision over recall at half an overlap, a line for each of the most frequent labels."""
    drawn_rows = sorted(rows, key=lambda row: -row["to_find"])[:MOST_CURVES]
    with chart("Precision over recall of each label, at half an overlap", size=(3.7, 3.0)) as (axes, drawn):
        for row, dashes in zip(drawn_rows, DASHES, strict=False):
            points = [(100 * recall, 100 * value) for recall, value in zip(recalls, row["curve"], strict=True) if value > 0]
            if points:
                axes.plot(*zip(*points, strict=True), color=ACCENT, linewidth=1.3, linestyle=dashes, label=row["label"])
        axes.set_xlim(0, 101)
        axes.set_ylim(0, 101)
        axes.set_xlabel("Boxes that are found, %")
        axes.set_title("Answers that are right, %", loc="left", fontsize=8.5, color=INK, pad=8)
        if axes.lines:
            axes.legend(frameon=False, fontsize=7.5, labelcolor=SOFT, loc="lower left")
    return drawn[0]
