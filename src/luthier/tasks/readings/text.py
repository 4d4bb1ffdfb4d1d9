"""A text in a column."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from luthier.evaluation.baselines import word_features
from luthier.models.text_processor import TextProcessor
from luthier.tasks.inputs import TokenInputs
from luthier.tasks.protocol import Modality
from luthier.tasks.readings.reading import ClassicFeatures

if TYPE_CHECKING:
    import pyarrow as pa


class Text:
    """One text for each row; missing ones are empty."""

    modality: Modality = "text"
    noun: str = "text"
    roles: tuple[str, ...] = ("text",)
    example: str = '"my card never arrived"'
    classic: str = "TF-IDF of words, word pairs and characters"

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> Sequence[str]:
        """The texts."""
        return cells(table, roles["text"])

    def count_tokens(self, rows: Sequence[str], processor: TextProcessor) -> Int[np.ndarray, " N"]:
        """With special tokens."""
        return processor.count_tokens(rows)

    def encode(self, rows: Sequence[str], processor: TextProcessor) -> TokenInputs:
        """Token ids."""
        encoded = processor.encode(rows)
        return TokenInputs.build(encoded.ids, encoded.offsets, pad_id=processor.pad_id)

    def classic_features(self, train: Sequence[str], others: Sequence[str], *, seed: int) -> ClassicFeatures | None:
        """TF-IDF."""
        return word_features([train], [others])


def cells(table: "pa.Table", column: str) -> list[str]:
    """A column as texts; missing values become empty.

    Example:
        >>> import pyarrow as pa
        >>> cells(pa.table({"text": ["x", None]}), "text")
        ['x', '']
    """
    return ["" if value is None else str(value) for value in table.column(column).to_pylist()]


TEXT = Text()
