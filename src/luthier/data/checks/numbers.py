"""A number per row: cells that are none, the same number everywhere, numbers far outside of the others."""

import numpy as np

from luthier.core.names import count_of
from luthier.data.checks.check import Check
from luthier.data.dataset import Dataset, Rows
from luthier.data.findings import Action, Finding
from luthier.data.keys import answer_kind, missing_cells
from luthier.data.targets import target_values
from luthier.data.wording import name_rows, share_of

NAME = "numbers"
FAR = 10.0  # times the distance from the median that half of the rows have
MIN_ROWS = 20


def check_numbers(dataset: Dataset, features: np.ndarray | None = None) -> list[Finding]:
    """What is wrong with the numbers to predict, part by part. A given test part is reported, never changed."""
    if answer_kind(dataset) != "number":
        return []
    values, missing = target_values(dataset), missing_cells(dataset.column("target"))
    findings = []
    for part, rows in dataset.parts.items():
        strange = rows[np.isnan(values[rows]) & ~missing[rows]]
        if len(strange):
            findings.append(_no_number(dataset, part, rows=strange))
    part = "all" if "all" in dataset.parts else "train"
    rows = dataset.parts.get(part, np.empty(0, dtype=np.int64))
    rows = rows[np.isfinite(values[rows])]
    if len(rows) and values[rows].min() == values[rows].max():
        return [*findings, _always_the_same(dataset, part, number=values[rows[0]], count=len(rows))]
    return [*findings, *_far_away(dataset, part, rows=rows)]


def _no_number(dataset: Dataset, part: str, *, rows: Rows) -> Finding:
    """Cells such as `n/a` or `3,5`."""
    column, whole, held = dataset.schema.roles["target"], len(dataset.parts[part]), part == "test"
    cells = dataset.column("target").take(rows).to_pylist()
    shown = ", ".join(f"'{cell}'" for cell in dict.fromkeys(str(cell).strip()[:30] for cell in cells[:50]))[:80]
    noun = "rows" if part == "all" else f"{part} rows"
    return Finding(
        check=NAME,
        severity="error" if len(rows) == whole else "warning",
        problem=f"{share_of(len(rows), whole, noun=noun)} {'has' if len(rows) == 1 else 'have'} no number in the target column "
        f"'{column}' but {shown}{'; they cannot be scored' if held else ''}. {name_rows(dataset, rows)}",
        remedy="write numbers with a point and without a unit: 3.5"
        if held or len(rows) == whole
        else "nothing to do: they are left out; to use them write numbers with a point and without a unit: 3.5",
        count=len(rows),
        rows=rows,
        part=part,
        action=None if held else Action(kind="drop_rows", rows=rows),
        by_default=not held,
        evidence={"excluded_from_scoring": True} if held else {},
    )


def _always_the_same(dataset: Dataset, part: str, *, number: float, count: int) -> Finding:
    where = dataset.name if part == "all" else f"{part} of {dataset.name}"
    return Finding(
        check=NAME,
        severity="error",
        problem=f"All {count:,} numbers of {where} in column '{dataset.schema.roles['target']}' are {number:g}; "
        "there is nothing to tell apart.",
        remedy="add rows with other numbers, or name another column with --target",
        count=count,
        part=part,
    )


def _far_away(dataset: Dataset, part: str, *, rows: Rows) -> list[Finding]:
    """Numbers so far out that squared errors would be about them alone: a slip of the comma, 999 for "unknown"."""
    if len(rows) < MIN_ROWS:
        return []
    values = target_values(dataset)[rows]
    middle = float(np.median(values))
    usual = float(np.median(np.abs(values - middle))) or float(np.abs(values - middle).mean())
    far = rows[np.abs(values - middle) > FAR * usual]
    if not len(far):
        return []
    most = float(max(target_values(dataset)[far], key=lambda value: abs(value - middle)))
    return [
        Finding(
            check=NAME,
            severity="warning",
            problem=f"{count_of(len(far), 'number')} of '{dataset.schema.roles['target']}' {'is' if len(far) == 1 else 'are'} "
            f"far from the others (up to {most:g}, where half of them are within {usual:.3g} of {middle:.3g}); they weigh "
            f"most in what is learnt. {name_rows(dataset, far)}",
            remedy="correct them if they are slips or stand for 'unknown'; for prices and counts predict the logarithm",
            count=len(far),
            rows=far,
            part=part,
            evidence={"median": middle, "median_distance": usual, "farthest": most},
        )
    ]


CHECK = Check(name=NAME, about="Numbers to predict: cells that are none, outliers", find=check_numbers, roles=("target",))
