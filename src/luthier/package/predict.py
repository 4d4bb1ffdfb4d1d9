"""A model's answers beside the rows of a table or the files of a folder: in order, in constant memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from luthier.core.names import count_of, nearest_name
from luthier.core.process import Stopwatch
from luthier.core.progress import Observer, Quiet, counted
from luthier.data.dataset import EXAMPLE_ID
from luthier.data.infer import flag_of
from luthier.data.keys import FILE_ROLES, INPUT_ROLES
from luthier.data.load.documents import TEXT, load_documents
from luthier.data.load.media import MEDIA, Media, is_media_file, list_media, media_in
from luthier.data.load.source import ROW_FAULT
from luthier.data.load.stream import stream_table
from luthier.data.schema import FEATURES
from luthier.data.settings import DataSettings
from luthier.errors import DataError, SpecError
from luthier.models.table_processor import refuse_missing
from luthier.package.columns import with_places
from luthier.package.folder import read_description
from luthier.package.model import Model, load_model, model_folder
from luthier.package.writers import open_writer, refuse_format
from luthier.tasks import TASKS
from luthier.tasks.language_task import LIKELIHOOD
from luthier.tasks.protocol import Contrastive
from luthier.tasks.readings.table import Rows

ROWS_PER_BATCH = 4096
FILES_PER_BATCH = 256
MOST_FAULTS_NAMED = 5
DOCUMENT = "document"  # column that says which text a row is, where texts are no rows of a table


@dataclass(frozen=True, kw_only=True)
class PredictSummary:
    """What `predict_source` did.

    Attributes:
        rows: How many rows were answered.
        out: The file written; empty for standard output.
        faults: Rows that were damaged in the source: answered as far as they could be read, or left without an answer.
        unanswered: Those of them that have no answer (null): files that cannot be read.
        examples: The first few faults: which row, and what is wrong with it.
    """

    rows: int
    seconds: float
    out: str
    faults: int = 0
    unanswered: int = 0
    examples: Sequence[str] = field(default=())


@dataclass(kw_only=True)
class _Tally:
    """Counts while the rows pass by."""

    rows: int = 0
    faults: int = 0
    unanswered: int = 0
    examples: list[str] = field(default_factory=list)

    def note(self, row: str, fault: str) -> None:
        self.faults += 1
        if len(self.examples) < MOST_FAULTS_NAMED:
            self.examples.append(f"{row}: {fault}")


def predict_source(
    model_path: str | Path,
    source: str | Path,
    *,
    out: Path | None = None,
    probs: bool = False,
    text: str | None = None,
    text_pair: str | None = None,
    allow: Sequence[str] = (),
    observer: Observer | None = None,
) -> PredictSummary:
    """Read a source batch by batch, add the model's answers as columns, write them in the same order.

    Args:
        model_path: Model or run folder.
        source: A table file, a picture or recording, or a folder of them.
        out: .csv, .tsv, .jsonl or .parquet; standard output as CSV if absent. Written whole or not at all.
        probs: Add a column with the probability of each label.
        text: The input column, where it is not named as in training.
        text_pair: The column of the second text, likewise.
        allow: Packages whose builders may be called, for backbones that are no Hugging Face class.

    Raises:
        DataError: the source cannot be read, lacks the input column, or is not what the model reads.
        ModelError: the model folder is refused, damaged, or of a newer format.
        SpecError: the format of `out` is unknown, or it is the source itself.
    """
    watch, observer, place = Stopwatch(), observer or Quiet(), Path(source)
    refuse_format(out)
    if out is not None and out.exists() and place.exists() and out.samefile(place):
        raise SpecError(f"{out} is the source; it would be replaced.", remedy=f"--out {out.with_stem(out.stem + '-answers')}")
    folder = model_folder(model_path)  # a wrong path is told before a long file is looked at
    reads = read_description(folder).modality
    tables = _documents(place, folder) or _tables(place, next((media for media in MEDIA.values() if media.role == reads), None))
    table = next(tables, None)
    if table is None:
        raise DataError(f"{source} has no rows.", remedy="name a file or folder with rows")
    model = load_model(folder, allow=allow)
    if probs and isinstance(model.task, Contrastive):
        raise SpecError(
            f"{model.task.name} answers with vectors and cosines, which have no probabilities.", remedy="leave --probs out"
        )
    if probs and model.task.answer_kind == "number":
        raise SpecError(f"{model.task.name} answers with numbers, which have no probabilities.", remedy="leave --probs out")
    columns = _input_columns(model, table, {"text": text, "text_pair": text_pair}, place)
    tally = _Tally()
    with open_writer(out) as writer, counted(observer, "predict", 0, "rows"):
        while table is not None:
            writer.write(_answer(model, table, columns, tally, probs=probs, base=place))
            observer.advance(table.num_rows)
            table = next(tables, None)
    if tally.faults:
        observer.note(_told(tally), level="warning")
    return PredictSummary(
        rows=tally.rows,
        seconds=watch.read().wall_seconds,
        out=str(out or ""),
        faults=tally.faults,
        unanswered=tally.unanswered,
        examples=tally.examples,
    )


def _told(tally: _Tally) -> str:
    answered = "answered as far as they could be read"
    if tally.unanswered:
        answered = f"{tally.unanswered:,} of them without an answer"
    more = f"; and {tally.faults - len(tally.examples):,} more" if tally.faults > len(tally.examples) else ""
    return f"{count_of(tally.faults, 'row')} damaged, {answered}. {'; '.join(tally.examples)}{more}."


def _is_media(source: Path) -> bool:
    return source.is_dir() or is_media_file(source)


def _tables(source: Path, media: Media | None) -> Iterator[pa.Table]:
    """The source in pieces; `media` is what the model reads, if that is files."""
    if not _is_media(source):
        yield from stream_table(source, DataSettings(), rows_per_batch=ROWS_PER_BATCH)
        return
    if media is None:
        nouns = media_in(source).noun if source.is_dir() else next(one.noun for one in MEDIA.values() if one.is_file(source))
        raise DataError(f"The model reads texts; {source} holds {nouns}s.", remedy="name a table with the texts")
    paths = [str(path) for path in list_media(source, media)]
    for start in range(0, len(paths), FILES_PER_BATCH):
        some = paths[start : start + FILES_PER_BATCH]
        yield pa.table({EXAMPLE_ID: some, media.role: some})


def _documents(source: Path, folder: Path) -> Iterator[pa.Table] | None:
    """The documents of plain texts in pieces, for models that tell texts; None if there are none, or it is another model."""
    if TASKS[read_description(folder).state.task].answer_kind != LIKELIHOOD:
        return None
    found = load_documents([source], DataSettings())
    return None if found is None else _pieces(found.table)


def _pieces(table: pa.Table) -> Iterator[pa.Table]:
    """A table of documents bit by bit, their ids kept as a column: nothing else says which is which."""
    table = table.add_column(1, DOCUMENT, table.column(EXAMPLE_ID))
    for start in range(0, table.num_rows, ROWS_PER_BATCH):
        yield table.slice(start, ROWS_PER_BATCH)


def _input_columns(model: Model, table: pa.Table, named: Mapping[str, str | None], source: Path) -> dict[str, str]:
    """Role -> the column that plays it: the one named, or the one it was in training."""
    if DOCUMENT in table.column_names:
        return {"text": TEXT}
    if _is_media(source):
        return {role: role for role in model.task.roles if role in FILE_ROLES}
    if FEATURES in model.task.roles:  # the model knows its columns
        refuse_missing(model.columns, table.column_names)
        return {}
    roles = _input_roles(model)
    names: list[str] = [name for name in table.column_names if name not in (EXAMPLE_ID, ROW_FAULT)]
    if len(roles) == 1:
        named = {roles[0]: named["text"]}  # --text names the one input, whatever it is
    return {role: _input_column(model, role, names, named.get(role), source) for role in roles}


def _input_roles(model: Model) -> list[str]:
    """The roles it reads: those of every model of its task, and others that were there in training."""
    optional = [role for role in model.task.optional_roles if role in INPUT_ROLES and role in model.description.columns]
    return [role for role in model.task.roles if role != "target"] + optional


def _input_column(model: Model, role: str, names: Sequence[str], named: str | None, source: Path) -> str:
    reads, only = model.task.modality, len(_input_roles(model)) <= 1
    wanted = named or str(model.description.columns.get(role, ""))
    if wanted in names:
        return wanted
    if named is None and only and len(names) == 1:
        return names[0]
    guess = nearest_name(wanted, names) or names[0]
    remedy = f"{flag_of(role)} {guess}" if reads == "text" else "--text COLUMN, the one that holds the paths of the files"
    shown = ", ".join(f"'{name}'" for name in names)
    raise DataError(f"The model reads {reads}s from the column '{wanted}'; {source} has {shown}.", remedy=remedy)


def _answer(model: Model, table: pa.Table, columns: Mapping[str, str], tally: _Tally, *, probs: bool, base: Path) -> pa.Table:
    """The table with the answers; what is wrong with its rows is counted."""
    if model.columns:
        rows: Sequence[Any] = Rows(with_places(table, model.processor, base.parent))
        decoded, doubtful = model.answer_cells(rows)
        return _with_answers(model, table, rows, decoded, {}, doubtful, tally, probs=probs)
    rows = list(model.task.rows(table, columns))
    if model.task.modality in FILE_ROLES and not _is_media(base):
        rows = [str(base.parent / row) for row in rows]
    decoded, unreadable = model.answer(rows)
    return _with_answers(model, table, rows, decoded, unreadable, {}, tally, probs=probs)


def _with_answers(
    model: Model,
    table: pa.Table,
    rows: Sequence[Any],
    decoded: np.ndarray,
    unreadable: Mapping[int, str],
    doubtful: Mapping[int, str],
    tally: _Tally,
    *,
    probs: bool,
) -> pa.Table:
    """The columns of answers beside the table; rows that could not be read have none, doubtful ones are only counted."""
    _count(table, unreadable, doubtful, tally)
    added = model.task.columns(decoded, rows, model.description.state, probs=probs)
    table = table.select([name for name in table.column_names if name not in (ROW_FAULT, EXAMPLE_ID)])
    missing = np.zeros(len(rows), dtype=bool)
    missing[list(unreadable)] = True
    for name, values in added.items():
        table = table.append_column(_free_name(name, table.column_names), _column(values, missing))
    return table


def _column(values: Any, missing: np.ndarray) -> pa.Array:
    """Answers as a column, null where there is none; lists and records come typed, so that empty ones fit later ones."""
    if not isinstance(values, pa.Array):
        return pa.array(values, mask=missing)
    return values.take(pa.array(np.arange(len(missing)), mask=missing)) if missing.any() else values


def _count(table: pa.Table, unreadable: Mapping[int, str], doubtful: Mapping[int, str], tally: _Tally) -> None:
    tally.rows += table.num_rows
    tally.unanswered += len(unreadable)
    damaged = {**doubtful, **unreadable}
    if ROW_FAULT in table.column_names and table.column(ROW_FAULT).null_count < table.num_rows:
        damaged |= {row: fault for row, fault in enumerate(table.column(ROW_FAULT).to_pylist()) if fault}
    for row, fault in sorted(damaged.items()):
        tally.note(table.column(EXAMPLE_ID)[row].as_py(), fault)


def _free_name(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name = f"model_{name}"
    return name
