"""Columns of a table that are not what most of their cells say: mixed types, infinite numbers, dates in two formats, far too
many categories, nothing at all in train."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool

from luthier.core.moments import find_formats, read_moments
from luthier.core.names import count_of
from luthier.data.checks.check import Check
from luthier.data.dataset import Dataset, Rows
from luthier.data.findings import Finding
from luthier.data.keys import missing_cells
from luthier.data.schema import Column, Kind
from luthier.data.wording import name_rows

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "table-columns"
MANY_CATEGORIES = 500
MOST_UNREADABLE = 0.05
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def check_table_columns(dataset: Dataset, features: np.ndarray | None = None) -> list[Finding]:
    """Features with cells that cannot be read as their column is, and columns that say little."""
    findings: list[Finding] = []
    for column in dataset.schema.columns:
        if column.name in dataset.schema.features:
            findings += [
                *_strange_cells(dataset, column),
                *_many_categories(dataset, column),
                *_empty_in_train(dataset, column),
            ]
    return findings


def _strange_cells(dataset: Dataset, column: Column) -> list[Finding]:
    import pyarrow as pa

    values = dataset.table.column(column.name)
    missing = missing_cells(values)
    if column.kind is Kind.NUMBER:
        strange, what = _no_numbers(values) & ~missing, "number"
    elif column.kind is Kind.DATETIME and not pa.types.is_temporal(values.type):
        texts = [(text or "").strip() for text in values.cast(pa.string()).to_pylist()]
        return _strange_dates(dataset, column, texts, missing)
    else:
        return []
    return _finding(dataset, column, np.flatnonzero(strange), f"no finite {what}")


def _no_numbers(values: "pa.ChunkedArray") -> Bool[np.ndarray, " N"]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(values.type) or pa.types.is_integer(values.type):
        return np.asarray(~np.isfinite(values.cast(pa.float64(), safe=False).fill_null(0.0).to_numpy()))
    texts = pc.utf8_trim_whitespace(values.cast(pa.string()))
    found = pc.match_substring_regex(texts, NUMBER).fill_null(True)
    return ~np.asarray(found.to_numpy(), dtype=bool)


def _strange_dates(dataset: Dataset, column: Column, texts: Sequence[str], missing: Bool[np.ndarray, " N"]) -> list[Finding]:
    present = [text for text, is_missing in zip(texts, missing, strict=True) if not is_missing]
    formats = find_formats(present, most_unreadable=MOST_UNREADABLE)
    if len(formats) == 1:
        strange = np.isnan(read_moments(texts, formats[0])) & ~missing
        return _finding(dataset, column, np.flatnonzero(strange), "no date like the others")
    where = name_rows(dataset, np.flatnonzero(~missing)[:3])
    problem = f"The dates of column '{column.name}' are written in several ways, or in one that nothing here reads. {where}"
    if formats:
        problem = f"The dates of column '{column.name}' can be read with the day first or with the month first. {where}"
    return [
        Finding(
            check=NAME,
            severity="error",
            problem=problem,
            remedy=f"write them as YYYY-MM-DD, or leave the column out: --ignore '{column.name}'",
            count=len(present),
        )
    ]


def _finding(dataset: Dataset, column: Column, rows: Rows, what: str) -> list[Finding]:
    if not len(rows):
        return []
    example = str(dataset.table.column(column.name)[int(rows[0])].as_py())[:40]
    verb = "holds" if len(rows) == 1 else "hold"
    return [
        Finding(
            check=NAME,
            severity="warning",
            problem=f"{count_of(len(rows), 'cell')} of column '{column.name}' {verb} {what} (the first: '{example}'); such "
            f"cells count as missing. {name_rows(dataset, rows)}",
            remedy="correct them, if they mean something",
            count=len(rows),
            rows=rows,
            evidence={"column": column.name, "example": example},
        )
    ]


def _many_categories(dataset: Dataset, column: Column) -> list[Finding]:
    if column.kind is not Kind.CATEGORY or column.distinct <= MANY_CATEGORIES:
        return []
    return [
        Finding(
            check=NAME,
            severity="info",
            problem=f"Column '{column.name}' has {column.distinct:,} categories; the most frequent {MANY_CATEGORIES} have a "
            "place of their own, all others share one.",
            remedy="group them into fewer, if something is known of them",
            count=column.distinct,
            evidence={"column": column.name, "distinct": column.distinct},
        )
    ]


def _empty_in_train(dataset: Dataset, column: Column) -> list[Finding]:
    """A column that only test knows: nothing can be learnt of it."""
    rows = dataset.parts.get("train")
    if rows is None or not len(rows) or not missing_cells(dataset.table.column(column.name))[rows].all():
        return []
    return [
        Finding(
            check=NAME,
            severity="warning",
            problem=f"Column '{column.name}' has no value in train ({count_of(len(rows), 'row')}), but in another part.",
            remedy=f"nothing to do: it is not read; `--ignore '{column.name}'` hides this line",
            count=1,
            part="train",
        )
    ]


CHECK = Check(name=NAME, about="Columns of a table with cells of another kind", find=check_table_columns, roles=("target",))
