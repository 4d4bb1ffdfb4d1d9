"""Rows without an input and rows without an answer."""

import numpy as np

from luthier.core.names import count_of
from luthier.data.checks.check import Check
from luthier.data.dataset import Dataset, Rows
from luthier.data.findings import Action, Finding
from luthier.data.keys import FILE_ROLES, INPUT_ROLES, answer_kind, missing_cells, missing_inputs
from luthier.data.wording import name_rows, share_of

NAME = "missing"


def check_missing(dataset: Dataset, features: np.ndarray | None = None) -> list[Finding]:
    """Empty inputs and missing answers, part by part. A given test part is reported, never changed."""
    findings: list[Finding] = []
    inputs = [role for role in INPUT_ROLES if role in dataset.schema.roles]
    empty = missing_inputs(dataset)
    for part, rows in dataset.parts.items():
        if inputs:
            findings += _empty_inputs(dataset, part, rows=rows[empty[rows]])
        if len(inputs) > 1:
            findings += _half_inputs(dataset, part, inputs=inputs)
        if "target" in dataset.schema.roles:
            unlabelled = missing_cells(dataset.column("target"))
            findings += _missing_targets(
                dataset, part, rows=rows[unlabelled[rows] & ~empty[rows]], unlabelled=rows[unlabelled[rows]]
            )
    return findings


def _empty_inputs(dataset: Dataset, part: str, *, rows: Rows) -> list[Finding]:
    if not len(rows):
        return []
    names = " and ".join(f"'{dataset.schema.roles[role]}'" for role in INPUT_ROLES if role in dataset.schema.roles)
    whole = len(dataset.parts[part])
    if len(rows) == whole:
        return [
            Finding(
                check=NAME,
                severity="error",
                problem=f"All {count_of(whole, 'row')} of {_called(dataset, part)} are empty in {names}; "
                "there is nothing to learn from.",
                remedy=_other_column(dataset),
                count=whole,
                rows=rows,
                part=part,
            )
        ]
    held = part == "test"
    consequence = "they stay, as a given test part is never changed" if held else "nothing can be learnt from them"
    return [
        Finding(
            check=NAME,
            severity="warning",
            problem=f"{_some(rows, whole, part=part)} empty in {names}; {consequence}. {name_rows(dataset, rows)}",
            remedy="fill them in, or remove them from the test file" if held else "nothing to do: they are left out",
            count=len(rows),
            rows=rows,
            part=part,
            action=None if held else Action(kind="drop_rows", rows=rows),
            by_default=not held,
        )
    ]


def _half_inputs(dataset: Dataset, part: str, *, inputs: list[str]) -> list[Finding]:
    part_rows = dataset.parts[part]
    missing = np.array([missing_cells(dataset.column(role))[part_rows] for role in inputs])
    rows = part_rows[missing.any(axis=0) & ~missing.all(axis=0)]
    if not len(rows):
        return []
    return [
        Finding(
            check=NAME,
            severity="warning",
            problem=f"{_some(rows, len(part_rows), part=part)} without one of the {len(inputs)} inputs. "
            f"{name_rows(dataset, rows)}",
            remedy="fill them in if an empty input means nothing here; they are used as they are",
            count=len(rows),
            rows=rows,
            part=part,
        )
    ]


def _missing_targets(dataset: Dataset, part: str, *, rows: Rows, unlabelled: Rows) -> list[Finding]:
    """`rows` lack the answer only; `unlabelled` counts rows whose input is empty as well."""
    column, whole = dataset.schema.roles["target"], len(dataset.parts[part])
    if whole and len(unlabelled) == whole:
        return [
            Finding(
                check=NAME,
                severity="error",
                problem=f"No row of {_called(dataset, part)} has a value in the target column '{column}' "
                f"({count_of(whole, 'row')}).",
                remedy=f"--target {_guess_target(dataset)}",
                count=whole,
                rows=unlabelled,
                part=part,
            )
        ]
    if answer_kind(dataset) == "labels":
        return [_none_of_them(dataset, part, rows=unlabelled, whole=whole)] if len(unlabelled) else []
    if part == "test" and len(unlabelled):
        return [_unscored(dataset, unlabelled, whole=whole)]
    if not len(rows):
        return []
    return [
        Finding(
            check=NAME,
            severity="warning",
            problem=f"{_some(rows, whole, part=part)} without a value in the target column '{column}'. "
            f"{name_rows(dataset, rows)}",
            remedy="nothing to do: they are left out; fill them in to use them"
            if not dataset.schema.features
            else "nothing to do: only the columns are learnt from them; fill them in to learn the answer from them too",
            count=len(rows),
            rows=rows,
            part=part,
            action=Action(kind="drop_rows", rows=rows),
            by_default=True,
        )
    ]


def _none_of_them(dataset: Dataset, part: str, *, rows: Rows, whole: int) -> Finding:
    """Where an answer is any number of labels, no label is an answer."""
    column = dataset.schema.roles["target"]
    return Finding(
        check=NAME,
        severity="info",
        problem=f"{_some(rows, whole, part=part)} without a list in the target column '{column}': they count as examples of "
        f"none of the labels. {name_rows(dataset, rows)}",
        remedy="nothing to do, if that is what it means; else leave these rows out of the file",
        count=len(rows),
        rows=rows,
        part=part,
    )


def _unscored(dataset: Dataset, rows: Rows, *, whole: int) -> Finding:
    column = dataset.schema.roles["target"]
    return Finding(
        check=NAME,
        severity="warning",
        problem=f"{_some(rows, whole, part='test')} without a value in the target column '{column}': they cannot be scored, "
        f"and are the only test rows that no score counts. {name_rows(dataset, rows)}",
        remedy=f"fill '{column}' in, to score all {whole:,} rows",
        count=len(rows),
        rows=rows,
        part="test",
        evidence={"excluded_from_scoring": True},
    )


def _some(rows: Rows, whole: int, *, part: str) -> str:
    rows_of = "row" if whole == 1 else "rows"
    noun = rows_of if part == "all" else f"{part} {rows_of}"
    return f"{share_of(len(rows), whole, noun=noun)} {'is' if len(rows) == 1 else 'are'}"


def _called(dataset: Dataset, part: str) -> str:
    return dataset.name if part == "all" else f"the {part} part of {dataset.name}"


def _other_column(dataset: Dataset) -> str:
    taken = set(dataset.schema.roles.values())
    filled = [c for c in dataset.schema.columns if c.name not in taken and c.missing < dataset.schema.num_rows]
    best = max(filled, key=lambda column: column.mean_words, default=None)
    files = [role for role in FILE_ROLES if role in dataset.schema.roles and "text" not in dataset.schema.roles]
    role = files[0] if files else "text"
    return f"--{role} {best.name}" if best else f"fill the column in, or name another with --{role}"


def _guess_target(dataset: Dataset) -> str:
    taken = set(dataset.schema.roles.values())
    fitting = [
        c for c in dataset.schema.columns if c.name not in taken and 2 <= c.distinct <= max(2, dataset.schema.num_rows // 2)
    ]
    return min(fitting, key=lambda column: column.distinct).name if fitting else "COLUMN"


CHECK = Check(name=NAME, about="Rows without an input, rows without an answer", find=check_missing)
