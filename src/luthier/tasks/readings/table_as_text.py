"""Several columns of a table written as one sentence for a text model: `tenure: 12. contract: month-to-month.`"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from luthier.data.schema import FEATURES, Schema
from luthier.models.text_processor import TextProcessor
from luthier.tasks.inputs import TokenInputs
from luthier.tasks.protocol import Modality
from luthier.tasks.readings.reading import ClassicFeatures
from luthier.tasks.readings.table import Row, Rows, fit_of_table, table_of
from luthier.tasks.readings.text import TEXT

if TYPE_CHECKING:
    import pyarrow as pa

ONLY_IF_ASKED = 0.05


class TableAsText:
    """Each row as a sentence of its columns, in their order; what is missing is left out."""

    modality: Modality = "text"
    roles: tuple[str, ...] = (FEATURES,)
    example: str = '{"tenure": 12, "contract": "monthly"}'
    noun: str = "row"
    classic: str = "gradient boosting on all columns"

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> Rows:
        """All columns but the answer."""
        return Rows(table.drop_columns([roles["target"]]) if roles.get("target") in table.column_names else table)

    def count_tokens(self, rows: Sequence[Row], processor: TextProcessor) -> Int[np.ndarray, " N"]:
        """With special tokens."""
        return TEXT.count_tokens(sentences_of(rows), processor)

    def encode(self, rows: Sequence[Row], processor: TextProcessor) -> TokenInputs:
        """Token ids."""
        return TEXT.encode(sentences_of(rows), processor)

    def classic_features(self, train: Sequence[Row], others: Sequence[Row], *, seed: int) -> ClassicFeatures | None:
        """None: the classic of tables is no linear model (`tasks.boosting`)."""
        return None


def sentences_of(rows: Sequence[Row]) -> list[str]:
    """Rows as sentences.

    Example:
        >>> sentences_of([{"tenure": 12, "plan": None, "contract": "monthly"}])
        ['tenure: 12. contract: monthly.']
    """
    return [sentence_of(row) for row in Rows(table_of(rows))]


def sentence_of(row: Mapping[str, Any]) -> str:
    """A row as a sentence.

    Example:
        >>> sentence_of({"price": "9.50", "city": " Oslo "})
        'price: 9.50. city: Oslo.'
    """
    cells = [(name, "" if value is None else str(value).strip()) for name, value in row.items()]
    return " ".join(f"{name}: {text.rstrip('.')}." for name, text in cells if text)


def fit_if_asked(schema: Schema) -> tuple[float, str]:
    """As a table, but never chosen by itself."""
    fit, reason = fit_of_table(schema)
    return (ONLY_IF_ASKED if fit else 0.0), reason


TABLE_AS_TEXT = TableAsText()
