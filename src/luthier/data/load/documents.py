"""Sources that are plain texts: folders of text files, or single ones, as tables of documents.

In a folder each `.txt` file is a document. A single file holds many: its paragraphs where lines are empty between them, else
its lines. Parts are told by names (`train.txt`, `test/`), as for tables; their files are read as single ones.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from luthier.core.decision import Decision
from luthier.data.dataset import EXAMPLE_ID, PARTS
from luthier.data.load.files import check_text_file, is_table_file, missing
from luthier.data.load.layout import part_named
from luthier.data.load.media import is_hidden
from luthier.data.load.source import Source
from luthier.data.load.tables import name_below, rows_of_parts
from luthier.data.settings import DataSettings
from luthier.errors import DataError, LuthierError, raise_together

TEXT = "text"
SUFFIX = ".txt"
_BETWEEN = re.compile(r"\n[ \t\r]*\n\s*")


@dataclass(frozen=True, kw_only=True)
class Documents:
    """What was found in one file or folder.

    Attributes:
        form: What a document is there: `files`, `paragraphs` or `lines`.
        ids: Of each, without a duplicate.
    """

    form: str
    ids: tuple[str, ...]
    texts: tuple[str, ...]


def load_documents(sources: Sequence[str | Path], settings: DataSettings) -> Source | None:
    """Read text files; None if the sources are something else, such as tables.

    Raises:
        DataError: files that are missing, empty, or no UTF-8 text; all of them are named.
    """
    import pyarrow as pa

    parts = _parts(sources, settings)
    if parts is None:
        return None
    root = _root(list(parts.values()))
    found: dict[str, Documents] = {}
    errors: list[LuthierError] = []
    for part, path in parts.items():
        try:
            found[part] = _read(path, root)
        except LuthierError as error:
            errors.append(error)
    raise_together(errors)
    ids, texts = ([item for one in found.values() for item in getattr(one, name)] for name in ("ids", "texts"))
    return Source(
        name=next(iter(parts.values())).resolve().stem if len(parts) == 1 else root.resolve().name,
        kind="table",
        table=pa.table({EXAMPLE_ID: pa.array(ids, pa.string()), TEXT: pa.array(texts, pa.string())}),
        parts=rows_of_parts([(part, len(one.ids)) for part, one in found.items()]),
        decisions=(_decision(found),),
        files=tuple(str(path) for path in parts.values()),
        root=root,
        roles={"text": TEXT},
    )


def _decision(found: Mapping[str, Documents]) -> Decision[str]:
    forms = dict.fromkeys(one.form for one in found.values())
    reasons = {
        "files": "each file of the folder is a document",
        "paragraphs": "empty lines stand between them",
        "lines": "no line is empty, so each is a document",
    }
    evidence = {part: {"form": one.form, "documents": len(one.ids)} for part, one in found.items()}
    return Decision(
        name="documents", value=" and ".join(forms), reason="; ".join(reasons[form] for form in forms), evidence=evidence
    )


def _parts(sources: Sequence[str | Path], settings: DataSettings) -> dict[str, Path] | None:
    """Part -> file or folder; `all` where there is one only. None where something is no text."""
    given = {part: Path(path) for part in PARTS if (path := getattr(settings, part))}
    paths = [Path(source) for source in sources]
    if given:
        named = given if not paths else {"train": paths[0], **given} if len(paths) == 1 else {}
    elif len(paths) == 1 and paths[0].is_dir():
        named = _named_in(paths[0]) or {"all": paths[0]}
    elif len(paths) == 1:
        named = {"all": paths[0]}
    else:
        named = {part: path for path in paths if (part := part_named(path.name))}
        named = named if len(named) == len(paths) else {}
    if not named or not all(map(_holds_text, named.values())):
        return None
    raise_together([missing(path) for path in named.values() if not path.exists()])
    if set(named) == {"train"}:
        return {"all": named["train"]}
    if set(named) == {"train", "validation"}:  # as with tables: what is held out measures
        return {"train": named["train"], "test": named["validation"]}
    return {part: named[part] for part in ("all", *PARTS) if part in named}


def _named_in(folder: Path) -> dict[str, Path]:
    """The entries of a folder that are named like parts, if train is among them."""
    entries = [entry for entry in sorted(folder.iterdir()) if not is_hidden(entry.name)]
    named = {part: entry for entry in entries if (part := part_named(_stem(entry))) and _holds_text(entry)}
    return named if "train" in named and len(named) > 1 else {}


def _stem(path: Path) -> str:
    return path.stem if path.suffix.lower() == SUFFIX else path.name


def _holds_text(path: Path) -> bool:
    """Whether a file is a text, or a folder holds texts and no table: beside a table they say something about it."""
    if not path.is_dir():
        return path.suffix.lower() == SUFFIX and not (path.is_file() and is_table_file(path))
    return bool(_files_in(path)) and not any(is_table_file(entry) for entry in path.iterdir() if entry.is_file())


def _files_in(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob(f"*{SUFFIX}")) if path.is_file() and not is_hidden(path.name)]


def _root(paths: Sequence[Path]) -> Path:
    return paths[0] if len(paths) == 1 and paths[0].is_dir() else paths[0].parent


def _read(path: Path, root: Path) -> Documents:
    if path.is_file():
        return _read_file(path, name_below(path, root) if path.is_relative_to(root) else path.name)
    files = _files_in(path)
    raise_together([error for file in files if file.stat().st_size and (error := check_text_file(file))])
    texts = [_decoded(file).strip() for file in files]
    return Documents(form="files", ids=tuple(name_below(file, root) for file in files), texts=tuple(texts))


def _read_file(path: Path, name: str) -> Documents:
    raise_together([error] if (error := check_text_file(path)) else [])
    text = _decoded(path)
    has_paragraphs = bool(_BETWEEN.search(text.strip()))
    pieces = list(_paragraphs(text) if has_paragraphs else _lines(text))
    if not pieces:
        raise DataError(f"{path.name} holds no text, only white space.", remedy="give a file with a text on each line")
    return Documents(
        form="paragraphs" if has_paragraphs else "lines",
        ids=tuple(f"{name}:{line}" for line, _ in pieces),
        texts=tuple(piece for _, piece in pieces),
    )


def _paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """The line on which each begins, and its text."""
    place, line = 0, 1
    for between in [*_BETWEEN.finditer(text), None]:
        piece = text[place : between.start() if between else len(text)]
        if piece.strip():
            lead = len(piece) - len(piece.lstrip())
            yield line + piece.count("\n", 0, lead), piece.strip()
        if between:
            line += text.count("\n", place, between.end())
            place = between.end()


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield number, line.strip()


def _decoded(path: Path) -> str:
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path.name}, line {line}: byte {raw[error.start]:#04x} is no UTF-8.",
            remedy=f"iconv -f WINDOWS-1252 -t UTF-8 {path.name} > {path.stem}-utf8{path.suffix}",
        ) from error
