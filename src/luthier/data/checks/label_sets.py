"""Several labels per row: none that differ, rare ones, labels that train does not know, spellings of one label."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from luthier.core.names import count_of
from luthier.data.checks.check import Check
from luthier.data.dataset import Dataset, Rows
from luthier.data.findings import Finding, Severity
from luthier.data.keys import answer_kind, normalize_text
from luthier.data.lists import parse_list
from luthier.data.targets import target_sets
from luthier.data.wording import name_rows, share_of

NAME = "label-sets"
FEW_ROWS = 3
_SHOWN = 3

Sets = Sequence[Sequence[str]]


def check_label_sets(dataset: Dataset, features: np.ndarray | None = None) -> list[Finding]:
    """What is wrong with the labels as such, judged on the rows there are to learn from."""
    part = "all" if "all" in dataset.parts else "train"
    if answer_kind(dataset) != "labels" or not len(dataset.parts.get(part, ())):
        return []
    sets, rows = target_sets(dataset), dataset.parts[part]
    counts = Counter(label for row in rows for label in sets[row])
    if nothing := _nothing_to_tell_apart(dataset, counts, part=part):
        return [nothing]
    return [
        *_no_lists(dataset),
        *_rare(dataset, sets, counts, part=part),
        *_unseen(dataset, sets, counts),
        *_spellings(dataset, counts),
    ]


def _nothing_to_tell_apart(dataset: Dataset, counts: Counter[str], *, part: str) -> Finding | None:
    """Every row has the same labels."""
    whole, column = len(dataset.parts[part]), dataset.schema.roles["target"]
    if any(count < whole for count in counts.values()):
        return None
    where = dataset.name if part == "all" else f"{part} of {dataset.name}"
    have = f"the same labels ({_names(sorted(counts))})" if counts else "no label"
    return Finding(
        check=NAME,
        severity="error",
        problem=f"All {whole:,} rows of {where} have {have} in column '{column}'; there is nothing to tell apart.",
        remedy="add rows with other labels, or name another column with --target",
        count=whole,
        part=part,
    )


def _no_lists(dataset: Dataset) -> list[Finding]:
    """Cells that are no list: a single label is taken for a list of one; what only begins like a list is pointed out."""
    cells = ["" if cell is None else str(cell).strip() for cell in dataset.column("target").to_pylist()]
    strange = np.array([row for row, cell in enumerate(cells) if cell and parse_list(cell) is None], dtype=np.int64)
    broken = np.array([row for row in strange if cells[row].startswith(("[", "{"))], dtype=np.int64)
    single = np.setdiff1d(strange, broken)
    column = dataset.schema.roles["target"]
    found: list[tuple[Rows, Severity, str, str]] = [
        (broken, "warning", "begin like a list of labels and are none", 'write them as ["new", "card"], without lists inside'),
        (single, "info", "hold a single label where others hold a list", "nothing to do: each is taken for a list of one"),
    ]
    return [
        Finding(
            check=NAME,
            severity=severity,
            problem=f"{count_of(len(rows), 'cell')} of '{column}' {what}: '{cells[rows[0]][:40]}'. {name_rows(dataset, rows)}",
            remedy=remedy,
            count=len(rows),
            rows=rows,
        )
        for rows, severity, what, remedy in found
        if len(rows)
    ]


def _rare(dataset: Dataset, sets: Sets, counts: Counter[str], *, part: str) -> list[Finding]:
    few = sorted(label for label, count in counts.items() if count < FEW_ROWS)
    if not few:
        return []
    rows = _rows_with(dataset.parts[part], sets, few)
    verb = "is" if len(few) == 1 else "are"
    return [
        Finding(
            check=NAME,
            severity="warning",
            problem=f"{count_of(len(few), 'label')} of {len(counts):,} {verb} in fewer than {FEW_ROWS} rows ({_names(few)}): "
            f"too few to be learnt and scored. {name_rows(dataset, rows)}",
            remedy="add rows with these labels, merge them into others, or take them out of the lists",
            count=len(few),
            rows=rows,
            part=part,
            evidence={"labels": few},
        )
    ]


def _unseen(dataset: Dataset, sets: Sets, counts: Counter[str]) -> list[Finding]:
    findings = []
    for part in ("validation", "test"):
        rows = dataset.parts.get(part)
        if rows is None:
            continue
        strange = sorted({label for row in rows for label in sets[row]} - counts.keys())
        if strange:
            held = _rows_with(rows, sets, strange)
            findings.append(
                Finding(
                    check=NAME,
                    severity="error" if len(held) > len(rows) / 2 else "warning",
                    problem=f"{share_of(len(held), len(rows), noun=f'{part} rows')} {'has' if len(held) == 1 else 'have'} "
                    f"labels that train does not know ({_names(strange)}); they will count as missed. "
                    f"{name_rows(dataset, held)}",
                    remedy="write labels alike in all files, or add rows with these labels to train",
                    count=len(held),
                    rows=held,
                    part=part,
                    evidence={"labels": strange},
                )
            )
    return findings


def _spellings(dataset: Dataset, counts: Counter[str]) -> list[Finding]:
    alike: dict[str, list[str]] = defaultdict(list)
    for label in sorted(counts):
        alike[normalize_text(label)].append(label)
    groups = [labels for labels in alike.values() if len(labels) > 1]
    if not groups:
        return []
    shown = "; ".join(" and ".join(f"'{label}'" for label in labels) for labels in groups[:_SHOWN])
    return [
        Finding(
            check=NAME,
            severity="warning",
            problem=f"{count_of(len(groups), 'label')} {'is' if len(groups) == 1 else 'are'} written in more than one way "
            f"({shown}); each spelling counts as a label of its own.",
            remedy=f"write each label of '{dataset.schema.roles['target']}' in one way",
            count=len(groups),
        )
    ]


def _rows_with(rows: Rows, sets: Sets, labels: Sequence[str]) -> Rows:
    wanted = set(labels)
    return np.array([row for row in rows if wanted.intersection(sets[row])], dtype=np.int64)


def _names(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _SHOWN:,} more" if len(labels) > _SHOWN else ""
    return ", ".join(f"'{label}'" for label in labels[:_SHOWN]) + more


CHECK = Check(
    name=NAME, about="Several labels per row: rare, unknown and misspelt ones", find=check_label_sets, roles=("target",)
)
