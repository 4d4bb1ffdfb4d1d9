"""One JSON document: SQuAD's questions, COCO's boxes, utterances with slots, or a plain list of objects; told by their shape.

A document is parsed whole, so that its size is limited before that; JSON Lines (`jsonl.py`) have no such limit.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from luthier.core.storage import format_bytes
from luthier.data.load.faults import FaultLog
from luthier.data.load.files import open_binary
from luthier.data.load.jsonl import to_text
from luthier.data.load.source import Piece, unique_names
from luthier.data.settings import DataSettings
from luthier.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

MAX_BYTES = 1 << 29
MAX_COLUMNS = 1_000
ROWS_PER_PIECE = 20_000
PLAIN = (
    'a list of objects, SQuAD\'s {"data": [{"paragraphs": [...]}]}, COCO\'s {"images": [...], "annotations": [...], '
    '"categories": [...]}, '
    "or a list of utterances with `userInput`"
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row of a document.

    Attributes:
        cells: Column -> text; None where nothing is said.
        fault: A key of `FAULTS`, or '' for a sound row.
    """

    cells: Mapping[str, str | None]
    fault: str = ""


@dataclass(frozen=True, kw_only=True)
class Form:
    """One shape that documents have.

    Attributes:
        name: For messages.
        fits: Whether a parsed document has this shape.
        entries: Its rows, in order.
        roles: What its columns are, given all rows.
    """

    name: str
    fits: Callable[[Any], bool]
    entries: Callable[[Any], Iterator[Entry]]
    roles: Callable[[Sequence[Entry]], dict[str, str]] = field(default=lambda entries: {})


def read_json(path: Path, settings: DataSettings, *, log: FaultLog) -> Iterator[Piece]:
    """The rows of a document; the number of a row is its place in it, the first is 1.

    Raises:
        DataError: it is too large, no JSON, or has no shape that is known.
    """
    from luthier.data.load.coco import COCO
    from luthier.data.load.squad import SQUAD
    from luthier.data.load.utterances import UTTERANCES

    document = _parse(path, log)
    forms = (SQUAD, COCO, UTTERANCES, Form(name="list of objects", fits=_is_list, entries=_rows_of_list))
    form = next((form for form in forms if form.fits(document)), None)
    if form is None:
        raise DataError(f"{log.file} holds {_described(document)}; known are {PLAIN}.", remedy=f"write {PLAIN}")
    log.unit = "entry"
    keep = settings.bad_rows == "keep"
    kept: list[tuple[int, Entry]] = []
    for number, entry in enumerate(form.entries(document), 1):
        log.num_rows += 1
        if entry.fault:
            log.add(entry.fault, [number])
        if keep or not entry.fault:
            kept.append((number, entry))
    log.roles = form.roles([entry for _, entry in kept])
    columns = list(dict.fromkeys(name for _, entry in kept for name in entry.cells))
    if len(columns) > MAX_COLUMNS:
        raise DataError(f"The objects of {log.file} have over {MAX_COLUMNS:,} different keys.", remedy="use the same few keys")
    for start in range(0, max(1, len(kept)), ROWS_PER_PIECE):
        yield _piece(kept[start : start + ROWS_PER_PIECE], columns)


def _parse(path: Path, log: FaultLog) -> Any:
    with open_binary(path, log.file) as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise DataError(
            f"{log.file} is larger than {format_bytes(MAX_BYTES)}: a JSON document is read whole, into many times its size.",
            remedy=f"write one object per line: jq -c '.[]' {path.name} > {path.stem}.jsonl",
        )
    try:
        return json.loads(content.decode("utf-8-sig"), parse_constant=lambda constant: None)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{log.file} is not UTF-8 (byte {error.start:,}).",
            remedy=f"iconv -f WINDOWS-1252 -t UTF-8 {path.name} > {path.stem}-utf8.json",
        ) from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno:,}, column {error.colno:,}"
        hint = "if it has one object per line, rename it to .jsonl" if error.msg == "Extra data" else "correct it there"
        raise DataError(f"{log.file} is no JSON: {error.msg} at {where}.", remedy=hint) from error
    except RecursionError as error:
        raise DataError(f"{log.file} is nested too deeply to be data.", remedy=f"write {PLAIN}") from error
    except ValueError as error:  # a number of thousands of digits
        raise DataError(f"{log.file} cannot be read: {error}.", remedy="write such numbers as texts") from error


def _is_list(document: Any) -> bool:
    rows = _list_in(document)
    return bool(rows) and any(isinstance(row, dict) and row for row in rows)


def _list_in(document: Any) -> list[Any]:
    """The document, or what it holds under `data`, if that is a list."""
    found = document.get("data") if isinstance(document, dict) else document
    return found if isinstance(found, list) else []


def _rows_of_list(document: Any) -> Iterator[Entry]:
    names: dict[str, str] = {}
    for row in _list_in(document):
        if not isinstance(row, dict):
            yield Entry(cells={}, fault="bad_entry")
            continue
        new = [key for key in row if key not in names]
        names |= dict(zip(new, unique_names([key.strip() for key in new], taken=_taken(names)), strict=True)) if new else {}
        yield Entry(cells={names[key]: to_text(value) for key, value in row.items()})


def _taken(names: Mapping[str, str]) -> list[str]:
    from luthier.data.load.source import RESERVED

    return [*RESERVED, *names.values()]


def _piece(entries: Sequence[tuple[int, Entry]], columns: Sequence[str]) -> Piece:
    faults = {row: entry.fault for row, (_, entry) in enumerate(entries) if entry.fault}
    numbers = np.array([number for number, _ in entries], dtype=np.int64)
    return Piece(table=_table([entry for _, entry in entries], columns), numbers=numbers, faults=faults)


def _table(entries: Sequence[Entry], columns: Sequence[str]) -> "pa.Table":
    import pyarrow as pa

    return pa.table({name: pa.array([_sound(entry.cells.get(name)) for entry in entries], pa.string()) for name in columns})


def _sound(text: str | None) -> str | None:
    """A text without halves of surrogate pairs and NUL, which no file of ours could hold."""
    if text is None:
        return None
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd") if not text.isascii() or "\0" in text else text


def _described(document: Any) -> str:
    if isinstance(document, dict):
        return f"an object with {', '.join(map(repr, list(document)[:5])) or 'nothing in it'}"
    if isinstance(document, list):
        return f"a list of {type(document[0]).__name__}" if document else "an empty list"
    return f"a single {type(document).__name__}"
