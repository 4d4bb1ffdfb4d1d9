"""What can be wrong with answers and spans: each kind of fault is one finding for each part, with its rows."""

from typing import TYPE_CHECKING

import numpy as np

from luthier.data.dataset import Dataset, Rows
from luthier.data.findings import Action, Finding
from luthier.data.keys import missing_cells
from luthier.data.spans import FAULTS, SpanFault
from luthier.data.wording import name_rows, share_of

if TYPE_CHECKING:
    from luthier.tasks.sought import Sought

NAME = "spans"


def check_marked(dataset: Dataset, sought: "Sought") -> list[Finding]:
    """Cells of the target column that cannot be read, or do not agree with the text of their row.

    Rows that nothing can be learnt from are left out of train and validation. A given test part stays as it is; only rows whose
    cell cannot be read are not scored.
    """
    marked = sought.marked(dataset.table, dataset.schema.roles)
    missing = missing_cells(dataset.column("target"))
    findings = []
    for part, rows in dataset.parts.items():
        present = rows[~missing[rows]]
        for fault, kind in FAULTS.items():
            faulty = np.array([row for row in present if fault in marked[row].faults], dtype=np.int64)
            if len(faulty):
                lost = np.array([row for row in faulty if not marked[row].is_usable], dtype=np.int64)
                findings.append(_finding(dataset, part, fault, kind=kind, rows=faulty, lost=lost))
    return findings


def _finding(dataset: Dataset, part: str, fault: str, *, kind: SpanFault, rows: Rows, lost: Rows) -> Finding:
    noun = "rows" if part == "all" else f"{part} rows"
    held = part == "test"
    outcome = kind.outcome if not held or not kind.loses else "no model can be right about that"
    unscored = held and fault == "bad_cell"
    return Finding(
        check=NAME,
        severity="warning" if kind.loses else "info",
        problem=f"{share_of(len(rows), len(dataset.parts[part]), noun=noun)} {kind.one if len(rows) == 1 else kind.many}; "
        f"{'they are not scored' if unscored else outcome}. {name_rows(dataset, rows)}",
        remedy=kind.remedy,
        count=len(rows),
        rows=lost if unscored else rows,
        part=part,
        action=Action(kind="drop_rows", rows=lost) if len(lost) and not held else None,
        by_default=bool(len(lost)) and not held,
        evidence={"fault": fault, **({"excluded_from_scoring": True} if unscored else {})},
    )
