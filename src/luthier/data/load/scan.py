"""Where the records of a CSV file begin and end, and which of them are bad: found with NumPy, block by block.

No parser of the field's libraries survives an unclosed quote, numbers physical lines, and goes on after bytes that are not
UTF-8. So the structure is found here; pyarrow then parses what is sound (`delimited`).
"""

import codecs
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from luthier.data.load.dialect import MARK, Dialect
from luthier.data.load.lexer import QUOTE, Record, lex_record

MAX_RECORD_BYTES = 1 << 23
HUGE_BYTES = 1_000_000
MANY_LINES = 5
LF, CR = 10, 13
_UTF8_STEP = 256

Places = Int[np.ndarray, " n"]
Mask = Bool[np.ndarray, " n"]


class Lines(NamedTuple):
    """Physical lines of a buffer: where they start, where their content ends, where the next one starts."""

    starts: Places
    contents: Places
    ends: Places


@dataclass(frozen=True, kw_only=True)
class Scan:
    """The records that are whole in a buffer.

    Attributes:
        lines: Start, end of content, and end of each record.
        numbers: The physical line on which each starts, from 0 in this buffer.
        faults: Record -> fault. At most one each, the gravest.
        cells: Record -> its cells, where quotes are unusual and pyarrow must not be asked.
        blank: Which records are blank lines.
        stray_marks: Records that begin with a byte-order mark.
        consumed: Bytes up to the end of the last whole record.
        num_lines: Physical lines up to there.
    """

    lines: Lines
    numbers: Places
    faults: dict[int, str]
    cells: dict[int, list[bytes]]
    blank: Mask
    stray_marks: list[int]
    consumed: int
    num_lines: int


def find_lines(buffer: bytes, *, final: bool) -> Lines:
    """The physical lines of a buffer; a last line without an end counts only if nothing follows (`final`)."""
    data = np.frombuffer(buffer, np.uint8)
    ends = np.flatnonzero(data == LF) + 1
    if b"\r" in buffer:
        returns = np.flatnonzero(data == CR) + 1
        inside = returns < len(data)
        lone = returns[~inside | (data[np.minimum(returns, len(data) - 1)] != LF)]
        if not final and lone.size and lone[-1] == len(data):
            lone = lone[:-1]
        ends = np.sort(np.concatenate([ends, lone]))
    if final and len(data) and (not ends.size or ends[-1] < len(data)):
        ends = np.append(ends, len(data))
    if not ends.size:
        return Lines(ends, ends, ends)
    starts = np.concatenate([[0], ends[:-1]])
    last = data[ends - 1]
    has_newline = (last == LF) | (last == CR)
    is_crlf = (last == LF) & (ends - 2 >= starts) & (data[ends - 2] == CR)
    return Lines(starts, ends - has_newline - is_crlf, ends)


def _count_cells(data: np.ndarray, lines: Lines, *, dialect: Dialect) -> tuple[Places, Mask]:
    """Cells of each line, and which lines must be read by the lexer; both as if every line began outside of quotes."""
    special = np.flatnonzero((data == dialect.delimiter) | (data == QUOTE)) if dialect.quoted else _none
    is_quote = data[special] == QUOTE
    if not is_quote.any():
        delimiters = np.flatnonzero(data == dialect.delimiter)
        bounds = np.searchsorted(delimiters, np.append(lines.starts, lines.ends[-1]))
        return np.diff(bounds) + 1, np.zeros(len(lines.starts), dtype=bool)
    bounds = np.searchsorted(special, np.append(lines.starts, lines.ends[-1]))
    special, is_quote = special[: bounds[-1]], is_quote[: bounds[-1]]
    line_of = np.repeat(np.arange(len(lines.starts)), np.diff(bounds))
    before = np.concatenate([[0], np.cumsum(is_quote)])
    inside = ((before[:-1] - before[bounds[:-1]][line_of]) & 1).astype(bool)
    cells = np.bincount(line_of[~is_quote & ~inside], minlength=len(lines.starts)) + 1
    odd = (before[bounds[1:]] - before[bounds[:-1]]) & 1
    unclean = odd.astype(bool)
    slips = _is_slip(data, special[is_quote], closing=inside[is_quote], starts=lines.starts[line_of[is_quote]], dialect=dialect)
    unclean[line_of[is_quote][slips]] = True
    return cells, unclean


_none: Places = np.empty(0, dtype=np.int64)


def _is_slip(data: np.ndarray, quotes: Places, *, closing: Mask, starts: Places, dialect: Dialect) -> Mask:
    """Quotes that do not stand where RFC 4180 has them: at the edges of a cell, or doubled inside of one."""
    before = data[np.maximum(quotes - 1, 0)]
    after = data[np.minimum(quotes + 1, len(data) - 1)]
    may_open = (quotes == starts) | (before == dialect.delimiter) | (before == QUOTE)
    at_end = quotes + 1 >= len(data)
    may_close = at_end | (after == dialect.delimiter) | (after == LF) | (after == CR) | (after == QUOTE)
    return np.asarray(np.where(closing, ~may_close, ~may_open))


@dataclass
class _Assembly:
    """Lines on their way to records."""

    is_start: Mask
    contents: Places
    ends: Places
    cells: Places
    unclosed: list[int] = field(default_factory=list)
    rewritten: dict[int, list[bytes]] = field(default_factory=dict)
    stop: int = 0


def _assemble(
    buffer: bytes, lines: Lines, *, cells: Places, unclean: Mask, dialect: Dialect, final: bool, expected: int
) -> _Assembly:
    """Join the lines that quotes hold together; `stop` is the first line of a record that needs bytes still to come."""
    state = _Assembly(np.ones(len(cells), dtype=bool), lines.contents.copy(), lines.ends.copy(), cells, stop=len(cells))
    limit, next_line = int(lines.ends[-1]), 0
    for line in np.flatnonzero(unclean).tolist():
        if line < next_line:
            continue
        start = int(lines.starts[line])
        record = lex_record(buffer, start, limit=limit, delimiter=dialect.delimiter)
        if record.open and not final and len(buffer) - start < MAX_RECORD_BYTES:
            state.stop = line
            break
        last = int(np.searchsorted(lines.contents, record.end))
        if last > line:
            alone = lex_record(buffer, start, limit=int(lines.contents[line]), delimiter=dialect.delimiter)
            inner = slice(line + 1, last + 1)
            if _is_slip_of_pen(record, alone, cells=cells[inner], unclean=unclean[inner], expected=expected):
                record, last = alone, line
        _settle(state, record, line=line, last=last)
        next_line = last + 1
    return state


def _is_slip_of_pen(record: Record, alone: Record, *, cells: Places, unclean: Mask, expected: int) -> bool:
    """Whether a record over several lines opened its quote by mistake, and a later quote closed it by chance.

    It did if it has the wrong width and runs over a line that is a whole record itself; or if it has the right width, but so
    has its first line, and every one of many lines that it runs over.

    Args:
        record: As lexed.
        alone: Its first line, with the quote taken for text.
        cells: Cells of the lines it runs over, the last one included.
        unclean: Which of them have quotes that are not whole.
        expected: Cells of a whole record.
    """
    whole = (cells == expected) & ~unclean
    if len(record.cells) != expected:
        return bool(whole.any())
    inner = whole[:-1]
    return expected > 1 and len(inner) >= MANY_LINES and bool(inner.all()) and len(alone.cells) == expected


def _settle(state: _Assembly, record: Record, *, line: int, last: int) -> None:
    state.is_start[line + 1 : last + 1] = False
    state.contents[line], state.ends[line] = state.contents[last], state.ends[last]
    state.cells[line] = len(record.cells)
    if record.unclosed:
        state.unclosed.append(line)
    if record.unclosed or record.lenient:
        state.rewritten[line] = record.cells


def scan_block(buffer: bytes, dialect: Dialect, *, expected: int, final: bool) -> Scan:
    """Find the whole records of a buffer that begins where a record does.

    Args:
        buffer: Bytes of the file.
        dialect: Delimiter and quoting.
        expected: Number of cells a record should have.
        final: Nothing follows.
    """
    lines = find_lines(buffer, final=final)
    if not lines.starts.size:
        return Scan(lines=lines, numbers=_none, faults={}, cells={}, blank=_none > 0, stray_marks=[], consumed=0, num_lines=0)
    data = np.frombuffer(buffer, np.uint8)
    marked = _skip_marks(buffer, lines)
    cells, unclean = _count_cells(data, lines, dialect=dialect)
    state = _assemble(buffer, lines, cells=cells, unclean=unclean, dialect=dialect, final=final, expected=expected)
    numbers = np.flatnonzero(state.is_start[: state.stop])
    records = Lines(lines.starts[numbers], state.contents[numbers], state.ends[numbers])
    place = {line: int(np.searchsorted(numbers, line)) for line in state.rewritten}
    blank = _find_blank(buffer, records, cells=state.cells[numbers], expected=expected)
    faults = dict.fromkeys(np.flatnonzero((state.cells[numbers] != expected) & ~blank).tolist(), "ragged_row")
    faults |= dict.fromkeys(_find_bad_utf8(buffer, records), "bad_utf8")
    faults |= dict.fromkeys(_records_at(np.flatnonzero(data == 0), records), "nul_byte") if b"\0" in buffer else {}
    faults |= {place[line]: "unclosed_quote" for line in state.unclosed}
    return Scan(
        lines=records,
        numbers=numbers,
        faults=faults,
        cells={place[line]: content for line, content in state.rewritten.items()},
        blank=blank,
        stray_marks=np.flatnonzero(marked[numbers]).tolist(),
        consumed=int(records.ends[-1]) if numbers.size else 0,
        num_lines=state.stop,
    )


def _find_blank(buffer: bytes, records: Lines, *, cells: Places, expected: int) -> Mask:
    blank = records.starts == records.contents
    if expected > 1:
        for record in np.flatnonzero((cells == 1) & ~blank).tolist():
            blank[record] = not buffer[records.starts[record] : records.contents[record]].strip()
    return np.asarray(blank)


def _find_bad_utf8(buffer: bytes, records: Lines) -> list[int]:
    if buffer.isascii():
        return []
    bad: list[int] = []
    for first in range(0, len(records.starts), _UTF8_STEP):
        last = min(first + _UTF8_STEP, len(records.starts)) - 1
        if not _is_utf8(buffer[records.starts[first] : records.ends[last]]):
            group = range(first, last + 1)
            bad += [record for record in group if not _is_utf8(buffer[records.starts[record] : records.ends[record]])]
    return bad


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        codecs.utf_8_decode(text, "strict", True)
    except UnicodeDecodeError:
        return False
    return True


def _records_at(places: Places, records: Lines) -> list[int]:
    if not records.starts.size:
        return []
    places = places[places < records.ends[-1]]
    found: list[int] = np.unique(np.searchsorted(records.starts, places, side="right") - 1).tolist()
    return found


def _skip_marks(buffer: bytes, lines: Lines) -> Mask:
    """Move the start of lines that begin with byte-order marks behind them; return which lines those are."""
    marked = np.zeros(len(lines.starts), dtype=bool)
    place = buffer.find(MARK)
    while place >= 0:
        line = int(np.searchsorted(lines.starts, place))
        if line < len(marked) and lines.starts[line] == place:
            marked[line] = True
            lines.starts[line] += len(MARK)
        place = buffer.find(MARK, place + len(MARK))
    return marked


def huge_records(records: Lines) -> Mask:
    """Which records are longer than a million bytes."""
    return np.asarray(records.ends - records.starts > HUGE_BYTES)
