"""What is read of a row, whichever kind: raw values out of columns, model inputs out of raw values."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from jaxtyping import Int

from luthier.tasks.inputs import Inputs
from luthier.tasks.protocol import Modality

if TYPE_CHECKING:
    import pyarrow as pa

# (features of train, of others, strength of a linear model on them, as the C of scikit-learn)
ClassicFeatures = tuple[Any, Any, float]


class Reading(Protocol):
    """One way to read rows.

    Attributes:
        modality: Decides the processor and the default model.
        noun: One such input, for people.
        roles: Of the columns that are read.
        example: A row as one writes it in Python.
        classic: What a linear model is given of this kind of input, in words for the report.
    """

    modality: Modality
    noun: str
    roles: tuple[str, ...]
    example: str
    classic: str

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> Sequence[Any]:
        """The raw input of each row."""

    def count_tokens(self, rows: Sequence[Any], processor: Any) -> Int[np.ndarray, " N"]:
        """Tokens of each row before anything is cut."""

    def encode(self, rows: Sequence[Any], processor: Any) -> Inputs:
        """Model inputs, one unit of each row; or several, side by side, where a row is cut into windows."""

    def classic_features(self, train: Sequence[Any], others: Sequence[Any], *, seed: int) -> ClassicFeatures | None:
        """What a linear model needs that knows no pre-trained one; None where train holds nothing to learn from."""
