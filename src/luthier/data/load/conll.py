"""CoNLL files: a word and its tag on each line, a blank line behind each sentence. One row of the table is a sentence.

The first column is the word and the last the tag, between tabs or spaces; what stands between them is used for nothing.
`tokens` and `tags` are JSON lists, as lists are in all tables here. `-DOCSTART-` lines number the documents, in a column of
their own. Lines that begin with `#` in front of a sentence and are no words with tags are comments. A file of one column has
words only.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from luthier.core.decision import Decision
from luthier.core.names import count_of
from luthier.data.load.faults import FaultLog
from luthier.data.load.source import Piece
from luthier.data.settings import DataSettings
from luthier.data.words import OUTSIDE, is_entity_tag
from luthier.errors import DataError

if TYPE_CHECKING:
    pass

SENTENCES_PER_PIECE = 5_000
SAMPLE_BYTES = 1 << 16
MAX_LINE_BYTES = 1 << 20
MAX_WORDS = 100_000
DOCUMENT_START = "-DOCSTART-"
TOKENS, TAGS, DOCUMENT = "tokens", "tags", "document"
_MOSTLY = 0.95


@dataclass(frozen=True, kw_only=True)
class Columns:
    """How the lines of a file are cut.

    Attributes:
        delimiter: A tab, or None for any white space.
        number: How many cells most lines have.
        has_documents: Whether documents are marked.
    """

    delimiter: str | None
    number: int
    has_documents: bool

    def cells(self, line: str) -> list[str]:
        """The cells of a line."""
        return [cell.strip() for cell in line.split(self.delimiter)]


@dataclass(kw_only=True)
class _Sentence:
    """A sentence while its lines are read."""

    line: int
    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    fault: str = ""


def holds_tagged_words(path: Path) -> bool:
    """Whether a file named like a table or a text has a word and its tag on each line, and sentences between blank lines.

    Of `.tsv` files the last column must hold tags that mark entities; a `.txt` file may hold any tags.
    """
    from luthier.data.load.files import open_binary

    with open_binary(path, path.name) as file:
        lines = _sample(file)
    filled = [line for line in lines if line.strip() and not line.startswith(DOCUMENT_START)]
    if not filled or len(filled) == len(lines):
        return False
    columns = choose_columns(lines)
    rows = [columns.cells(line) for line in filled if not _is_comment(line, columns)]
    whole = [cells for cells in rows if len(cells) == columns.number]
    if columns.number < 2 or len(whole) < _MOSTLY * len(rows):
        return False
    marked = sum(is_entity_tag(cells[-1]) for cells in whole) >= _MOSTLY * len(whole)
    if path.name.lower().removesuffix(".gz").endswith(".txt"):
        return marked or (len(whole) == len(rows) > 2)
    return marked and any("-" in cells[-1] for cells in whole)


def _sample(file: BinaryIO) -> list[str]:
    head = file.read(SAMPLE_BYTES).removeprefix(b"\xef\xbb\xbf")
    lines = re.split(r"\r\n|\n|\r", head.decode("utf-8", "replace"))
    return lines[:-1] if len(head) == SAMPLE_BYTES or not lines[-1] else lines


def choose_columns(lines: Sequence[str]) -> Columns:
    """How most of some lines are cut.

    Example:
        >>> choose_columns(["-DOCSTART- O", "", "EU NNP B-ORG", "rejects VBZ O"])
        Columns(delimiter=None, number=3, has_documents=True)
    """
    filled = [line for line in lines if line.strip()]
    words = [line for line in filled if not line.startswith((DOCUMENT_START, "#"))] or filled
    delimiter = "\t" if 2 * sum("\t" in line for line in words) > len(words) else None
    counts = Counter(len(line.split(delimiter)) for line in words)
    return Columns(
        delimiter=delimiter,
        number=counts.most_common(1)[0][0] if counts else 1,
        has_documents=any(line.startswith(DOCUMENT_START) for line in filled),
    )


def _is_comment(line: str, columns: Columns) -> bool:
    return line.startswith("#") and len(columns.cells(line)) != columns.number


def read_conll(path: Path, settings: DataSettings, *, log: FaultLog) -> Iterator[Piece]:
    """The sentences of a file; `example_id` ends with the line of a sentence's first word.

    Raises:
        DataError: there is no sentence, or a sentence does not end.
    """
    from luthier.data.load.files import open_binary

    with open_binary(path, log.file) as file:
        columns = choose_columns(_sample(file))
        file.seek(0)
        _note(columns, log)
        held: list[tuple[_Sentence, int]] = []
        for sentence, document in _sentences(file, columns, log):
            log.num_rows += 1
            if sentence.fault and settings.bad_rows != "keep":
                continue
            held.append((sentence, document))
            if len(held) == SENTENCES_PER_PIECE:
                yield _to_piece(held, columns)
                held = []
        if not log.num_rows:
            raise DataError(f"{log.file} has no sentence.", remedy="write a word and its tag on each line: Aspirin<TAB>B-Drug")
        yield _to_piece(held, columns)


def _note(columns: Columns, log: FaultLog) -> None:
    between = "tabs" if columns.delimiter else "spaces"
    if columns.number == 1:
        reason = f"lines of {log.file} have one column: words without tags"
    else:
        unused = f"; {count_of(columns.number - 2, 'column')} between them is not used" if columns.number > 2 else ""
        unused = unused.replace("is not", "are not") if columns.number > 3 else unused
        reason = f"lines of {log.file} have {columns.number} columns between {between}: the word first, its tag last{unused}"
    log.decisions.append(Decision(name="columns", value=columns.number, reason=reason))


def _sentences(file: BinaryIO, columns: Columns, log: FaultLog) -> Iterator[tuple[_Sentence, int]]:
    """Each sentence with the number of its document."""
    sentence, document = _Sentence(line=0), 0
    for number, line, fault in _lines(file, log):
        starts_document = line.startswith(DOCUMENT_START)
        if starts_document or not line.strip():
            document += starts_document
            if sentence.words:
                yield sentence, document - starts_document
                sentence = _Sentence(line=0)
        elif sentence.words or not _is_comment(line, columns):
            cells = columns.cells(line)
            if not fault and (len(cells) != columns.number or not cells[0] or not cells[-1]):
                fault = "ragged_line"
            if fault and not sentence.fault:
                log.add(fault, [number])
                sentence.fault = fault
            _add(sentence, cells, number=number, log=log)
    if sentence.words:
        yield sentence, document


def _add(sentence: _Sentence, cells: list[str], *, number: int, log: FaultLog) -> None:
    sentence.line = sentence.line or number
    sentence.words.append(cells[0] or "\ufffd")
    sentence.tags.append(cells[-1] if len(cells) > 1 and cells[-1] else OUTSIDE)
    if len(sentence.words) > MAX_WORDS:
        raise DataError(
            f"The sentence on line {sentence.line} of {log.file} has more than {MAX_WORDS:,} words.",
            remedy="put a blank line behind each sentence",
        )


def _lines(file: BinaryIO, log: FaultLog) -> Iterator[tuple[int, str, str]]:
    """Number, text and fault of each line; bytes that are no text become U+FFFD."""
    number = 0
    while raw := file.readline(MAX_LINE_BYTES):
        number += 1
        if len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n"):
            raise DataError(f"Line {number} of {log.file} is longer than 1 MiB: this is no word.", remedy="look at the file")
        raw = (raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw).rstrip(b"\r\n")
        try:
            line, fault = raw.decode("utf-8"), ""
        except UnicodeDecodeError:
            line, fault = raw.decode("utf-8", "replace"), "bad_utf8"
        yield number, line.replace("\0", "\ufffd"), "nul_byte" if "\0" in line else fault


def _to_piece(held: Sequence[tuple[_Sentence, int]], columns: Columns) -> Piece:
    import pyarrow as pa

    text = pa.string()
    made = {TOKENS: pa.array([json.dumps(sentence.words, ensure_ascii=False) for sentence, _ in held], text)}
    if columns.number > 1:
        made[TAGS] = pa.array([json.dumps(sentence.tags, ensure_ascii=False) for sentence, _ in held], text)
    if columns.has_documents:
        made[DOCUMENT] = pa.array([str(document) for _, document in held], text)
    return Piece(
        table=pa.table(made),
        numbers=np.array([sentence.line for sentence, _ in held], dtype=np.int64),
        faults={row: sentence.fault for row, (sentence, _) in enumerate(held) if sentence.fault},
    )
