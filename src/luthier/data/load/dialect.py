"""How a delimited file is written: its delimiter, its quotes, its header. Judged from the beginning of the file."""

import re
from collections import Counter
from dataclasses import dataclass

from luthier.core.decision import Decision
from luthier.data.load.lexer import NEWLINES, QUOTE, Record, lex_record
from luthier.errors import DataError, SpecError

SAMPLE_BYTES = 1 << 18
SAMPLE_RECORDS = 100
MARK = b"\xef\xbb\xbf"
DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_SPOKEN = {"\\t": "\t", **{name: character for character, name in DELIMITER_NAMES.items()}}


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How cells are told apart.

    Attributes:
        delimiter: The byte between cells.
        quoted: Whether cells may be quoted; if not, a quote is a letter like any other.
    """

    delimiter: int
    quoted: bool = True


def parse_delimiter(setting: str) -> str:
    r"""The character that `--delimiter` means; `tab` and `\t` are understood.

    Raises:
        SpecError: it is not one ASCII character, or one that cannot stand between cells.
    """
    character = _SPOKEN.get(setting, setting)
    if len(character) != 1 or not character.isascii() or character in '"\r\n\0':
        raise SpecError(
            f"--delimiter is {setting!r}; it must be one character, not a quote or a line end.",
            remedy="--delimiter ';' | ',' | '|' | tab",
        )
    return character


def choose_delimiter(sample: bytes, *, file: str, setting: str | None) -> Decision[str]:
    """The delimiter of a file that begins with `sample`.

    The candidates are comma, semicolon, tab and vertical bar. The one wins under which the header has at least two cells and
    most of the first hundred records have as many as the header.

    Raises:
        DataError: `setting` makes a single column of the file, and another delimiter does not.
    """
    shares = {character: _agreement(sample, ord(character)) for character in DELIMITER_NAMES}
    usable = {character: share for character, share in shares.items() if share[1] > 1}
    guess = max(usable, key=lambda character: usable[character], default="\t" if file.endswith((".tsv", ".tab")) else ",")
    if setting is None:
        return Decision(
            name="delimiter",
            value=guess,
            reason=_reason(guess, usable, file=file),
            evidence={DELIMITER_NAMES[key]: {"agreement": share, "columns": cells} for key, (share, cells) in shares.items()},
            override="--delimiter CHARACTER",
        )
    given = parse_delimiter(setting)
    if usable and given not in usable and _agreement(sample, ord(given))[1] == 1:
        raise DataError(
            f"With --delimiter {setting!r}, {file} has a single column; with {guess!r} it has {usable[guess][1]}.",
            remedy=f"--delimiter {'tab' if guess == chr(9) else repr(guess)}",
        )
    return Decision(name="delimiter", value=given, reason="you said so", override="--delimiter CHARACTER")


def _reason(guess: str, usable: dict[str, tuple[float, int]], *, file: str) -> str:
    if guess not in usable:
        return f"no character parts the header of {file} into cells; it is read as a single column"
    share, cells = usable[guess]
    return f"with a {DELIMITER_NAMES[guess]}, {share:.0%} of the first rows of {file} have {cells} cells like the header"


def _agreement(sample: bytes, delimiter: int) -> tuple[float, int]:
    """The share of records with as many cells as the first one, and that number of cells."""
    counts = [len(record.cells) for record in _first_records(sample, delimiter)]
    if not counts:
        return 0.0, 0
    return round(Counter(counts)[counts[0]] / len(counts), 2), counts[0]


def _first_records(sample: bytes, delimiter: int) -> list[Record]:
    records: list[Record] = []
    position = skip_blank(sample, 0)
    while position < len(sample) and len(records) < SAMPLE_RECORDS:
        record = lex_record(sample, position, limit=len(sample), delimiter=delimiter)
        if record.end >= len(sample) == SAMPLE_BYTES and records:
            break
        records.append(record)
        position = skip_blank(sample, record.end)
    return records


def skip_blank(buffer: bytes, position: int) -> int:
    """The first place from `position` on that is neither a line end nor a byte-order mark."""
    while position < len(buffer):
        if buffer[position] in NEWLINES:
            position += 1
        elif buffer.startswith(MARK, position):
            position += len(MARK)
        else:
            break
    return position


def choose_quoting(sample: bytes, delimiter: int) -> bool:
    """Whether quotes mean something: always, but in tab-separated files whose quotes do not come in pairs.

    Tab-separated corpora are often written without quoting; a cell that begins with a quote is then just a text that does.
    """
    if delimiter != ord("\t"):
        return True
    cells = [cell for line in re.split(rb"[\r\n]+", sample) for cell in line.split(b"\t") if cell[:1] == b'"']
    whole = sum(_is_quoted(cell) for cell in cells)
    return whole * 2 >= len(cells)


def _is_quoted(cell: bytes) -> bool:
    return len(cell) > 1 and cell[-1] == QUOTE and b'"' not in cell[1:-1].replace(b'""', b"")


@dataclass(frozen=True, kw_only=True)
class Header:
    """The first record.

    Attributes:
        cells: The names as they stand there, stripped.
        end: Where the second record begins.
        num_lines: Physical lines up to there.
    """

    cells: list[str]
    end: int
    num_lines: int


def read_header(buffer: bytes, dialect: Dialect) -> Header:
    """The column names of a file that begins with `buffer`."""
    start = skip_blank(buffer, 0)
    if dialect.quoted:
        record = lex_record(buffer, start, limit=len(buffer), delimiter=dialect.delimiter)
        cells, end = record.cells, record.end
    else:
        end = min((at for newline in (b"\n", b"\r") if (at := buffer.find(newline, start)) >= 0), default=len(buffer))
        cells = buffer[start:end].split(bytes([dialect.delimiter]))
    end += 2 if buffer.startswith(b"\r\n", end) else 1
    lines = re.findall(rb"\r\n|\r|\n", buffer[:end])
    names = [cell.decode("utf-8", "replace").replace("\0", "\ufffd").strip().removeprefix("\ufeff") for cell in cells]
    return Header(cells=names, end=min(end, len(buffer)), num_lines=len(lines))
