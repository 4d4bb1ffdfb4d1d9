"""JSON Lines: one object on each line. Columns are the union of the keys; values become text, nested ones JSON."""

import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from luthier.data.load.faults import FaultLog
from luthier.data.load.files import open_binary
from luthier.data.load.source import RESERVED, Piece, unique_names
from luthier.data.settings import DataSettings
from luthier.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

LINES_PER_PIECE = 20_000
MAX_COLUMNS = 1_000
MAX_LINE_BYTES = 1 << 26


class _BadLine(ValueError):
    """Carries the name of a fault."""


def read_jsonl(path: Path, settings: DataSettings, *, log: FaultLog) -> Iterator[Piece]:
    """The rows of a JSONL file; numbers and truth values become their JSON text, null and absent keys are null.

    Raises:
        DataError: no line is an object, or the keys differ so much that they are no columns.
    """
    keep = settings.bad_rows == "keep"
    columns: dict[str, str] = {}
    with open_binary(path, log.file) as file:
        numbered = enumerate(_lines(file, log.file), 1)
        while batch := list(islice(numbered, LINES_PER_PIECE)):
            piece = _to_piece(batch, columns, keep=keep, log=log)
            if not columns and len(piece.numbers):
                break
            yield piece
    if not columns:
        raise DataError(f"No line of {log.file} is a JSON object with a key.", remedy='{"text": "...", "label": "..."}')


def _lines(file: BinaryIO, name: str) -> Iterator[bytes]:
    while line := file.readline(MAX_LINE_BYTES):
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            raise DataError(f"{name} has a line longer than 64 MiB.", remedy="write one object per line")
        yield line


def _to_piece(batch: list[tuple[int, bytes]], columns: dict[str, str], *, keep: bool, log: FaultLog) -> Piece:
    rows: list[dict[str, str | None]] = []
    numbers: list[int] = []
    faults: dict[int, str] = {}
    for number, line in batch:
        if not line.strip():
            continue
        log.num_rows += 1
        try:
            row = parse_object(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)
        except _BadLine as error:
            fault = str(error)
            log.add(fault, [number])
            if not keep:
                continue
            row = _salvage(line) if fault != "bad_json" else {}
            faults[len(rows)] = fault
        rows.append(row)
        numbers.append(number)
    return Piece(table=_to_table(rows, columns, name=log.file), numbers=np.array(numbers, dtype=np.int64), faults=faults)


def parse_object(line: bytes) -> dict[str, str | None]:
    """The object on one line, its values as text; `_BadLine` names what is wrong with it instead."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _BadLine("bad_utf8") from error
    row = _parse(text)
    if "\0" in text or "\\u0000" in text:
        raise _BadLine("nul_byte")
    if "\\ud" in text.lower() and _has_lone_surrogate(row):
        raise _BadLine("bad_utf8")
    return row


def _parse(text: str) -> dict[str, str | None]:
    try:
        row = json.loads(text, parse_constant=lambda constant: None)
        if isinstance(row, dict):
            return {key: to_text(value) for key, value in row.items()}
    except (ValueError, RecursionError) as error:
        raise _BadLine("bad_json") from error
    raise _BadLine("bad_json")


def _salvage(line: bytes) -> dict[str, str | None]:
    """The object on a damaged line, with U+FFFD for what is damaged; empty if that does not help."""
    try:
        row = _parse(line.decode("utf-8", "replace").replace("\0", "\ufffd"))
    except _BadLine:
        return {}
    return {_mend(key): None if value is None else _mend(value) for key, value in row.items()}


def _mend(text: str) -> str:
    return re.sub("[\0\ud800-\udfff]", "\ufffd", text)


def _has_lone_surrogate(row: dict[str, str | None]) -> bool:
    return any(re.search("[\ud800-\udfff]", text) for item in row.items() for text in item if text)


def to_text(value: Any) -> str | None:
    """A JSON value as the text of a cell.

    Example:
        >>> to_text("a"), to_text(1.5), to_text(True), to_text(["a", 1]), to_text(None)
        ('a', '1.5', 'true', '["a", 1]', None)
    """
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _to_table(rows: list[dict[str, str | None]], columns: dict[str, str], *, name: str) -> "pa.Table":
    import pyarrow as pa

    for row in rows:
        if not row.keys() <= columns.keys():
            _add_columns(row, columns, name=name)
    return pa.table({column: pa.array([row.get(key) for row in rows], pa.string()) for key, column in columns.items()})


def _add_columns(row: dict[str, str | None], columns: dict[str, str], *, name: str) -> None:
    keys = [key for key in row if key not in columns]
    names = unique_names([key.strip() for key in keys], taken=[*RESERVED, *columns.values()])
    columns.update(zip(keys, names, strict=True))
    if len(columns) > MAX_COLUMNS:
        raise DataError(
            f"The objects of {name} have more than {MAX_COLUMNS:,} different keys: they are no columns.",
            remedy='write objects with the same few keys: {"text": "...", "label": "..."}',
        )
