"""Rows whose cells cannot be used: each kind of fault is one finding for each part, with its rows and the first example.

A row that cannot be used is left out of every part; of a given test part it is not scored, and the finding says so.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from luthier.data.dataset import Dataset
from luthier.data.findings import Action, Finding
from luthier.data.wording import name_rows, share_of

_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One kind of fault.

    Attributes:
        what: What these rows have, to follow "3 rows have".
        remedy: What to do.
        harmless: The row can be used all the same.
    """

    what: str
    remedy: str
    harmless: bool = False


def fault_findings(
    dataset: Dataset, check: str, faults: Mapping[str, Fault], found: Mapping[str, Mapping[int, str]]
) -> list[Finding]:
    """Findings about faulty rows.

    Args:
        check: Name of the check.
        faults: All kinds, in the order in which they are told.
        found: Name of a fault -> row -> example.
    """
    return [
        finding
        for name in faults
        if name in found
        for part, rows in dataset.parts.items()
        for finding in _findings(dataset, check, part, rows, (name, faults[name]), found[name])
    ]


def _findings(
    dataset: Dataset, check: str, part: str, rows: np.ndarray, named: tuple[str, Fault], examples: Mapping[int, str]
) -> Iterator[Finding]:
    bad = np.array([row for row in rows.tolist() if row in examples], dtype=np.int64)
    if not len(bad):
        return
    (name, fault), whole = named, len(rows)
    hopeless = not fault.harmless and 2 * len(bad) > whole
    noun = "rows" if part == "all" else f"{part} rows"
    outcome = "" if fault.harmless or hopeless else " They are not scored." if part == "test" else " They are left out."
    yield Finding(
        check=check,
        severity="error" if hopeless else "info" if fault.harmless else "warning",
        problem=f"{share_of(len(bad), whole, noun=noun)} {'has' if len(bad) == 1 else 'have'} {fault.what}."
        f"{outcome} {name_rows(dataset, bad)}{_first(examples[int(bad[0])])}",
        remedy=fault.remedy,
        count=len(bad),
        rows=bad,
        part=part,
        action=None if fault.harmless or hopeless else Action(kind="drop_rows", rows=bad),
        by_default=not fault.harmless and not hopeless,
        evidence={"fault": name, "excluded_from_scoring": not fault.harmless},
    )


def _first(example: str) -> str:
    if not example:
        return ""
    short = example if len(example) <= _SHOWN_CHARACTERS else example[: _SHOWN_CHARACTERS - 1] + "…"
    return f" The first: {short}."
