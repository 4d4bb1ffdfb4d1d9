"""Encoded rows of a table: all of them in memory as they are scaled; the bins of numbers are made batch by batch."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from luthier.models.table_cells import MISSING, PRESENT, binned, bins_of
from luthier.models.table_processor import TableContent, TableRows
from luthier.tasks.inputs import KEY_TYPE, Batch, content_key


@dataclass(frozen=True, kw_only=True)
class TableInputs:
    """One unit for each row.

    Attributes:
        encoded: The cells.
        lower, width: Of the bins of each number.
        faults: Row -> what could not be read in it.
    """

    encoded: TableRows
    lower: Float[np.ndarray, "n T"]
    width: Float[np.ndarray, "n T"]
    lengths: Int[np.ndarray, " U"]
    keys: np.ndarray
    row_of: Int[np.ndarray, " U"]

    @classmethod
    def build(cls, encoded: TableRows, content: TableContent) -> "TableInputs":
        """Inputs from encoded rows; the key of a row is the hash of its cells."""
        count = len(encoded.numbers)
        lower, width = bins_of(content.numbers)
        arrays = [encoded.numbers, encoded.states, encoded.categories]
        keys = [
            content_key(
                *(array[row].tobytes() for array in arrays),
                *(column[row].encode() for column in encoded.texts),
                *(encoded.pictures.keys[row] if encoded.pictures else ()),
            )
            for row in range(count)
        ]
        return cls(
            encoded=encoded,
            lower=lower,
            width=width,
            lengths=np.ones(count, dtype=np.int64),
            keys=np.array(keys, dtype=KEY_TYPE),
            row_of=np.arange(count),
        )

    def of(self, rows: Int[np.ndarray, " n"]) -> "TableInputs":
        """Some of the rows."""
        encoded = self.encoded
        some = TableRows(
            numbers=encoded.numbers[rows],
            states=encoded.states[rows],
            categories=encoded.categories[rows],
            texts=[[column[row] for row in rows] for column in encoded.texts],
            vectors=None if encoded.vectors is None else encoded.vectors[rows],
            pictures=encoded.pictures.of(rows) if encoded.pictures else None,
            faults={},
        )
        return replace(self, encoded=some, lengths=self.lengths[rows], keys=self.keys[rows], row_of=np.arange(len(rows)))

    def shuffled(self, column: str, content: TableContent, order: Int[np.ndarray, " U"]) -> "TableInputs":
        """The same rows with the cells of one column dealt out in another order."""
        own = self.encoded
        numbers, states, categories = own.numbers.copy(), own.states.copy(), own.categories.copy()
        for place in [place for place, cell in enumerate(content.numbers) if cell.column == column]:
            numbers[:, place], states[:, place] = numbers[order, place], states[order, place]
        for place in [place for place, cell in enumerate(content.categories) if cell.column == column]:
            categories[:, place] = categories[order, place]
        texts, vectors = list(own.texts), own.vectors
        if column in content.texts and vectors is not None:
            place, vectors = content.texts.index(column), vectors.copy()
            vectors[:, place] = vectors[order, place]
            texts[place] = [texts[place][row] for row in order]
        pictures = own.pictures
        if column in content.images and pictures is not None:
            pictures = pictures.dealt(content.images.index(column), order)
        dealt = replace(own, numbers=numbers, states=states, categories=categories, texts=texts, vectors=vectors, faults={})
        return replace(self, encoded=replace(dealt, pictures=pictures))

    def with_rows_of(self, others: "TableInputs") -> "TableInputs":
        """These rows, then those of other inputs of the same columns."""
        own, more = self.encoded, others.encoded
        both = TableRows(
            numbers=np.concatenate([own.numbers, more.numbers]),
            states=np.concatenate([own.states, more.states]),
            categories=np.concatenate([own.categories, more.categories]),
            texts=[[*first, *second] for first, second in zip(own.texts, more.texts, strict=True)],
            vectors=None if own.vectors is None or more.vectors is None else np.concatenate([own.vectors, more.vectors]),
            pictures=own.pictures.joined(more.pictures) if own.pictures and more.pictures else None,
            faults={},
        )
        keys = np.concatenate([self.keys, others.keys])
        return replace(self, encoded=both, lengths=np.ones(len(keys), dtype=np.int64), keys=keys, row_of=np.arange(len(keys)))

    @property
    def faults(self) -> Mapping[int, str]:
        """Of the encoded rows."""
        return self.encoded.faults

    def batch(self, units: Int[np.ndarray, " B"]) -> Batch:
        """What `TableNetwork` takes; what a table does not have is left out."""
        rows, batch = self.encoded, {}
        if rows.numbers.shape[1]:
            batch["numbers"] = binned(rows.numbers[units].astype(np.float64), self.lower, self.width)
            batch["number_states"] = rows.states[units]
        if rows.categories.shape[1]:
            batch["categories"] = rows.categories[units]
        return {**batch, **self._texts(units), **self._images(units)}

    def light_batch(self, units: Int[np.ndarray, " B"]) -> Batch:
        """Cells that nobody reads as zeros without memory; the vectors that the head stands on as they are."""
        whole = {name: array.shape[1:] for name, array in self.batch(units[:1]).items()}
        light = {name: np.broadcast_to(np.zeros((), dtype=np.float32), (len(units), *shape)) for name, shape in whole.items()}
        return {**light, **self._texts(units), **self._images(units)}

    def _texts(self, units: Int[np.ndarray, " B"]) -> Batch:
        vectors = self.encoded.vectors
        if vectors is None:
            return {}
        missing = np.array([[not column[unit].strip() for column in self.encoded.texts] for unit in units])
        return {"texts": vectors[units], "text_states": np.where(missing, MISSING, PRESENT).astype(np.int64)}

    def _images(self, units: Int[np.ndarray, " B"]) -> Batch:
        pictures = self.encoded.pictures
        return {} if pictures is None else {"images": pictures.vectors[units], "image_states": pictures.states[units]}
