"""What a check found, and what could be done about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from luthier.data.dataset import Rows

Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True, kw_only=True)
class Action:
    """What `clean` would do about a finding.

    Attributes:
        kind: `drop_rows` (the rows named), or `drop_column` (the column is used for nothing).
        rows: Row numbers of the data set's table.
        column: For `drop_column`.
    """

    kind: Literal["drop_rows", "drop_column"]
    rows: Rows = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    column: str = ""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing worth knowing about the data.

    Attributes:
        check: Name of the check that found it.
        severity: `error` stops a run unless it is applied or allowed; `warning` is shown; `info` is listed.
        problem: A sentence with the numbers; the first few rows are named.
        remedy: Something to type or to do.
        count: How many rows (or columns) it is about.
        rows: Row numbers of the data set's table, in order; may be empty.
        part: The part it is about, if only one.
        action: What `clean` can do about it, if anything.
        by_default: Whether `clean` does it unless told otherwise.
        evidence: Numbers behind it; plain JSON types.
    """

    check: str
    severity: Severity
    problem: str
    remedy: str
    count: int = 0
    rows: Rows = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    part: str = ""
    action: Action | None = None
    by_default: bool = False
    evidence: Mapping[str, Any] = field(default_factory=dict)
    schema_version: int = 1
