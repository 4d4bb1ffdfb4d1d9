"""Is this file there, and is it a table? Every way in which it is not gets a sentence and something to do."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from luthier.core.names import nearest_name
from luthier.core.sound import is_sound_file
from luthier.errors import DataError, LuthierError

CONLL_SUFFIXES = (".conll", ".iob", ".iob2", ".bio")
TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json", ".parquet", *CONLL_SUFFIXES, ".txt")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
COMPRESSIBLE = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json", *CONLL_SUFFIXES)

_ADVICE = {
    ".xlsx": "save the sheet as CSV UTF-8 in your spreadsheet program",
    ".xls": "save the sheet as CSV UTF-8 in your spreadsheet program",
    ".ods": "save the sheet as CSV UTF-8 in your spreadsheet program",
    ".zip": "unpack it first: unzip {name}",
    ".tar": "unpack it first: tar xf {name}",
    ".tgz": "unpack it first: tar xf {name}",
    ".gz": "unpack it first: gunzip {name}",
    ".bz2": "unpack it first: bunzip2 {name}",
    ".zst": "unpack it first: unzstd {name}",
    ".7z": "unpack it first",
    ".pdf": "extract the text into a CSV file",
    ".pkl": "pickles can run code and are never read; write a Parquet file",
    ".txt": "if it is a table, rename it: mv {name} {stem}.csv; if it holds words and tags, end sentences with blank lines",
    ".feather": "write a Parquet file",
    ".arrow": "write a Parquet file",
    ".db": "export the table as CSV",
    ".sqlite": "export the table as CSV",
}
_MAGIC = {
    b"PK\x03\x04": "a zip archive or an Excel sheet",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"%PDF": "a PDF document",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "gzipped",
    b"SQLite format 3": "an SQLite data base",
    b"GIF8": "a GIF picture",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word document",
    b"\x7fELF": "a program",
}
_RIGHT_SUFFIX = {b"PAR1": ".parquet", b"\x1f\x8b": "{suffix}.gz"}


def table_suffix(path: Path) -> str:
    """The suffix that says how a table file is read, in small letters; '' for anything else.

    Example:
        >>> table_suffix(Path("a/Tickets.CSV")), table_suffix(Path("x.jsonl.gz")), table_suffix(Path("x.txt.gz"))
        ('.csv', '.jsonl', '')
    """
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    if suffixes and suffixes[-1] == ".gz":
        return suffixes[0] if suffixes[0] in COMPRESSIBLE else ""
    return suffixes[-1] if suffixes and suffixes[-1] in TABLE_SUFFIXES else ""


def is_table_file(path: Path) -> bool:
    """Whether the name is that of a table; a `.txt` must also hold one word and its tag on each line.

    Example:
        >>> is_table_file(Path("a/tickets.csv")), is_table_file(Path("LICENSE"))
        (True, False)
    """
    from luthier.data.load.conll import holds_tagged_words

    suffix = table_suffix(path)
    return bool(suffix) and (suffix != ".txt" or holds_tagged_words(path))


def is_image_file(path: Path) -> bool:
    """Whether the name is that of a picture."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def missing(path: Path) -> DataError:
    """The error for a path that does not exist, with the nearest name that does."""
    parent = path.parent
    while not parent.is_dir() and parent != parent.parent:
        parent = parent.parent
    names = [entry.name for entry in parent.iterdir()] if parent.is_dir() else []
    guess = nearest_name(path.name, names) if parent == path.parent else None
    if guess:
        return DataError(f"There is no {path}. Did you mean '{guess}'?", remedy=str(parent / guess))
    found = ", ".join(sorted(name for name in names if not name.startswith("."))[:8]) or "nothing"
    return DataError(
        f"There is no {path}; {parent} holds {found}.", remedy="check the path; it is relative to the current folder"
    )


def unsupported(path: Path) -> DataError:
    """The error for a file that is no table by its name."""
    advice = _ADVICE.get(path.suffix.lower(), "give a CSV, TSV, JSONL or Parquet file, or a folder of files by class")
    if is_image_file(path):
        advice = f"give a folder with one sub-folder of pictures per class: {path.parent}"
    if is_sound_file(path):
        advice = f"give a folder with one sub-folder of recordings per class: {path.parent}"
    kinds = ", ".join(suffix for suffix in TABLE_SUFFIXES if suffix != ".txt")
    problem = f"{path.name} cannot be read as a table: its suffix is '{path.suffix}', not one of {kinds}."
    if path.suffix.lower() == ".txt":
        problem = (
            f"{path.name} cannot be read as a table: it is a text file, and does not hold a word and its tag on each line."
        )
    return DataError(
        problem,
        remedy=advice.format(name=path.name, stem=path.stem),
    )


def check_table_file(path: Path) -> LuthierError | None:
    """Why this file cannot be a table, judged from its name and its first bytes; None if it can."""
    if not path.exists():
        return missing(path)
    if not path.is_file():
        return DataError(f"{path} is neither a file nor a folder.", remedy="give a CSV, TSV, JSONL or Parquet file")
    suffix = table_suffix(path)
    if not suffix:
        return unsupported(path)
    try:
        with path.open("rb") as file:
            head = file.read(8192)
        if head and not is_table_file(path):
            return unsupported(path)
    except OSError as error:
        return unreadable(path.name, error)
    if not head:
        return DataError(f"{path.name} is empty (0 bytes).", remedy="give a file with a header and at least one row")
    return None if suffix == ".parquet" or path.suffix.lower() == ".gz" else _check_head(path, head)


def check_text_file(path: Path) -> LuthierError | None:
    """Why this file cannot be a plain text, judged from its first bytes; None if it can."""
    if not path.exists():
        return missing(path)
    try:
        with path.open("rb") as file:
            head = file.read(8192)
    except OSError as error:
        return unreadable(path.name, error)
    if not head:
        return DataError(f"{path.name} is empty (0 bytes).", remedy="give a file with a text on each line")
    return _check_head(path, head, advice="give the texts themselves, as UTF-8")


def _check_head(path: Path, head: bytes, *, advice: str = "give the table itself as CSV") -> LuthierError | None:
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            right = _RIGHT_SUFFIX.get(magic, "").format(suffix=path.suffix)
            remedy = f"mv {path.name} {path.stem}{right}" if right else advice
            return DataError(f"{path.name} is {what}, whatever its name says.", remedy=remedy)
    utf16 = head.startswith((b"\xff\xfe", b"\xfe\xff")) or (len(head) > 8 and _alternates(head))
    if utf16:
        remedy = f"iconv -f UTF-16 -t UTF-8 {path.name} > {path.stem}-utf8{path.suffix}"
        return DataError(f"{path.name} is written in UTF-16; UTF-8 is needed.", remedy=remedy)
    if sum(byte < 32 and byte not in b"\t\n\r\f\v\x1b" for byte in head) * 10 > len(head):
        return DataError(
            f"{path.name} holds binary data, not text: it is no table.", remedy="give the table as CSV, TSV or JSONL"
        )
    return None


def _alternates(head: bytes) -> bool:
    even, odd = head[0::2], head[1::2]
    return any(
        zeros.count(0) * 5 > len(zeros) * 4 and others.count(0) * 5 < len(others)
        for zeros, others in ((even, odd), (odd, even))
    )


def unreadable(name: str, error: Exception) -> DataError:
    """The error for a file or folder that the system does not give, or whose packing is damaged."""
    reason = getattr(error, "strerror", None) or str(error)
    return DataError(
        f"{name} cannot be read: {reason}.", remedy="check the permissions, or copy the file anew if it is damaged"
    )


@contextmanager
def open_binary(path: Path, name: str) -> Iterator[BinaryIO]:
    """The bytes of a file, unpacked if it ends with `.gz`.

    Raises:
        DataError: it cannot be read, or is damaged.
    """
    try:
        if path.suffix.lower() == ".gz":
            with gzip.open(path, "rb") as packed:
                yield cast(BinaryIO, packed)
        else:
            with path.open("rb") as file:
                yield file
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(name, error) from error
