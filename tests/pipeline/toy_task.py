"""A task of its own in one file: is a text loud? The column `label` says yes or no; a plug-in would look just like this."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from luthier.models.processors import TextProcessor
from luthier.tasks.answers.label import LABEL
from luthier.tasks.inputs import TokenInputs
from luthier.tasks.protocol import Modality
from luthier.tasks.readings.reading import ClassicFeatures
from luthier.tasks.readings.text import TEXT
from luthier.tasks.row_task import RowTask

if TYPE_CHECKING:
    import pyarrow as pa


class LoudText:
    """A text whose exclamation marks stand apart."""

    modality: Modality = "text"
    noun: str = "text"
    roles: tuple[str, ...] = ("text",)
    example = '"help!"'
    classic = "none"

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> Sequence[str]:
        """The texts."""
        return TEXT.rows(table, roles)

    def count_tokens(self, rows: Sequence[str], processor: TextProcessor) -> Int[np.ndarray, " N"]:
        """With special tokens."""
        return TEXT.count_tokens(rows, processor)

    def encode(self, rows: Sequence[str], processor: TextProcessor) -> TokenInputs:
        """Token ids."""
        return TEXT.encode([row.replace("!", " ! ") for row in rows], processor)

    def classic_features(self, train: Sequence[str], others: Sequence[str], *, seed: int) -> ClassicFeatures | None:
        """None: the classic baseline is absent."""
        return None


TASK = RowTask(
    name="loudness",
    reading=LoudText(),
    answer=LABEL,
    absent={"classic": "words do not tell how loud a text is", "scratch": "not asked for"},
)
