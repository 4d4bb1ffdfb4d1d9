"""The same input with different answers."""

import numpy as np

from luthier.core.names import count_of
from luthier.data.checks.check import Check
from luthier.data.dataset import Dataset, Rows
from luthier.data.findings import Action, Finding
from luthier.data.keys import answer_kind, label_codes, row_keys, same_key_groups
from luthier.data.targets import target_values
from luthier.data.wording import name_rows

NAME = "conflicts"
WORDS = {"label": "label", "labels": "set of labels"}


def check_conflicts(dataset: Dataset, features: np.ndarray | None = None) -> list[Finding]:
    """Inputs that carry more than one answer inside a part; no model can be right about all of their rows."""
    kind = answer_kind(dataset)
    if kind == "number":
        return _numbers_apart(dataset)
    if kind not in WORDS:
        return []
    keys, labels = row_keys(dataset), label_codes(dataset)
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
    where, what = "" if part == "all" else f" of {part}", WORDS[answer_kind(dataset)]
    consequence = (
        "no model can be right about all of them"
        if held
        else "at least one label of each is wrong, and the model would learn both"
    )
    return Finding(
        check=NAME,
        severity="warning",
        problem=f"{count_of(inputs, 'input')}{where} {'carries' if inputs == 1 else 'carry'} more than one {what} "
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


def _numbers_apart(dataset: Dataset) -> list[Finding]:
    """Inputs with several numbers: a model can do no better than their mean, which is learnt from them as they are."""
    keys, values = row_keys(dataset), target_values(dataset)
    findings = []
    for part, rows in dataset.parts.items():
        ordered, starts = same_key_groups(keys, rows[np.isfinite(values[rows])])
        if not len(ordered):
            continue
        spans = np.maximum.reduceat(values[ordered], starts) - np.minimum.reduceat(values[ordered], starts)
        sizes = np.diff(np.append(starts, len(ordered)))
        apart = np.sort(ordered[np.repeat(spans > 0, sizes)])
        if len(apart):
            inputs, mean = int((spans > 0).sum()), float(spans[spans > 0].mean())
            findings.append(_apart(dataset, part, rows=apart, inputs=inputs, mean=mean))
    return findings


def _apart(dataset: Dataset, part: str, *, rows: Rows, inputs: int, mean: float) -> Finding:
    where = "" if part == "all" else f" of {part}"
    return Finding(
        check=NAME,
        severity="info",
        problem=f"{count_of(inputs, 'input')}{where} {'has' if inputs == 1 else 'have'} several numbers, {mean:.3g} apart on "
        f"average ({count_of(len(rows), 'row')}); a model can do no better than the middle. {name_rows(dataset, rows)}",
        remedy="nothing to do: they are used as they are; one row with the mean says the same",
        count=len(rows),
        rows=rows,
        part=part,
        evidence={"inputs": inputs, "mean_span": mean},
    )


CHECK = Check(name=NAME, about="Equal inputs with different labels", find=check_conflicts, roles=("target",))
