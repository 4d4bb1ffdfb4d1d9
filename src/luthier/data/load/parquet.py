"""Parquet files. Text, numbers and truth values keep their type; everything else becomes text."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from luthier.data.findings import Finding
from luthier.data.load.faults import FaultLog
from luthier.data.load.source import Piece, unique_names
from luthier.data.settings import DataSettings
from luthier.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_PER_PIECE = 65_536


def read_parquet(path: Path, settings: DataSettings, *, log: FaultLog) -> Iterator[Piece]:
    """The rows of a Parquet file; columns of raw bytes are left out and reported.

    Raises:
        DataError: it is damaged, has no rows, or no column that can be used.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            names = _usable(file.schema_arrow, log)
            for batch in file.iter_batches(batch_size=ROWS_PER_PIECE, columns=names):
                batch.validate(full=True)  # text that is no UTF-8 would only fail where it is read
                columns = [_plain(batch.column(index)) for index in range(batch.num_columns)]
                renamed = unique_names(batch.schema.names)
                numbers = np.arange(log.num_rows + 1, log.num_rows + batch.num_rows + 1)
                log.num_rows += batch.num_rows
                yield Piece(table=pa.table(dict(zip(renamed, columns, strict=True))), numbers=numbers)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{log.file} cannot be read as Parquet: {reason}", remedy="write the file anew: it is damaged"
        ) from error
    if not log.num_rows:
        raise DataError(f"{log.file} has no rows.", remedy="write the file anew, with rows")


def _usable(schema: "pa.Schema", log: FaultLog) -> list[str]:
    import pyarrow as pa

    raw = [item.name for item in schema if pa.types.is_binary(item.type) or pa.types.is_large_binary(item.type)]
    raw += [item.name for item in schema if _holds_bytes(item.type)]
    names = [name for name in schema.names if name not in raw]
    if not names:
        raise DataError(
            f"{log.file} has no column of text or numbers (found: {', '.join(schema.names) or 'none'}).",
            remedy="write pictures to files, and their paths to a column",
        )
    if raw:
        problem = f"{log.file} has columns of raw bytes, which are not used: {', '.join(raw)}."
        remedy = "write pictures to files, and their paths to a column"
        log.findings.append(Finding(check="raw_bytes", severity="info", problem=problem, remedy=remedy, count=len(raw)))
    return names


def _holds_bytes(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return (
        any(pa.types.is_binary(kind.field(index).type) for index in range(kind.num_fields))
        if pa.types.is_nested(kind)
        else False
    )


def _plain(column: "pa.Array") -> "pa.Array":
    """Text, numbers and truth values as they are, dictionaries as their values, the rest as text."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return column
    if pa.types.is_nested(kind):
        return pa.array(
            [None if item is None else json.dumps(item, ensure_ascii=False, default=str) for item in column.to_pylist()]
        )
    return column.cast(pa.string())
