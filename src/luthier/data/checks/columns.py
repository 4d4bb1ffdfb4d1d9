"""Columns that cannot help: constant, empty, or different in every row. And an input that never changes."""

import numpy as np

from luthier.core.names import count_of
from luthier.data.checks.check import Check
from luthier.data.dataset import Dataset
from luthier.data.findings import Action, Finding
from luthier.data.keys import INPUT_ROLES, row_keys
from luthier.data.schema import Column, Kind

NAME = "columns"
_WHY = {
    Kind.CONSTANT: "has the same value in every row",
    Kind.EMPTY: "is empty",
    Kind.IDENTIFIER: "looks like an identifier (nearly every row has its own value)",
}


def check_columns(dataset: Dataset, features: np.ndarray | None = None) -> list[Finding]:
    """Columns without a role that nothing can be learnt from, and inputs that are the same in every row."""
    taken = set(dataset.schema.roles.values())
    findings = _same_input(dataset)
    for column in dataset.schema.columns:
        if column.kind in _WHY and column.name not in taken:
            findings.append(_useless(column, dataset.schema.num_rows))
    return findings


def _useless(column: Column, num_rows: int) -> Finding:
    return Finding(
        check=NAME,
        severity="info",
        problem=f"Column '{column.name}' {_WHY[column.kind]}: "
        f"{count_of(column.distinct, 'distinct value')} in {count_of(num_rows, 'row')}.",
        remedy=f"nothing to do: it is used for nothing; `--ignore {column.name}` hides this line",
        count=1,
        action=Action(kind="drop_column", column=column.name),
        by_default=True,
        evidence={"column": column.name, "kind": column.kind.value},
    )


def _same_input(dataset: Dataset) -> list[Finding]:
    names = [dataset.schema.roles[role] for role in INPUT_ROLES if role in dataset.schema.roles]
    keys = row_keys(dataset)
    present = keys[keys != 0]
    if not names or len(present) < 2 or (present != present[0]).any():
        return []
    return [
        Finding(
            check=NAME,
            severity="error",
            problem=f"All {len(present):,} rows have the same input in {' and '.join(map(repr, names))}; "
            "there is nothing to tell apart.",
            remedy="name the right column with --text, --image or --audio",
            count=len(present),
        )
    ]


CHECK = Check(name=NAME, about="Constant, empty and id-like columns", find=check_columns)
