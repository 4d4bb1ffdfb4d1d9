"""One record of a CSV file, cell by cell, in plain Python: the slow and exact way, for the few records that need it.

`scan` finds records by the millions with NumPy and comes here for those with unusual quotes only.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

QUOTE = ord('"')
NEWLINES = b"\r\n"
_QUOTED = re.compile(rb'"((?:[^"]++|"")*+)"')


@dataclass(frozen=True, kw_only=True)
class Record:
    """One record.

    Attributes:
        cells: The content of the cells, without quotes.
        end: Where it ends in the buffer; the newline stands there.
        lenient: Text follows a closing quote (`"5" pipe`); readers differ in what they make of it.
        unclosed: A quote is never closed, or only by one that cannot be meant. Then the record ends with its first line, and
            the quote counts as text.
        open: It is unclosed because the bytes ended before a closing quote came: more of them may bring one.
    """

    cells: list[bytes]
    end: int
    lenient: bool = False
    unclosed: bool = False
    open: bool = False


@lru_cache(maxsize=8)
def _plain_cell(delimiter: int) -> re.Pattern[bytes]:
    return re.compile(rb"[^\r\n" + re.escape(bytes([delimiter])) + rb"]*+")


def lex_record(buffer: bytes, start: int, *, limit: int, delimiter: int) -> Record:
    """The record that begins at `start`; nothing from `limit` on is looked at.

    A quote opens a cell only where the cell begins. It is closed by the next quote that is not doubled. If the cell runs over
    several lines and its closing quote is not followed by a delimiter or a line end, then the opening quote was a slip, and
    what looked like its end opens a later cell.

    Example:
        >>> lex_record(b'17,"a, b",x', 0, limit=11, delimiter=ord(",")).cells
        [b'17', b'a, b', b'x']
        >>> lex_record(b'never closed,"oh,x', 0, limit=18, delimiter=ord(",")).cells
        [b'never closed', b'"oh', b'x']
    """
    plain = _plain_cell(delimiter)
    cells: list[bytes] = []
    position, lenient = start, False
    while True:
        if position < limit and buffer[position] == QUOTE:
            match = _QUOTED.match(buffer, position, limit)
            tail = _match_end(plain, buffer, position=match.end(), limit=limit) if match else 0
            if match is None or (tail > match.end() and _crosses_line(match.group(1))):
                first_line = _to_line_end(buffer, position, limit=limit)
                cells += buffer[position:first_line].split(bytes([delimiter]))
                return Record(cells=cells, end=first_line, unclosed=True, open=match is None)
            lenient = lenient or tail > match.end()
            cells.append(_unquote(match.group(1), buffer[match.end() : tail]))
            position = tail
        else:
            end = _match_end(plain, buffer, position=position, limit=limit)
            cells.append(buffer[position:end])
            position = end
        if position >= limit or buffer[position] in NEWLINES:
            return Record(cells=cells, end=position, lenient=lenient)
        position += 1


def _unquote(content: bytes, tail: bytes) -> bytes:
    """The text of a quoted cell; `"say "hi" now"`, whose inner quotes are not doubled, is taken for what it means."""
    if tail.endswith(b'"'):
        content += b'"' + tail[:-1]
        return content.replace(b'""', b'"')
    return content.replace(b'""', b'"') + tail


def _to_line_end(buffer: bytes, position: int, *, limit: int) -> int:
    return min((at for newline in (b"\n", b"\r") if (at := buffer.find(newline, position, limit)) >= 0), default=limit)


def _match_end(pattern: re.Pattern[bytes], buffer: bytes, *, position: int, limit: int) -> int:
    match = pattern.match(buffer, position, limit)
    return match.end() if match else position


def _crosses_line(cell: bytes) -> bool:
    return b"\n" in cell or b"\r" in cell
