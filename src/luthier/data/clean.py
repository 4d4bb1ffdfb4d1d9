"""Apply the remedies of findings: which rows leave which part, which columns are used for nothing, and why.

The table itself stays whole, so that example ids and row numbers keep their meaning; only the parts shrink. A given test
part is never touched, whatever a finding says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from luthier.core.names import count_of
from luthier.data.checks.policy import flag_of
from luthier.data.dataset import Dataset, Rows
from luthier.data.findings import Finding
from luthier.data.keys import has_labels, label_codes
from luthier.errors import DataError, LuthierError, raise_together


@dataclass(frozen=True, kw_only=True)
class Removal:
    """What one finding took away.

    Attributes:
        check: Name of the check.
        part: The part that lost rows; '' for a column.
        count: Rows that left because of this finding and no earlier one, so that counts add up.
        reason: The finding's sentence.
        column: The column that is used for nothing from now on, if it is about one.
    """

    check: str
    part: str
    count: int
    reason: str
    column: str = ""


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """A data set with smaller parts, and the account of what is missing.

    Attributes:
        dataset: The same table; parts without the removed rows.
        dropped_columns: Columns to use for nothing.
        removals: One for each finding that took something, in the order they were applied.
    """

    dataset: Dataset
    dropped_columns: tuple[str, ...]
    removals: tuple[Removal, ...]


def stop_on_errors(findings: Sequence[Finding]) -> None:
    """Raise all findings of severity `error` together; return if there are none.

    Raises:
        DataError: with every problem and its remedy.
    """
    raise_together([DataError(found.problem, remedy=found.remedy) for found in findings if found.severity == "error"])


def clean(dataset: Dataset, findings: Sequence[Finding]) -> Cleaned:
    """Apply the actions of findings that are applied by default.

    Raises:
        DataError: an action would empty a part, or take a whole class out of what is learnt from; nothing is applied then.
    """
    chosen = [finding for finding in findings if finding.action is not None and finding.by_default]
    parts = dict(dataset.parts)
    removals: list[Removal] = []
    columns: list[str] = []
    for finding in chosen:
        assert finding.action is not None
        if finding.action.kind == "drop_column":
            if finding.action.column not in dataset.schema.roles.values() and finding.action.column not in columns:
                columns.append(finding.action.column)
                removals.append(
                    Removal(check=finding.check, part="", count=0, reason=finding.problem, column=finding.action.column)
                )
        else:
            removals += _drop(parts, finding, rows=finding.action.rows)
    raise_together(_objections(dataset, parts, chosen=chosen))
    return Cleaned(dataset=dataset.with_parts(parts), dropped_columns=tuple(columns), removals=tuple(removals))


def _drop(parts: dict[str, Rows], finding: Finding, *, rows: Rows) -> list[Removal]:
    """Take rows out of every part but test, in place."""
    removals = []
    for name, held in parts.items():
        if name == "test":
            continue
        kept = held[~np.isin(held, rows)]
        if len(kept) < len(held):
            removals.append(Removal(check=finding.check, part=name, count=len(held) - len(kept), reason=finding.problem))
            parts[name] = kept
    return removals


def _objections(dataset: Dataset, parts: Mapping[str, Rows], *, chosen: Sequence[Finding]) -> list[LuthierError]:
    """What must not happen by itself: a part without rows, a class that is gone from what is learnt from."""
    objections: list[LuthierError] = []
    for name, rows in parts.items():
        before = dataset.parts[name]
        if len(before) and not len(rows):
            culprits = _culprits(chosen, before)
            objections.append(
                DataError(
                    f"Cleaning would leave none of the {count_of(len(before), 'row')} of {name} "
                    f"(because of: {', '.join(culprits)}).",
                    remedy=_way_out(culprits),
                )
            )
        elif has_labels(dataset) and name in ("all", "train"):
            objections += _lost_classes(dataset, before, after=rows, chosen=chosen)
    return objections


def _lost_classes(dataset: Dataset, before: Rows, *, after: Rows, chosen: Sequence[Finding]) -> list[LuthierError]:
    labels = label_codes(dataset)
    allowed = {name for finding in chosen if finding.check == "classes" for name in finding.evidence.get("classes", ())}
    lost = np.setdiff1d(labels.codes[before], labels.codes[after])
    lost = np.array([code for code in lost if code >= 0 and labels.names[code] not in allowed], dtype=np.int64)
    if not len(lost):
        return []
    rows = before[np.isin(labels.codes[before], lost)]
    culprits = _culprits(chosen, rows)
    names = ", ".join(f"'{labels.names[code]}'" for code in lost[:3]) + (
        f" and {len(lost) - 3:,} more" if len(lost) > 3 else ""
    )
    return [
        DataError(
            f"Cleaning would take away every row of {count_of(len(lost), 'class', 'classes')} "
            f"({names}; {count_of(len(rows), 'row')}; because of: {', '.join(culprits)}).",
            remedy=_way_out(culprits),
        )
    ]


def _culprits(chosen: Sequence[Finding], rows: Rows) -> list[str]:
    """The checks that take some of these rows, the one that takes most first."""
    taken: dict[str, int] = {}
    for finding in chosen:
        if finding.action is not None and finding.action.kind == "drop_rows":
            taken[finding.check] = taken.get(finding.check, 0) + int(np.isin(rows, finding.action.rows).sum())
    return sorted((check for check, count in taken.items() if count), key=lambda check: -taken[check])


def _way_out(culprits: Sequence[str]) -> str:
    flags = [f"`{flag_of(check)} keep`" for check in culprits if flag_of(check)]
    return (
        " ".join(dict.fromkeys(flags))
        or "fill in the rows named by these checks (`luthier check` lists them), or leave the class out"
    )
