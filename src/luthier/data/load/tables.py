"""Sources that are tables: every file read by the reader of its suffix, with ids, and joined."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from luthier.core.decision import Decision
from luthier.core.family import Family
from luthier.core.names import nearest_name
from luthier.data.dataset import EXAMPLE_ID, Rows
from luthier.data.findings import Finding
from luthier.data.load.conll import holds_tagged_words
from luthier.data.load.faults import FaultLog
from luthier.data.load.files import CONLL_SUFFIXES, table_suffix
from luthier.data.load.layout import Layout
from luthier.data.load.media import MEDIA, Media
from luthier.data.load.source import Reader, Source
from luthier.data.settings import DataSettings
from luthier.errors import DataError, LuthierError, raise_together

if TYPE_CHECKING:
    import pyarrow as pa

_DELIMITED = "luthier.data.load.delimited:read_delimited"
_JSONL = "luthier.data.load.jsonl:read_jsonl"
READERS: Family[Reader] = Family(
    "kind of table file",
    {
        ".csv": _DELIMITED,
        ".tsv": _DELIMITED,
        ".tab": _DELIMITED,
        ".jsonl": _JSONL,
        ".ndjson": _JSONL,
        ".json": "luthier.data.load.json_documents:read_json",
        ".parquet": "luthier.data.load.parquet:read_parquet",
        **dict.fromkeys((*CONLL_SUFFIXES, ".txt"), "luthier.data.load.conll:read_conll"),
    },
)
DIFFERENT = "different_columns"
_PROBED = 20


def load_tables(layout: Layout, settings: DataSettings) -> Source:
    """Read all files of a layout; problems of several files are reported together."""
    loaded: list[tuple[str, Path, FaultLog, pa.Table]] = []
    findings: list[Finding] = []
    errors: list[LuthierError] = []
    offset = 0
    for part, path in [(part, path) for part, paths in layout.parts.items() for path in paths]:
        log = FaultLog(name_below(path, layout.root))
        try:
            table, kept = read_file(path, settings, log=log, offset=offset)
            findings += log.finish(settings, kept)
            loaded.append((part, path, log, table))
            offset += table.num_rows
        except LuthierError as error:
            errors.append(error)
    raise_together(errors)
    findings += compare_columns({log.file: table for _, _, log, table in loaded})
    table = join_tables([table for *_, table in loaded])
    return Source(
        name=layout.name,
        kind="table",
        table=table,
        parts=rows_of_parts([(part, table.num_rows) for part, *_, table in loaded]),
        findings=tuple(findings),
        decisions=(*layout.decisions, *_without_repeats([decision for _, _, log, _ in loaded for decision in log.decisions])),
        files=tuple(str(path) for _, path, *_ in loaded),
        root=layout.root,
        roles={role: column for _, _, log, _ in loaded for role, column in log.roles.items()},
    )


def _without_repeats(decisions: Sequence[Decision[Any]]) -> list[Decision[Any]]:
    """One decision where all files had the same: the first file's stands for the others."""
    return list({(decision.name, str(decision.value)): decision for decision in reversed(decisions)}.values())[::-1]


def name_below(path: Path, root: Path) -> str:
    """A path as ids and messages have it: below the source's root, with slashes."""
    name = path.absolute().relative_to(root.absolute()).as_posix()
    return name.encode("utf-8", "replace").decode()


def reader_of(path: Path) -> Reader:
    """The reader for a file, by its suffix; a `.tsv` may hold a word and its tag on each line instead of rows."""
    suffix = table_suffix(path)
    return READERS[CONLL_SUFFIXES[0] if suffix in (".tsv", ".tab") and holds_tagged_words(path) else suffix]


def read_file(path: Path, settings: DataSettings, *, log: FaultLog, offset: int) -> tuple["pa.Table", dict[str, list[int]]]:
    """The rows of one file with their ids; and which rows of the joined table have which fault, if bad rows are kept."""
    pieces: list[pa.Table] = []
    kept: dict[str, list[int]] = {}
    rows = offset
    for piece in reader_of(path)(path, settings, log=log):
        for row, fault in sorted(piece.faults.items()):
            kept.setdefault(fault, []).append(rows + row)
        rows += piece.table.num_rows
        pieces.append(with_ids(piece.table, piece.numbers, file=log.file))
    table = join_tables(pieces)
    if not table.num_rows:
        log.finish(settings)
        raise DataError(f"{log.file} has no rows that can be used.", remedy="look at the file, or --bad-rows keep")
    return _with_absolute_files(table, path.absolute(), settings=settings, log=log), kept


def with_ids(table: "pa.Table", numbers: np.ndarray, *, file: str) -> "pa.Table":
    """The table with a first column `example_id`: the file and the number of the row."""
    import pyarrow as pa
    from pyarrow import compute

    ids = compute.binary_join_element_wise(pa.scalar(file), compute.cast(pa.array(numbers), pa.string()), ":")
    return table.add_column(0, EXAMPLE_ID, ids)


def join_tables(tables: Sequence["pa.Table"]) -> "pa.Table":
    """Tables below each other: the union of their columns, nulls where one has none; text where types differ."""
    import pyarrow as pa

    types: dict[str, set[pa.DataType]] = {}
    for table in tables:
        for item in table.schema:
            types.setdefault(item.name, set()).add(item.type)
    mixed = {name for name, kinds in types.items() if len(kinds - {pa.null()}) > 1}
    cast = [
        table.cast(pa.schema([pa.field(item.name, pa.string()) if item.name in mixed else item for item in table.schema]))
        for table in tables
    ]
    return pa.concat_tables(cast, promote_options="default")


def compare_columns(tables: dict[str, "pa.Table"]) -> list[Finding]:
    """A finding for each file that lacks columns which another one has."""
    known = list(dict.fromkeys(name for table in tables.values() for name in table.column_names))
    return [
        _lacking(file, absent, table=table)
        for file, table in tables.items()
        if (absent := [n for n in known if n not in table.column_names])
    ]


def _lacking(file: str, absent: list[str], *, table: "pa.Table") -> Finding:
    folded = {name.lower(): name for name in table.column_names}
    guesses = {name: folded.get(name.lower()) or nearest_name(name, table.column_names) for name in absent}
    alike = "".join(f" ('{guess}' is like '{name}')" for name, guess in guesses.items() if guess)
    return Finding(
        check=DIFFERENT,
        severity="warning",
        problem=f"{file} lacks {', '.join(repr(name) for name in absent)}, which other files have{alike}; missing in its rows.",
        remedy="give all files the same header",
        count=len(absent),
        evidence={"file": file, "absent": absent},
    )


def rows_of_parts(sizes: Sequence[tuple[str, int]]) -> dict[str, Rows]:
    """Row numbers by part, from the number of rows of each file in order."""
    parts: dict[str, list[Rows]] = {}
    start = 0
    for part, size in sizes:
        parts.setdefault(part, []).append(np.arange(start, start + size))
        start += size
    return {part: np.concatenate(rows) for part, rows in parts.items()}


def _with_absolute_files(table: "pa.Table", path: Path, *, settings: DataSettings, log: FaultLog) -> "pa.Table":
    """Paths of files are meant from a folder near the table; make them absolute, so that they can be opened from anywhere."""
    import pyarrow as pa
    from pyarrow import compute

    for name, media, folder in _media_columns(table, path, settings=settings):
        column = table.column(name)
        joined = compute.binary_join_element_wise(pa.scalar(str(folder)), column, "/")
        relative = compute.and_(compute.invert(compute.starts_with(column, "/")), compute.not_equal(column, ""))
        table = table.set_column(table.column_names.index(name), name, compute.if_else(relative, joined, column))
        where = f"the folder of {log.file}" if folder == path.parent else f"the folder {folder.name}, which is near {log.file}"
        reason = f"its values are names of {media.noun}s, found from {where}"
        log.decisions.append(Decision(name=f"{media.noun} paths", value=name, reason=reason, evidence={"folder": str(folder)}))
    return table


def _media_columns(table: "pa.Table", path: Path, *, settings: DataSettings) -> Iterator[tuple[str, Media, Path]]:
    """Columns of files, with the folder that their names are meant from."""
    import pyarrow as pa

    for item in table.schema:
        if item.name == EXAMPLE_ID or not pa.types.is_string(item.type):
            continue
        values = [value for value in table.column(item.name).slice(0, _PROBED).to_pylist() if value and value.strip()]
        for media in MEDIA.values():
            wanted = item.name == getattr(settings, media.role)
            named_so = bool(values) and all(media.is_file(Path(value)) for value in values)
            found = (folder for folder in _folders_near(path) if any(_exists(folder / value) for value in values))
            if values and (wanted or named_so) and (folder := next(found, None)) is not None:
                yield item.name, media, folder
                break


def _folders_near(path: Path) -> Iterator[Path]:
    """Where the files that a table names may lie: beside it, in `images` there or one folder up, or in a folder named like it.

    The last is how COCO lays out its parts: `annotations/instances_train2017.json` and `train2017/`.
    """
    words = path.name.removesuffix(".gz").rpartition(".")[0].split("_")
    beside = [path.parent, path.parent / "images", path.parent.parent / "images", path.parent.parent / words[-1]]
    yield from (folder for folder in (*beside, path.parent.parent) if folder.is_dir())


def _exists(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
