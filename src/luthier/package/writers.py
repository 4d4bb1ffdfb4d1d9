"""Tables written piece by piece: CSV, TSV, JSON lines, Parquet. Every piece has the columns of the first."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from luthier.core.records import to_json
from luthier.core.storage import atomic_path
from luthier.errors import SpecError

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = (".csv", ".tsv", ".jsonl", ".parquet")


class Writer(Protocol):
    """Takes tables of equal columns, one after the other."""

    def write(self, table: "pa.Table") -> None:
        """Append a table."""


def refuse_format(out: Path | None) -> None:
    """Raise SpecError for a file whose name says no format that can be written."""
    if out is not None and out.suffix.lower() not in FORMATS:
        raise SpecError(
            f"Cannot write '{out.suffix or out.name}' files. Known: {', '.join(FORMATS)}.",
            remedy=f"--out {out.with_suffix('.csv')}",
        )


@contextmanager
def open_writer(out: Path | None) -> Iterator[Writer]:
    """A writer for a file, which appears whole when the block ends well; for standard output (as CSV) if there is none.

    Raises:
        ResourceError: the disk is full or cannot be written to.
    """
    if out is None:
        yield _CsvWriter(sys.stdout.buffer, ",")
        return
    suffix = out.suffix.lower()
    with atomic_path(out) as temporary:
        if suffix == ".parquet":
            with _ParquetWriter(temporary) as writer:
                yield writer
            return
        with temporary.open("wb") as file:
            yield _JsonWriter(file) if suffix == ".jsonl" else _CsvWriter(file, "\t" if suffix == ".tsv" else ",")


class _CsvWriter:
    def __init__(self, file: BinaryIO, delimiter: str) -> None:
        self._file = file
        self._delimiter = delimiter
        self._has_header = False

    def write(self, table: "pa.Table") -> None:
        from pyarrow import csv

        table = _with_lists_as_text(table)
        options = csv.WriteOptions(include_header=not self._has_header, delimiter=self._delimiter)
        csv.write_csv(_with_lists_as_text(table), self._file, options)
        self._has_header = True


class _JsonWriter:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, table: "pa.Table") -> None:
        for row in table.to_pylist():
            self._file.write((to_json(row) + "\n").encode())


class _ParquetWriter:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Any = None

    def __enter__(self) -> "_ParquetWriter":
        return self

    def __exit__(self, *details: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, table: "pa.Table") -> None:
        from pyarrow import parquet

        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._path, _without_null_types(table.schema))
        self._writer.write_table(table.cast(self._writer.schema))


def _without_null_types(schema: "pa.Schema") -> "pa.Schema":
    """Columns that are empty so far become text, lists without items lists of text: a later piece may fill them."""
    import pyarrow as pa

    def filled(kind: "pa.DataType") -> "pa.DataType":
        if pa.types.is_list(kind):
            return pa.list_(filled(kind.value_type))
        return pa.string() if pa.types.is_null(kind) else kind

    return pa.schema([pa.field(item.name, filled(item.type)) for item in schema])


def _with_lists_as_text(table: "pa.Table") -> "pa.Table":
    """Cells of a delimited file are text: lists become JSON, which is read as a list again."""
    import pyarrow as pa

    for name in [item.name for item in table.schema if pa.types.is_nested(item.type)]:
        cells = [None if value is None else json.dumps(value, ensure_ascii=False) for value in table.column(name).to_pylist()]
        table = table.set_column(table.column_names.index(name), name, pa.array(cells, pa.string()))
    return table
