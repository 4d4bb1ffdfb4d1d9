"""Rows of a table to numbers, codes, texts and pictures, as train taught; kept as JSON, run without torch.

The texts and the pictures of a table are read by frozen models. The processor only knows which; whoever has torch gives it
a `reader` and an `image_reader`.
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

from luthier.core.moments import read_moments
from luthier.core.names import all_of, nearest_name
from luthier.core.records import from_plain, to_plain
from luthier.core.storage import write_json
from luthier.errors import DataError, ModelError
from luthier.models.refusal import MAX_CONFIG_BYTES
from luthier.models.strict_json import read_strict_json
from luthier.models.table_cells import (
    MISSING,
    PRESENT,
    CategoryCell,
    NumberCell,
    Scaling,
    parts_of_moments,
    read_categories,
    read_numbers,
    read_texts,
)

if TYPE_CHECKING:
    import pyarrow as pa

PROCESSOR = "processor.json"
TEXTS, IMAGES = "texts", "images"  # the folders of what reads them inside a model folder
READER_FILES = (".json", ".safetensors", ".txt", ".model", ".md")
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
class ImageModel:
    """The frozen model that reads columns of pictures.

    Attributes:
        name: As in the catalogue, or of its folder.
        weights_sha256: Of its weights.
        pooling: How it makes one vector of many.
        width: Length of that vector.
        precision: What it computes in.
        licence: Of its weights.
    """

    name: str
    weights_sha256: str
    pooling: str
    width: int
    precision: str
    licence: str | None = None


@dataclass(frozen=True, kw_only=True)
class PicturesRead:
    """Some picture files as a frozen model sees them.

    Attributes:
        vectors: Of each file; zeros where it could not be read.
        keys: A content hash of each file; empty where it could not be read.
        faults: Place -> why a file could not be read.
    """

    vectors: Float[np.ndarray, "N D"]
    keys: Sequence[bytes]
    faults: Mapping[int, str]


ImageReader = Callable[[Sequence[str]], PicturesRead]


@dataclass(frozen=True, kw_only=True)
class TableContent:
    """What a processor knows: all of it goes into `processor.json`.

    Attributes:
        numbers, categories: Cells, in order.
        texts: Columns of texts.
        images: Columns that name picture files.
        dates: Column -> how its dates are written, as `core.moments` knows it.
        text_model, image_model: What reads the texts and the pictures, if there are any.
        scaling: How numbers are scaled.
    """

    numbers: tuple[NumberCell, ...] = ()
    categories: tuple[CategoryCell, ...] = ()
    texts: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    dates: Mapping[str, str] = field(default_factory=dict)
    text_model: TextModel | None = None
    image_model: ImageModel | None = None
    scaling: Scaling = "quantile"
    kind: str = "table"
    schema_version: int = 1

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is read."""
        cells = [*(cell.column for cell in self.numbers), *(cell.column for cell in self.categories)]
        return tuple(dict.fromkeys([*cells, *self.texts, *self.images]))


@dataclass(frozen=True, kw_only=True)
class RawCells:
    """Rows as they stand: numbers before scaling, NaN where missing; codes of categories; texts and paths by column; faults."""

    numbers: Float[np.ndarray, "N n"]
    categories: Int[np.ndarray, "N c"]
    texts: Sequence[Sequence[str]]
    images: Sequence[Sequence[str]]
    faults: Mapping[int, str]


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """The pictures of encoded rows.

    Attributes:
        vectors: What the image model makes of them; zeros where there is none.
        states: Present, or missing: not named, or not readable.
        keys: Of their files, by row and column; empty where missing.
    """

    vectors: Float[np.ndarray, "N i D"]
    states: Int[np.ndarray, "N i"]
    keys: Sequence[Sequence[bytes]]

    def of(self, rows: Int[np.ndarray, " n"]) -> "Pictures":
        """Those of some of the rows."""
        return Pictures(vectors=self.vectors[rows], states=self.states[rows], keys=[self.keys[row] for row in rows])

    def joined(self, others: "Pictures") -> "Pictures":
        """These, then the others."""
        vectors, states = ([getattr(self, name), getattr(others, name)] for name in ("vectors", "states"))
        return Pictures(vectors=np.concatenate(vectors), states=np.concatenate(states), keys=[*self.keys, *others.keys])

    def dealt(self, place: int, order: Int[np.ndarray, " N"]) -> "Pictures":
        """With those of one column in another order."""
        vectors, states = self.vectors.copy(), self.states.copy()
        vectors[:, place], states[:, place] = vectors[order, place], states[order, place]
        return Pictures(vectors=vectors, states=states, keys=self.keys)


@dataclass(frozen=True, kw_only=True)
class TableRows:
    """Encoded rows.

    Attributes:
        numbers: Scaled; 0 where missing.
        states: Of the numbers: present or missing.
        categories: Codes.
        texts: As they stand, column by column.
        vectors: What the text model makes of them; none where there are no texts.
        pictures: What columns of pictures hold; none where there are none.
        faults: Row -> what is wrong with it: cells that hold something else than their column, and count as missing.
    """

    numbers: Float[np.ndarray, "N n"]
    states: Int[np.ndarray, "N n"]
    categories: Int[np.ndarray, "N c"]
    texts: Sequence[Sequence[str]]
    vectors: Float[np.ndarray, "N t D"] | None
    faults: Mapping[int, str]
    pictures: Pictures | None = None


class TableProcessor:
    """Reads rows of a table with the columns of train.

    Args:
        content: What was learnt from train.
        reader: Makes vectors of texts; only needed where there are text columns.
        image_reader: Makes vectors of picture files; only needed where there are columns of pictures.
        folders: Where the files of what reads texts and pictures are, by the name of their folder inside a model folder.
    """

    kind = "table"

    def __init__(
        self,
        content: TableContent,
        *,
        reader: Reader | None = None,
        image_reader: ImageReader | None = None,
        folders: Mapping[str, Path] | None = None,
    ) -> None:
        self.content = content
        self.reader = reader
        self.image_reader = image_reader
        self.folders = dict(folders or {})

    def encode(self, table: "pa.Table") -> TableRows:
        """The cells of some rows, scaled.

        Raises:
            DataError: a column is missing; all of them are named.
        """
        cells = self.cells(table)
        scaled = [cell.scaled(cells.numbers[:, place]) for place, cell in enumerate(self.content.numbers)]
        stacked = np.stack(scaled, axis=1) if scaled else cells.numbers
        faults = {row: [said] for row, said in cells.faults.items()}
        pictures = self._pictures(cells.images, faults) if cells.images else None
        return TableRows(
            numbers=np.nan_to_num(stacked).astype(np.float32),
            states=np.where(np.isnan(stacked), MISSING, PRESENT).astype(np.int64),
            categories=cells.categories,
            texts=cells.texts,
            vectors=self._vectors(cells.texts) if cells.texts else None,
            pictures=pictures,
            faults={row: "; ".join(said) for row, said in sorted(faults.items())},
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
            texts=[read_texts(table.column(name)) for name in content.texts],
            images=[read_texts(table.column(name)) for name in content.images],
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
        texts = read_texts(table.column(name))
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

    def _pictures(self, paths: Sequence[Sequence[str]], faults: dict[int, list[str]]) -> Pictures:
        """Vectors of the files that rows name; files that cannot be read count as missing, and are faults of their rows."""
        if self.image_reader is None:
            raise ModelError("Nothing here reads the pictures of this table.", remedy="luthier.load_model(path)")
        count = len(paths[0])
        named = [(row, place) for place, column in enumerate(paths) for row, path in enumerate(column) if path]
        read = self.image_reader([paths[place][row] for row, place in named])
        vectors = np.zeros((count, len(paths), read.vectors.shape[1]), dtype=np.float32)
        states = np.full((count, len(paths)), MISSING, dtype=np.int64)
        keys = [[b""] * len(paths) for _ in range(count)]
        for found, (row, place) in enumerate(named):
            if found in read.faults:
                said = f"the picture '{paths[place][row]}' in column '{self.content.images[place]}' {read.faults[found]}"
                faults.setdefault(row, []).append(said)
                continue
            vectors[row, place], states[row, place], keys[row][place] = read.vectors[found], PRESENT, read.keys[found]
        return Pictures(vectors=vectors, states=states, keys=keys)

    def settings(self) -> dict[str, Any]:
        """All that decides the cells: JSON types."""
        found: dict[str, Any] = to_plain(self.content)
        return found

    def fingerprint(self) -> str:
        """A digest of the settings: equal fingerprints give equal cells."""
        return hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write `processor.json` into a folder, and copies of what reads texts and pictures where there are any."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / PROCESSOR, self.settings())
        for name, source in self.folders.items():
            (folder / name).mkdir(exist_ok=True)
            for path in sorted(source.iterdir()):
                if path.suffix in READER_FILES:
                    shutil.copyfile(path, folder / name / path.name)

    @classmethod
    def load(cls, folder: Path) -> "TableProcessor":
        """From a folder that `save` wrote; texts and pictures need their readers before rows can be encoded.

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
        readers = {TEXTS: content.text_model, IMAGES: content.image_model}
        return cls(content, folders={name: folder / name for name, model in readers.items() if model is not None})


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
