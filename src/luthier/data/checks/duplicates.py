"""Rows that occur twice inside a part: the same input with the same label."""

import numpy as np

from luthier.data.checks.check import Check
from luthier.data.dataset import Dataset, Rows
from luthier.data.findings import Action, Finding
from luthier.data.keys import INPUT_ROLES, label_codes, mix, row_keys, same_key_groups
from luthier.data.schema import Kind
from luthier.data.wording import name_rows, share_of

NAME = "duplicates"


def check_duplicates(dataset: Dataset, features: np.ndarray | None = None) -> list[Finding]:
    """Repeated rows, part by part: all but the first of each input and label (in test: reported only)."""
    keys = row_keys(dataset)
    if "target" in dataset.schema.roles and not _is_own_target(dataset):
        codes = label_codes(dataset).codes.astype(np.int64).view(np.uint64)
        keys = np.where(keys == 0, keys, mix(keys) ^ mix(codes))
    findings = []
    for part, rows in dataset.parts.items():
        ordered, starts = same_key_groups(keys, rows)
        repeated = np.sort(np.delete(ordered, starts))
        if len(repeated):
            findings.append(_finding(dataset, part, rows=repeated))
    return findings


def _is_own_target(dataset: Dataset) -> bool:
    """Whether the texts themselves are to be told: then equal texts are equal, however they are written.

    Of conversations only the user's words are compared, and the answers are to be told.
    """
    text = dataset.schema.roles.get("text")
    return text == dataset.schema.roles.get("target") and (text is None or dataset.schema.kind_of(text) is not Kind.MESSAGES)


def _finding(dataset: Dataset, part: str, *, rows: Rows) -> Finding:
    whole, held = len(dataset.parts[part]), part == "test"
    where = "" if part == "all" else f"{part} "
    is_alone = _is_own_target(dataset)
    what = "" if is_alone else ", input and label"
    consequence = "they would count twice in training and in any made split"
    if held:
        consequence = "it counts twice in the score" if is_alone else "input and label count twice in the score"
    return Finding(
        check=NAME,
        severity="info" if held else "warning",
        problem=f"{share_of(len(rows), whole, noun=f'{where}rows')} {'repeats' if len(rows) == 1 else 'repeat'} "
        f"an earlier row{what}, after folding case and spaces; {consequence}. {name_rows(dataset, rows)}",
        remedy="remove them from the test file if they are there by mistake; a given test part is never changed",
        count=len(rows),
        rows=rows,
        part=part,
        action=None if held else Action(kind="drop_rows", rows=rows),
        by_default=not held,
    )


CHECK = Check(name=NAME, about="Rows that repeat an earlier row of their part", find=check_duplicates, roles=INPUT_ROLES)
