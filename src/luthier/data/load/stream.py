"""One table file in constant memory: for predicting on millions of rows, in their order, one output row for each input row."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.data.load.faults import FaultLog
from luthier.data.load.files import check_table_file
from luthier.data.load.source import ROW_FAULT, Piece
from luthier.data.load.tables import reader_of, with_ids
from luthier.data.settings import DataSettings
from luthier.errors import raise_together

if TYPE_CHECKING:
    import pyarrow as pa


def stream_table(path: Path, settings: DataSettings, *, rows_per_batch: int = 8192) -> Iterator["pa.Table"]:
    """The rows of a file in its order, a batch at a time.

    No row is dropped: bad ones are filled up, cut off or mended, and `row_fault` names what was wrong with them (null for
    sound rows). Blank lines are no rows. All batches have the columns of the first; JSONL keys that turn up later are left out.

    Args:
        path: A CSV, TSV, JSONL, JSON or Parquet file; a JSON document is read whole.
        settings: `delimiter` is used; `bad_rows="error"` raises at the first batch with a bad row.
        rows_per_batch: The most rows of a batch.

    Raises:
        DataError: as `load_source`.
    """
    raise_together([error] if (error := check_table_file(path)) else [])
    log = FaultLog(path.name)
    keeping = settings.model_copy(update={"bad_rows": "keep"})
    columns: list[str] = []
    for piece in reader_of(path)(path, keeping, log=log):
        if settings.bad_rows == "error":
            log.finish(settings)
        columns = columns or piece.table.column_names
        table = _finish(piece, columns, file=log.file)
        for start in range(0, table.num_rows, rows_per_batch):
            yield table.slice(start, rows_per_batch)


def _finish(piece: Piece, columns: list[str], *, file: str) -> "pa.Table":
    import pyarrow as pa

    table, rows = piece.table, piece.table.num_rows
    absent = [name for name in columns if name not in table.column_names]
    for name in absent:
        table = table.append_column(name, pa.nulls(rows, pa.string()))
    faults = (
        pa.array([piece.faults.get(row) for row in range(rows)], pa.string()) if piece.faults else pa.nulls(rows, pa.string())
    )
    return with_ids(table.select(columns), piece.numbers, file=file).append_column(ROW_FAULT, faults)
