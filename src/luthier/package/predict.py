"""A model's answers beside the rows of a file or the pictures of a folder: in order, in constant memory."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from luthier.core.names import nearest_name
from luthier.core.process import Stopwatch
from luthier.core.progress import Observer, Quiet, counted
from luthier.core.storage import atomic_path
from luthier.data.dataset import EXAMPLE_ID
from luthier.data.load.images import list_images
from luthier.data.load.source import ROW_FAULT
from luthier.data.load.stream import stream_table
from luthier.data.settings import DataSettings
from luthier.errors import DataError, SpecError
from luthier.package.model import Model, load_model

ROWS_PER_BATCH = 4096
PICTURES_PER_BATCH = 256
FORMATS = (".csv", ".tsv", ".jsonl", ".parquet")


@dataclass(frozen=True, kw_only=True)
class PredictSummary:
    """What `predict_source` did.

    Attributes:
        rows: How many rows were answered.
        out: The file written; empty for standard output.
        faults: Rows that were damaged in the source and answered as far as they could be read.
    """

    rows: int
    seconds: float
    out: str
    faults: int = 0


class Writer(Protocol):
    """Takes tables of equal columns, one after the other."""

    def write(self, table: pa.Table) -> None:
        """Append a table."""


def predict_source(
    model_path: str | Path,
    source: str | Path,
    *,
    out: Path | None = None,
    probs: bool = False,
    text: str | None = None,
    observer: Observer | None = None,
) -> PredictSummary:
    """Read a source batch by batch, add the model's answers as columns, write them in the same order.

    Args:
        model_path: Model or run folder.
        source: A table file, or a folder of pictures.
        out: .csv, .tsv, .jsonl or .parquet; standard output as CSV if absent. Written whole or not at all.
        probs: Add a column with the probability of each label.
        text: The input column, where it is not named as in training.

    Raises:
        DataError: the source cannot be read or lacks the input column.
        SpecError: the format of `out` is unknown.
    """
    watch = Stopwatch()
    if out is not None and out.suffix.lower() not in FORMATS:
        raise SpecError(
            f"Cannot write '{out.suffix or out.name}' files. Known: {', '.join(FORMATS)}.", remedy="--out answers.csv"
        )
    tables = _tables(Path(source))
    first = next(tables, None)
    if first is None:
        raise DataError(f"{source} has no rows.", remedy="name a file or folder with rows")
    model = load_model(model_path)
    column = "image" if Path(source).is_dir() else _input_column(model, first, text, str(source))
    rows = faults = 0
    with ExitStack() as stack:
        stack.enter_context(counted(observer or Quiet(), "predict", 0, "rows"))
        writer = stack.enter_context(_writer(out))
        table: pa.Table | None = first
        while table is not None:
            writer.write(_answer(model, table, column, probs=probs, base=Path(source)))
            rows += table.num_rows
            faults += table.num_rows - table.column(ROW_FAULT).null_count if ROW_FAULT in table.column_names else 0
            (observer or Quiet()).advance(table.num_rows)
            table = next(tables, None)
    return PredictSummary(rows=rows, seconds=watch.read().wall_seconds, out=str(out or ""), faults=faults)


def _tables(source: Path) -> Iterator[pa.Table]:
    if not source.is_dir():
        yield from stream_table(source, DataSettings(), rows_per_batch=ROWS_PER_BATCH)
        return
    paths = [str(path) for path in list_images(source)]
    for start in range(0, len(paths), PICTURES_PER_BATCH):
        some = paths[start : start + PICTURES_PER_BATCH]
        yield pa.table({EXAMPLE_ID: some, "image": some})


def _input_column(model: Model, table: pa.Table, text: str | None, source: str) -> str:
    """The column the model reads: the one named, or the one it was trained on."""
    names = [name for name in table.column_names if name not in (EXAMPLE_ID, ROW_FAULT)]
    trained = model.description.columns.get(model.task.roles[0], "")
    wanted = str(text or trained)
    if wanted in names:
        return wanted
    if text is None and len(names) == 1:
        return names[0]
    guess = nearest_name(wanted, names) or names[0]
    shown = ", ".join(f"'{name}'" for name in names)
    raise DataError(f"The model reads the column '{wanted}'; {source} has {shown}.", remedy=f"--text {guess}")


def _answer(model: Model, table: pa.Table, column: str, *, probs: bool, base: Path) -> pa.Table:
    rows = ["" if value is None else str(value) for value in table.column(column).to_pylist()]
    if model.task.modality == "image":
        rows = [row if Path(row).is_absolute() or base.is_dir() else str(base.parent / row) for row in rows]
    added = model.task.columns(model.predict_probs(rows), model.description.state, probs=probs)
    kept = [name for name in table.column_names if name != ROW_FAULT or table.column(name).null_count < table.num_rows]
    table = table.select([name for name in kept if name != EXAMPLE_ID or base.is_dir()])
    for name, values in added.items():
        table = table.append_column(_free_name(name, table.column_names), pa.array(values))
    return table


def _free_name(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name = f"model_{name}"
    return name


@contextmanager
def _writer(out: Path | None) -> Iterator[Writer]:
    if out is None:
        yield _CsvWriter(sys.stdout.buffer, ",")
        return
    with atomic_path(out) as temporary:
        if out.suffix.lower() == ".parquet":
            with _ParquetWriter(temporary) as writer:
                yield writer
            return
        with temporary.open("wb") as file:
            yield (
                _JsonWriter(file) if out.suffix.lower() == ".jsonl" else _CsvWriter(file, "\t" if out.suffix == ".tsv" else ",")
            )


class _CsvWriter:
    def __init__(self, file: Any, delimiter: str) -> None:
        self._file = file
        self._delimiter = delimiter
        self._has_header = False

    def write(self, table: pa.Table) -> None:
        from pyarrow import csv

        options = csv.WriteOptions(include_header=not self._has_header, delimiter=self._delimiter)
        csv.write_csv(table, self._file, options)
        self._has_header = True


class _JsonWriter:
    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, table: pa.Table) -> None:
        from luthier.core.records import to_json

        for row in table.to_pylist():
            self._file.write((to_json(_plain(row)) + "\n").encode())


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return dict(row)


class _ParquetWriter:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Any = None

    def __enter__(self) -> "_ParquetWriter":
        return self

    def __exit__(self, *details: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, table: pa.Table) -> None:
        from pyarrow import parquet

        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._path, table.schema)
        self._writer.write_table(table.cast(self._writer.schema))
