"""Rows of a table to numbers, codes and texts, as train taught; kept as JSON, run without torch.

The texts of a table are read by a frozen text model. The processor only knows which; whoever has torch gives it a `reader`.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from luthier.core.moments import find_formats, read_moments
from luthier.core.names import all_of, nearest_name
from luthier.core.records import from_plain, to_plain
from luthier.core.storage import write_json
from luthier.errors import DataError, LuthierError, ModelError, raise_together
from luthier.models.refusal import MAX_CONFIG_BYTES
from luthier.models.strict_json import read_strict_json
from luthier.models.table_cells import (
    MISSING,
    PRESENT,
    CategoryCell,
    NumberCell,
    Scaling,
    fit_category,
    fit_number,
    parts_of_moments,
    read_categories,
    read_numbers,
)

if TYPE_CHECKING:
    import pyarrow as pa

PROCESSOR = "processor.json"
TEXTS = "texts"  # the folder of the text model inside a model folder
TEXT_MODEL_FILES = (".json", ".safetensors", ".txt", ".model", ".md")
MOST_UNREADABLE = 0.05
ORDERED_NUMBERS = 3  # a category of so many whole numbers is a number: its order says something
Reader = Callable[[Sequence[str]], Float[np.ndarray, "N D"]]


@dataclass(frozen=True, kw_only=True)
class TextModel:
    """The frozen model that reads text columns.

    Attributes:
        name: As in the catalogue, or of its folder.
        weights_sha256: Of its weights.
        pooling: How it makes one vector of many.
        width: Length of that vector.
        max_length: Longest text in tokens.
        precision: What it computes in.
        licence: Of its weights.
    """

    name: str
    weights_sha256: str
    pooling: str
    width: int
    max_length: int
    precision: str
    licence: str | None = None


@dataclass(frozen=True, kw_only=True)
class TableContent:
    """What a processor knows: all of it goes into `processor.json`.

    Attributes:
        numbers, categories: Cells, in order.
        texts: Columns of texts.
        dates: Column -> how its dates are written, as `core.moments` knows it.
        text_model: What reads the texts, if there are any.
        scaling: How numbers are scaled.
    """

    numbers: tuple[NumberCell, ...] = ()
    categories: tuple[CategoryCell, ...] = ()
    texts: tuple[str, ...] = ()
    dates: Mapping[str, str] = field(default_factory=dict)
    text_model: TextModel | None = None
    scaling: Scaling = "quantile"
    kind: str = "table"
    schema_version: int = 1

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is read."""
        names = [*(cell.column for cell in self.numbers), *(cell.column for cell in self.categories), *self.texts]
        return tuple(dict.fromkeys(names))


@dataclass(frozen=True, kw_only=True)
class RawCells:
    """Rows as they stand: numbers before scaling, NaN where missing; codes of categories; texts column by column; faults."""

    numbers: Float[np.ndarray, "N n"]
    categories: Int[np.ndarray, "N c"]
    texts: Sequence[Sequence[str]]
    faults: Mapping[int, str]


@dataclass(frozen=True, kw_only=True)
class TableRows:
    """Encoded rows.

    Attributes:
        numbers: Scaled; 0 where missing.
        states: Of the numbers: present or missing.
        categories: Codes.
        texts: As they stand, column by column.
        vectors: What the text model makes of them; none where there are no texts.
        faults: Row -> what is wrong with it: cells that hold something else than their column, and count as missing.
    """

    numbers: Float[np.ndarray, "N n"]
    states: Int[np.ndarray, "N n"]
    categories: Int[np.ndarray, "N c"]
    texts: Sequence[Sequence[str]]
    vectors: Float[np.ndarray, "N t D"] | None
    faults: Mapping[int, str]


class TableProcessor:
    """Reads rows of a table with the columns of train.

    Args:
        content: What was learnt from train.
        reader: Makes vectors of texts; only needed where there are text columns.
        text_folder: Where the text model's files are.
    """

    kind = "table"

    def __init__(self, content: TableContent, *, reader: Reader | None = None, text_folder: Path | None = None) -> None:
        self.content = content
        self.reader = reader
        self.text_folder = text_folder

    def encode(self, table: "pa.Table") -> TableRows:
        """The cells of some rows, scaled.

        Raises:
            DataError: a column is missing; all of them are named.
        """
        cells = self.cells(table)
        scaled = [cell.scaled(cells.numbers[:, place]) for place, cell in enumerate(self.content.numbers)]
        stacked = np.stack(scaled, axis=1) if scaled else cells.numbers
        return TableRows(
            numbers=np.nan_to_num(stacked).astype(np.float32),
            states=np.where(np.isnan(stacked), MISSING, PRESENT).astype(np.int64),
            categories=cells.categories,
            texts=cells.texts,
            vectors=self._vectors(cells.texts) if cells.texts else None,
            faults=cells.faults,
        )

    def cells(self, table: "pa.Table") -> RawCells:
        """The cells of some rows as they stand.

        Raises:
            DataError: a column is missing; all of them are named.
        """
        content = self.content
        refuse_missing(content.columns, table.column_names)
        faults: dict[int, list[str]] = {}
        numbers = [self._number(cell, table, faults) for cell in content.numbers]
        codes = [cell.codes(self._categories(cell, table)) for cell in content.categories]
        return RawCells(
            numbers=np.stack(numbers, axis=1) if numbers else np.zeros((table.num_rows, 0)),
            categories=np.stack(codes, axis=1) if codes else np.zeros((table.num_rows, 0), dtype=np.int64),
            texts=[_as_texts(table.column(name)) for name in content.texts],
            faults={row: "; ".join(said) for row, said in sorted(faults.items())},
        )

    def _number(self, cell: NumberCell, table: "pa.Table", faults: dict[int, list[str]]) -> Float[np.ndarray, " N"]:
        column = table.column(cell.column)
        if cell.part:
            seconds = self._seconds(cell.column, table, faults if cell.part == "days" else {})
            return parts_of_moments(seconds, cell.part)
        values, wrong = read_numbers(column)
        for row in np.flatnonzero(wrong).tolist():
            faults.setdefault(row, []).append(f"'{column[row].as_py()}' in column '{cell.column}' is no number")
        return values

    def _categories(self, cell: CategoryCell, table: "pa.Table") -> list[str]:
        if not cell.part:
            return read_categories(table.column(cell.column))
        parts = parts_of_moments(self._seconds(cell.column, table, {}), cell.part)
        return ["" if np.isnan(part) else str(int(part)) for part in parts]

    def _seconds(self, name: str, table: "pa.Table", faults: dict[int, list[str]]) -> Float[np.ndarray, " N"]:
        texts = _as_texts(table.column(name))
        seconds = read_moments(texts, self.content.dates[name])
        for row in np.flatnonzero(np.isnan(seconds)).tolist():
            if texts[row]:
                faults.setdefault(row, []).append(f"'{texts[row]}' in column '{name}' is no date like those of train")
        return seconds

    def _vectors(self, texts: Sequence[Sequence[str]]) -> Float[np.ndarray, "N t D"]:
        if self.reader is None:
            raise ModelError("Nothing here reads the texts of this table.", remedy="luthier.load_model(path)")
        flat = [text for column in texts for text in column]
        return np.ascontiguousarray(self.reader(flat).reshape(len(texts), len(texts[0]), -1).transpose(1, 0, 2))

    def settings(self) -> dict[str, Any]:
        """All that decides the cells: JSON types."""
        found: dict[str, Any] = to_plain(self.content)
        return found

    def fingerprint(self) -> str:
        """A digest of the settings: equal fingerprints give equal cells."""
        return hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write `processor.json` into a folder, and a copy of the text model where there is one."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / PROCESSOR, self.settings())
        if self.text_folder is not None:
            (folder / TEXTS).mkdir(exist_ok=True)
            for path in sorted(self.text_folder.iterdir()):
                if path.suffix in TEXT_MODEL_FILES:
                    shutil.copyfile(path, folder / TEXTS / path.name)

    @classmethod
    def load(cls, folder: Path) -> "TableProcessor":
        """From a folder that `save` wrote; texts need a `reader` before rows can be encoded.

        Raises:
            ModelError: the folder holds no table's processor, or a damaged one.
        """
        try:
            saved = read_strict_json(folder / PROCESSOR, max_bytes=8 * MAX_CONFIG_BYTES)
            content = from_plain(TableContent, saved)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ModelError(
                f"{folder / PROCESSOR} does not say how a table is read: {reason}.", remedy="copy the model folder again"
            ) from error
        return cls(content, text_folder=folder / TEXTS if content.texts else None)


def fit_table(table: "pa.Table", columns: Sequence[tuple[str, str]], *, scaling: Scaling) -> TableContent:
    """What train teaches about its columns; the text model is for the caller to fill in.

    Args:
        table: Rows of train.
        columns: Name and kind (`number`, `category`, `datetime`, `text`) of each column that is read.
        scaling: Of numbers.

    Raises:
        DataError: dates that can be read in two ways or in none; all such columns together.

    Example:
        >>> import pyarrow as pa
        >>> train = pa.table({"age": ["31", "", "58"], "plan": ["gold", "basic", "gold"]})
        >>> found = fit_table(train, [("age", "number"), ("plan", "category")], scaling="standard")
        >>> found.columns, found.categories[0].values
        (('age', 'plan'), ('gold', 'basic'))
    """
    numbers: list[NumberCell] = []
    categories: list[CategoryCell] = []
    texts: list[str] = []
    dates: dict[str, str] = {}
    problems: list[LuthierError] = []
    for name, kind in columns:
        if kind == "text":
            texts.append(name)
        elif kind == "datetime":
            try:
                dates[name] = _date_format(name, _as_texts(table.column(name)))
            except DataError as error:
                problems.append(error)
                continue
            found = _fit_date(name, read_moments(_as_texts(table.column(name)), dates[name]), scaling=scaling)
            numbers += found[0]
            categories += found[1]
        else:
            cell = _fit_plain(name, kind, table.column(name), scaling=scaling)
            numbers += [cell] if isinstance(cell, NumberCell) else []
            categories += [cell] if isinstance(cell, CategoryCell) else []
    raise_together(problems)
    return TableContent(numbers=tuple(numbers), categories=tuple(categories), texts=tuple(texts), dates=dates, scaling=scaling)


def _fit_plain(name: str, kind: str, column: "pa.ChunkedArray", *, scaling: Scaling) -> NumberCell | CategoryCell | None:
    """A number or a category; None where train has no value at all."""
    values, wrong = read_numbers(column)
    known = values[~np.isnan(values)]
    is_ordered = not wrong.any() and len(np.unique(known)) >= ORDERED_NUMBERS
    if kind == "number" or is_ordered:
        return fit_number(name, name, values, scaling=scaling) if len(known) else None
    names = read_categories(column)
    return fit_category(name, name, names) if any(names) else None


def _fit_date(name: str, seconds: Float[np.ndarray, " N"], *, scaling: Scaling) -> tuple[list[NumberCell], list[CategoryCell]]:
    """The parts of a date that differ from row to row."""
    numbers: list[NumberCell] = []
    categories: list[CategoryCell] = []
    for part in ("days", "year", "month", "weekday", "hour"):
        values = parts_of_moments(seconds, part)
        if len(np.unique(values[~np.isnan(values)])) < 2:
            continue
        if part in ("month", "weekday"):
            names = ["" if np.isnan(value) else str(int(value)) for value in values]
            categories.append(fit_category(f"{name}.{part}", name, names, part=part))
        else:
            numbers.append(fit_number(f"{name}.{part}", name, values, scaling=scaling, part=part))
    return numbers, categories


def _date_format(name: str, texts: Sequence[str]) -> str:
    present = [text for text in texts if text]
    formats = find_formats(present, most_unreadable=MOST_UNREADABLE)
    if len(formats) == 1:
        return formats[0]
    example = present[0] if present else ""
    if formats:
        problem = f"The dates of column '{name}' can be read with the day first or with the month first ('{example}')."
    else:
        problem = f"The dates of column '{name}' are written in several ways, or in one that nothing here reads ('{example}')."
    raise DataError(problem, remedy=f"write them as YYYY-MM-DD, or --ignore '{name}'")


def _as_texts(column: "pa.ChunkedArray") -> list[str]:
    """Values as stripped texts; moments of typed columns in ISO 8601."""
    import pyarrow as pa

    if pa.types.is_temporal(column.type):
        return ["" if value is None else value.isoformat() for value in column.to_pylist()]
    return ["" if value is None else str(value).strip() for value in column.to_pylist()]


def refuse_missing(wanted: Sequence[str], found: Sequence[str]) -> None:
    """Raise DataError if a table lacks columns that are read; all of them are named, with those of nearly the same name."""
    missing = [name for name in wanted if name not in found]
    if not missing:
        return
    guesses = {name: guess for name in missing if (guess := nearest_name(name, found))}
    hint = "".join(f" Is '{guess}' meant to be '{name}'?" for name, guess in guesses.items())
    plural = "s" if len(missing) > 1 else ""
    raise DataError(
        f"The model reads the column{plural} {all_of([repr(name) for name in missing])}, which the table lacks.{hint}",
        remedy="add the column" + plural + ", empty where nothing is known: the model has learnt what a missing value means",
    )
