"""The same input with different labels."""

import numpy as np

from luthier.core.names import count_of
from luthier.data.checks.check import Check
from luthier.data.dataset import Dataset, Rows
from luthier.data.findings import Action, Finding
from luthier.data.keys import has_labels, input_keys, label_codes, same_key_groups
from luthier.data.wording import name_rows

NAME = "conflicts"


def check_conflicts(dataset: Dataset, features: np.ndarray | None = None) -> list[Finding]:
    """Inputs that carry more than one label inside a part; no model can be right about all of their rows."""
    if not has_labels(dataset):
        return []
    keys, labels = input_keys(dataset), label_codes(dataset)
    findings = []
    for part, rows in dataset.parts.items():
        conflicting, inputs = conflicting_rows(keys, labels.codes, rows=rows)
        if inputs:
            findings.append(_finding(dataset, part, rows=conflicting, inputs=inputs))
    return findings


def conflicting_rows(keys: np.ndarray, codes: np.ndarray, *, rows: Rows) -> tuple[Rows, int]:
    """Rows whose input occurs with another label among `rows`, and the number of such inputs. Unlabelled rows do not count."""
    ordered, starts = same_key_groups(keys, rows[codes[rows] >= 0])
    if not len(ordered):
        return ordered, 0
    sizes = np.diff(np.append(starts, len(ordered)))
    found = codes[ordered]
    differs = np.maximum.reduceat(found, starts) != np.minimum.reduceat(found, starts)
    return np.sort(ordered[np.repeat(differs, sizes)]), int(differs.sum())


def _finding(dataset: Dataset, part: str, *, rows: Rows, inputs: int) -> Finding:
    held = part == "test"
    where = "" if part == "all" else f" of {part}"
    consequence = (
        "no model can be right about all of them"
        if held
        else "at least one label of each is wrong, and the model would learn both"
    )
    return Finding(
        check=NAME,
        severity="warning",
        problem=f"{count_of(inputs, 'input')}{where} {'carries' if inputs == 1 else 'carry'} more than one label "
        f"({count_of(len(rows), 'row')}) after folding case and spaces; {consequence}. {name_rows(dataset, rows)}",
        remedy="correct the labels in the test file; a given test part is never changed"
        if held
        else "correct the labels, or `--conflicts drop` (leaves out all rows of these inputs)",
        count=len(rows),
        rows=rows,
        part=part,
        action=None if held else Action(kind="drop_rows", rows=rows),
        by_default=not held,
        evidence={"inputs": inputs},
    )


CHECK = Check(name=NAME, about="Equal inputs with different labels", find=check_conflicts, roles=("target",))
