"""CSV and TSV files, plain or gzipped: read in blocks, bad rows sorted out by `scan`, the sound rest parsed by pyarrow."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from luthier.core.decision import Decision
from luthier.core.names import count_of
from luthier.data.findings import Finding
from luthier.data.load.dialect import SAMPLE_BYTES, Dialect, Header, choose_delimiter, choose_quoting, read_header, skip_blank
from luthier.data.load.faults import KEPT_LINES, FaultLog
from luthier.data.load.files import open_binary
from luthier.data.load.lexer import lex_record
from luthier.data.load.scan import Lines, Scan, huge_records, scan_block
from luthier.data.load.source import Piece, unique_names
from luthier.data.settings import DataSettings
from luthier.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_BYTES = 1 << 23
MAX_LINE_BYTES = 1 << 26


def read_delimited(path: Path, settings: DataSettings, *, log: FaultLog) -> Iterator[Piece]:
    """The rows of a CSV or TSV file; all cells are text, empty cells are empty strings.

    Raises:
        DataError: the file is empty, has a header only, or is no text.
    """
    with open_binary(path, log.file) as file:
        yield from _read_blocks(file, settings, log=log)


def _read_blocks(file: BinaryIO, settings: DataSettings, *, log: FaultLog) -> Iterator[Piece]:
    buffer = file.read(BLOCK_BYTES)
    if skip_blank(buffer, 0) == len(buffer):
        raise DataError(f"{log.file} is empty.", remedy="give a file with a header and at least one row")
    dialect = _choose_dialect(buffer, settings, log=log)
    header = read_header(buffer, dialect)
    names = _column_names(header, log)
    ends = _LineEnds()
    buffer, line = buffer[header.end :], header.num_lines + 1
    while True:
        chunk = file.read(BLOCK_BYTES)
        final = not chunk
        scan = scan_block(buffer, dialect, expected=len(names), final=final)
        yield _to_piece(buffer, scan, names=names, dialect=dialect, keep=settings.bad_rows == "keep", line=line, log=log)
        ends.update(buffer, scan, line=line)
        line += scan.num_lines
        buffer = buffer[scan.consumed :] + chunk
        if final:
            break
        if not scan.consumed and len(buffer) > MAX_LINE_BYTES:
            raise DataError(f"Line {line} of {log.file} is longer than 64 MiB: this is no table.", remedy="look at the file")
    ends.report(log)
    if not log.num_rows:
        raise DataError(f"{log.file} has a header ({', '.join(names[:5])}) but no rows.", remedy="add rows below the header")


def _choose_dialect(buffer: bytes, settings: DataSettings, *, log: FaultLog) -> Dialect:
    sample = buffer[:SAMPLE_BYTES]
    decision = choose_delimiter(sample, file=log.file, setting=settings.delimiter)
    log.decisions.append(decision)
    delimiter = ord(decision.value)
    quoted = choose_quoting(sample, delimiter)
    if not quoted:
        reason = f"the quotes at the beginning of cells of {log.file} are mostly not closed"
        log.decisions.append(Decision(name="quoting", value=False, reason=reason))
    return Dialect(delimiter=delimiter, quoted=quoted)


def _column_names(header: Header, log: FaultLog) -> list[str]:
    names = unique_names(header.cells)
    renamed = {
        f"{number}: {old!r}": new for number, (old, new) in enumerate(zip(header.cells, names, strict=True), 1) if old != new
    }
    if renamed:
        log.findings.append(
            Finding(
                check="header",
                severity="warning",
                problem=f"{count_of(len(renamed), 'column name')} of {log.file} empty, repeated or reserved. Renamed: "
                + ", ".join(f"column {old} to '{new}'" for old, new in renamed.items())
                + ".",
                remedy="give every column a name of its own in the header",
                count=len(renamed),
                evidence={"renamed": renamed},
            )
        )
    return names


def _to_piece(buffer: bytes, scan: Scan, *, names: list[str], dialect: Dialect, keep: bool, line: int, log: FaultLog) -> Piece:
    numbers = scan.numbers + line
    _report(scan, numbers, log=log)
    kept = ~scan.blank
    if not keep:
        kept[list(scan.faults)] = False
    replacements = _replacements(buffer, scan, dialect=dialect, width=len(names), keep=keep)
    content = _splice(buffer, scan, kept=kept, replacements=replacements)
    place = np.cumsum(kept) - 1
    faults = {int(place[record]): fault for record, fault in scan.faults.items()} if keep else {}
    return Piece(table=_parse(content, names, dialect=dialect, rows=int(kept.sum())), numbers=numbers[kept], faults=faults)


def _report(scan: Scan, numbers: np.ndarray, *, log: FaultLog) -> None:
    by_fault: dict[str, list[int]] = {}
    for record, fault in scan.faults.items():
        by_fault.setdefault(fault, []).append(record)
    for fault, records in by_fault.items():
        log.add(fault, numbers[sorted(records)].tolist())
    log.add("blank_line", _inner_blanks(scan, numbers))
    log.add("stray_mark", numbers[scan.stray_marks].tolist())
    log.add("huge_row", numbers[huge_records(scan.lines)].tolist())
    log.num_rows += int((~scan.blank).sum())


def _inner_blanks(scan: Scan, numbers: np.ndarray) -> list[int]:
    """Blank lines but those at the end of the block: a file may end with some, and nobody wants to know."""
    filled = np.flatnonzero(~scan.blank)
    last = filled[-1] if filled.size else 0
    places: list[int] = numbers[:last][scan.blank[:last]].tolist()
    return places


def _replacements(buffer: bytes, scan: Scan, *, dialect: Dialect, width: int, keep: bool) -> dict[int, bytes]:
    """Records that must be written anew before pyarrow sees them: bad ones that are kept, and unusual quotes."""
    written = {}
    for record in set(scan.cells) | (set(scan.faults) if keep else set()) | set(scan.stray_marks):
        if scan.blank[record] or (record in scan.faults and not keep):
            continue
        cells = scan.cells.get(record)
        if cells is None and record not in scan.faults:
            written[record] = buffer[scan.lines.starts[record] : scan.lines.ends[record]]
            continue
        cells = cells if cells is not None else _lex(buffer, scan.lines, record=record, dialect=dialect)
        written[record] = _write_record(cells, dialect, width=width)
    return written


def _lex(buffer: bytes, lines: Lines, *, record: int, dialect: Dialect) -> list[bytes]:
    start, end = int(lines.starts[record]), int(lines.contents[record])
    if not dialect.quoted:
        return buffer[start:end].split(bytes([dialect.delimiter]))
    return lex_record(buffer, start, limit=end, delimiter=dialect.delimiter).cells


def _write_record(cells: list[bytes], dialect: Dialect, *, width: int) -> bytes:
    clean = [cell.decode("utf-8", "replace").replace("\0", "\ufffd").encode() for cell in cells[:width]]
    clean += [b""] * (width - len(clean))
    if dialect.quoted:
        clean = [b'"' + cell.replace(b'"', b'""') + b'"' for cell in clean]
    return bytes([dialect.delimiter]).join(clean) + b"\n"


def _splice(buffer: bytes, scan: Scan, *, kept: np.ndarray, replacements: dict[int, bytes]) -> bytes:
    """The buffer without the records that are not kept, and with the others' replacements."""
    edits = sorted(set(np.flatnonzero(~kept).tolist()) | set(replacements))
    if not edits and scan.consumed == len(buffer):
        return buffer
    view, position = memoryview(buffer), 0
    pieces: list[memoryview | bytes] = []
    begin = np.concatenate([[0], scan.lines.ends[:-1]])
    for record in edits:
        pieces += [view[position : begin[record]], replacements.get(record, b"")]
        position = int(scan.lines.ends[record])
    return b"".join([*pieces, view[position : scan.consumed]])


def _parse(content: bytes, names: list[str], *, dialect: Dialect, rows: int) -> "pa.Table":
    import pyarrow as pa
    from pyarrow import csv

    if not rows:
        return pa.table({name: pa.array([], pa.string()) for name in names})
    table = csv.read_csv(
        pa.BufferReader(content),
        csv.ReadOptions(column_names=names, block_size=len(content) + 1, use_threads=False),
        csv.ParseOptions(
            delimiter=chr(dialect.delimiter),
            quote_char='"' if dialect.quoted else False,
            newlines_in_values=True,
            ignore_empty_lines=False,
        ),
        csv.ConvertOptions(column_types={name: pa.string() for name in names}, null_values=[], strings_can_be_null=False),
    )
    if table.num_rows != rows:
        raise AssertionError(f"{rows} rows were found, but pyarrow read {table.num_rows}")
    return table


class _LineEnds:
    """How many rows end with LF, CRLF or CR, and which are the first that do."""

    def __init__(self) -> None:
        self._counts = {"LF": 0, "CRLF": 0, "CR": 0}
        self._numbers: dict[str, list[int]] = {style: [] for style in self._counts}

    def update(self, buffer: bytes, scan: Scan, *, line: int) -> None:
        """Count the row ends of one block."""
        if not scan.numbers.size:
            return
        widths = scan.lines.ends - scan.lines.contents
        last = np.frombuffer(buffer, np.uint8)[scan.lines.ends - 1]
        for style, mask in {
            "CRLF": widths == 2,
            "CR": (widths == 1) & (last == 13),
            "LF": (widths == 1) & (last == 10),
        }.items():
            known = self._numbers[style]
            self._counts[style] += int(mask.sum())
            if len(known) < KEPT_LINES:
                known.extend((scan.numbers[mask][: KEPT_LINES - len(known)] + line).tolist())

    def report(self, log: FaultLog) -> None:
        """Note the rows that end in another way than most."""
        usual = max(self._counts, key=lambda style: self._counts[style])
        others = [style for style in self._counts if style != usual]
        numbers = sorted(number for style in others for number in self._numbers[style])
        log.add("mixed_line_ends", numbers, count=sum(self._counts[style] for style in others))
