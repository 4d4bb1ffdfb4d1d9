"""How findings word rows and shares."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from luthier.data.dataset import Dataset


def name_rows(dataset: Dataset, rows: Sequence[int] | Int[np.ndarray, " n"], *, most: int = 3) -> str:
    """The first few of some rows: `First rows: tickets.csv:17, tickets.csv:92, tickets.csv:105.`; empty for no rows."""
    first = dataset.table.column("example_id").take([int(row) for row in rows[:most]]).to_pylist()
    if not first:
        return ""
    return f"{'Row' if len(rows) == 1 else 'First rows' if len(rows) > most else 'Rows'}: {', '.join(map(str, first))}."


def percent(fraction: float) -> str:
    """A fraction as a percentage; a small one is not rounded to nothing.

    Example:
        >>> percent(0.0824), percent(0.00004)
        ('8.2 %', 'under 0.1 %')
    """
    return "under 0.1 %" if 0 < fraction < 0.0005 else f"{100 * fraction:.1f} %"


def share_of(count: int, whole: int, *, noun: str = "rows") -> str:
    """So many of so many.

    Example:
        >>> share_of(412, 5000, noun="test rows")
        '412 of 5,000 test rows (8.2 %)'
    """
    return f"{count:,} of {whole:,} {noun} ({percent(count / whole if whole else 0.0)})"
