"""Texts of a source, a batch at a time: from a table, from documents of a retrieval benchmark, from what Python hands over."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.core.names import nearest_name
from luthier.data.dataset import EXAMPLE_ID
from luthier.data.infer import TEXT_NAMES, infer_columns
from luthier.data.load.retrieval import titled
from luthier.data.load.retrieval_files import CORPUS
from luthier.data.load.source import ROW_FAULT
from luthier.data.load.stream import stream_table
from luthier.data.schema import Kind
from luthier.data.settings import DataSettings
from luthier.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_PER_BATCH = 1024
ID_NAMES = ("_id", "id", "item_id", "item", "sku", "name")


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Some rows of a source.

    Attributes:
        ids: What each row is called: by its column of ids, or by file and line.
        texts: What is read of it.
        table: The source's own columns.
    """

    ids: list[str]
    texts: list[str]
    table: "pa.Table"


def table_file(source: str | Path) -> Path:
    """The file to read: the source itself, or the documents of a folder in BEIR's layout.

    Raises:
        DataError: there is none.
    """
    path = Path(source)
    if path.is_dir() and (path / CORPUS).is_file():
        return path / CORPUS
    if path.is_dir():
        raise DataError(f"{path} is a folder, and holds no {CORPUS}.", remedy="name a table: items.csv")
    return path


def read_pieces(source: str | Path, *, text: str | None = None, identifier: str | None = None) -> Iterator[Piece]:
    """The rows of a source, in constant memory.

    Args:
        source: A table, or a folder with `corpus.jsonl`.
        text: The column with the texts; by default the one that is named so or has the longest. A `title` stands before it.
        identifier: The column with the ids; by default `_id`, `id` or the like, else rows are called by file and line.

    Raises:
        DataError: the source cannot be read, or has no such column.
    """
    path = table_file(source)
    columns: tuple[str, str] | None = None
    for table in stream_table(path, DataSettings(), rows_per_batch=ROWS_PER_BATCH):
        columns = columns or (_text_column(table, text, path), _id_column(table, identifier, path))
        texts = [str(cell or "") for cell in table.column(columns[0]).to_pylist()]
        if text is None and "title" in table.column_names and columns[0] != "title":
            titles = table.column("title").to_pylist()
            texts = [titled(str(title or "").strip(), body) for title, body in zip(titles, texts, strict=True)]
        ids = [str(cell) for cell in table.column(columns[1]).to_pylist()]
        yield Piece(ids=ids, texts=texts, table=table.drop_columns([EXAMPLE_ID, ROW_FAULT]))
    if columns is None:
        raise DataError(f"{source} has no rows.", remedy="name a file with a row for each text")


def _text_column(table: "pa.Table", asked: str | None, path: Path) -> str:
    names = [name for name in table.column_names if name not in (EXAMPLE_ID, ROW_FAULT)]
    if asked is not None:
        return _named(asked, names, path, flag="--text")
    columns = [column for column in infer_columns(table.select(names)) if column.kind in (Kind.TEXT, Kind.CATEGORY)]
    usual = next((column.name for name in TEXT_NAMES for column in columns if column.name.lower() == name != "title"), None)
    longest = max(columns, key=lambda column: column.mean_words, default=None)
    if usual is None and longest is None:
        raise DataError(f"No column of {path} holds texts: {', '.join(names)}.", remedy=f"--text {names[-1]}")
    return usual or str(longest and longest.name)


def _id_column(table: "pa.Table", asked: str | None, path: Path) -> str:
    names = [name for name in table.column_names if name not in (EXAMPLE_ID, ROW_FAULT)]
    if asked is not None:
        return _named(asked, names, path, flag="--id")
    return next((column for name in ID_NAMES for column in names if column.lower() == name), EXAMPLE_ID)


def _named(asked: str, names: list[str], path: Path, *, flag: str) -> str:
    if asked in names:
        return asked
    guess = nearest_name(asked, names) or names[0]
    raise DataError(f"{path} has no column '{asked}'; it has {', '.join(names)}.", remedy=f"{flag} {guess}")
