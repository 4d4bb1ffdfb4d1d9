"""Rows that occur twice inside a part: the same input with the same label."""

import numpy as np

from luthier.data.checks.check import Check
from luthier.data.dataset import Dataset, Rows
from luthier.data.findings import Action, Finding
from luthier.data.keys import INPUT_ROLES, label_codes, mix, row_keys, same_key_groups
from luthier.data.wording import name_rows, share_of

NAME = "duplicates"


def check_duplicates(dataset: Dataset, features: np.ndarray | None = None) -> list[Finding]:
    """Repeated rows, part by part: all but the first of each input and label (in test: reported only)."""
    keys = row_keys(dataset)
    if "target" in dataset.schema.roles:
        codes = label_codes(dataset).codes.astype(np.int64).view(np.uint64)
        keys = np.where(keys == 0, keys, mix(keys) ^ mix(codes))
    findings = []
    for part, rows in dataset.parts.items():
        ordered, starts = same_key_groups(keys, rows)
        repeated = np.sort(np.delete(ordered, starts))
        if len(repeated):
            findings.append(_finding(dataset, part, rows=repeated))
    return findings


def _finding(dataset: Dataset, part: str, *, rows: Rows) -> Finding:
    whole, held = len(dataset.parts[part]), part == "test"
    where = "" if part == "all" else f"{part} "
    consequence = (
        "input and label count twice in the score" if held else "they would count twice in training and in any made split"
    )
    return Finding(
        check=NAME,
        severity="info" if held else "warning",
        problem=f"{share_of(len(rows), whole, noun=f'{where}rows')} {'repeats' if len(rows) == 1 else 'repeat'} "
        f"an earlier row, input and label, after folding case and spaces; {consequence}. {name_rows(dataset, rows)}",
        remedy="remove them from the test file if they are there by mistake; a given test part is never changed",
        count=len(rows),
        rows=rows,
        part=part,
        action=None if held else Action(kind="drop_rows", rows=rows),
        by_default=not held,
    )


CHECK = Check(name=NAME, about="Rows that repeat an earlier row of their part", find=check_duplicates, roles=INPUT_ROLES)
