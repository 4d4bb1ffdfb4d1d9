"""Texts far longer or shorter than the others."""

import numpy as np

from luthier.data.checks.check import Check
from luthier.data.dataset import Dataset
from luthier.data.findings import Finding
from luthier.data.keys import missing_cells
from luthier.data.wording import name_rows, share_of

NAME = "lengths"
# On the log scale lengths of texts are roughly normal; 5 robust standard deviations are one text in millions.
ROBUST_SIGMAS = 5.0
MIN_LONG_CHARACTERS = 1_000
MIN_ROWS = 20


def check_lengths(dataset: Dataset, features: np.ndarray | None = None) -> list[Finding]:
    """Texts whose length in characters is an outlier, and texts of one character."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if dataset.table.num_rows < MIN_ROWS:
        return []
    column = dataset.column("text")
    lengths = pc.utf8_length(pc.utf8_trim_whitespace(column.cast(pa.large_string()))).fill_null(0).to_numpy()
    present = ~missing_cells(column)
    if not present.any():
        return []
    logs = np.log(np.maximum(lengths, 1))
    middle = np.median(logs[present])
    spread = 1.4826 * np.median(np.abs(logs[present] - middle))
    limit = max(float(np.exp(middle + ROBUST_SIGMAS * max(spread, 0.1))), MIN_LONG_CHARACTERS)
    median = int(np.median(lengths[present]))
    long = (
        f"longer than {limit:,.0f} characters (half of all texts have at most {median:,}); a model reads their beginning only"
    )
    return [
        *_finding(dataset, np.flatnonzero(present & (lengths > limit)), what=long),
        *_finding(dataset, np.flatnonzero(present & (lengths == 1)), what="a single character long"),
    ]


def _finding(dataset: Dataset, rows: np.ndarray, *, what: str) -> list[Finding]:
    if not len(rows):
        return []
    return [
        Finding(
            check=NAME,
            severity="info",
            problem=f"{share_of(len(rows), dataset.table.num_rows, noun='texts')} {'is' if len(rows) == 1 else 'are'} {what}. "
            f"{name_rows(dataset, rows)}",
            remedy="look at these rows: such texts are often two cells run together, or none at all; they are used as they are",
            count=len(rows),
            rows=rows,
        )
    ]


CHECK = Check(name=NAME, about="Texts far longer or shorter than the others", find=check_lengths, roles=("text",))
