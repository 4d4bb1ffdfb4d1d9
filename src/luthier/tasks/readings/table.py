"""Several columns of a table: numbers, categories, dates, and texts and pictures beside them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from jaxtyping import Int

from luthier.data.schema import FEATURES, Kind, Schema
from luthier.errors import DataError
from luthier.models.table_processor import TableProcessor
from luthier.tasks.protocol import Modality
from luthier.tasks.readings.reading import ClassicFeatures
from luthier.tasks.table_inputs import TableInputs

if TYPE_CHECKING:
    import pyarrow as pa

Row = Mapping[str, Any]
PLAIN_KINDS = (Kind.NUMBER, Kind.CATEGORY, Kind.DATETIME)
LONG_WORDS = 2.0  # from so many words on, on average, a column of free texts has something to say by itself
MANY_COLUMNS = 6  # so many plain columns beside a text are no ornament
BESIDE_PICTURES = 3  # so many plain columns beside a picture say more than where it comes from


class Rows(Sequence[Row]):
    """The rows of an Arrow table as dictionaries, made when they are asked for."""

    def __init__(self, table: "pa.Table") -> None:
        self.table = table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> "Rows": ...
    def __getitem__(self, place: int | slice) -> "Row | Rows":
        if isinstance(place, slice):
            return Rows(self.table.take(np.arange(len(self))[place]))
        row: Row = self.table.slice(int(place) % max(1, len(self)), 1).to_pylist()[0]
        return row

    def __iter__(self) -> Iterator[Row]:
        for batch in self.table.to_batches(max_chunksize=4096):
            yield from batch.to_pylist()


class Table:
    """The columns that the schema names as features; which of them a model reads, its processor knows."""

    modality: Modality = "table"
    roles: tuple[str, ...] = (FEATURES,)
    example: str = '{"tenure": 12, "contract": "monthly"}'
    noun: str = "row"
    classic: str = "gradient boosting on all columns"

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> Rows:
        """All columns but the answer."""
        return Rows(table.drop_columns([roles["target"]]) if roles.get("target") in table.column_names else table)

    def count_tokens(self, rows: Sequence[Row], processor: TableProcessor) -> Int[np.ndarray, " N"]:
        """Rows all have the same cells."""
        return np.ones(len(rows), dtype=np.int64)

    def encode(self, rows: Sequence[Row], processor: TableProcessor) -> TableInputs:
        """Scaled numbers, codes of categories, vectors of texts.

        Raises:
            DataError: a column is missing, or a row is no dictionary.
        """
        return TableInputs.build(processor.encode(table_of(rows)), processor.content)

    def classic_features(self, train: Sequence[Row], others: Sequence[Row], *, seed: int) -> ClassicFeatures | None:
        """None: the classic of tables is no linear model (`tasks.boosting`)."""
        return None


def table_of(rows: Sequence[Row]) -> "pa.Table":
    """Rows as an Arrow table: as it was, or made of dictionaries; keys that some rows lack are missing there.

    Raises:
        DataError: a row is no dictionary, or a column mixes values that cannot stand in one.

    Example:
        >>> table_of([{"a": 1}, {"a": None, "b": "x"}]).to_pylist()
        [{'a': '1', 'b': None}, {'a': None, 'b': 'x'}]
    """
    import pyarrow as pa

    if isinstance(rows, Rows):
        return rows.table
    for place, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise DataError(
                f"Row {place} is {type(row).__name__}; a row of a table is a dictionary of its columns.",
                remedy='model.predict([{"column": value, ...}])',
            )
    names = dict.fromkeys(str(name) for row in rows for name in row)
    return pa.table({name: pa.array([_cell(row.get(name)) for row in rows], pa.string()) for name in names})


def _cell(value: Any) -> str | None:
    """A value as a file would hold it; NaN is missing."""
    if value is None or value != value:
        return None
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def fit_of_table(schema: Schema) -> tuple[float, str]:
    """How well a table is a table, rather than texts with a few columns beside them, and its columns in words.

    Without free texts and pictures it is one. Columns beside a text must be many to count for more than it; beside a picture
    a text is enough, or a few of them.
    """
    columns = {column.name: column for column in schema.columns}
    plain = [name for name in schema.features if columns[name].kind in PLAIN_KINDS]
    texts = [name for name in schema.features if columns[name].kind is Kind.TEXT]
    holds = "column holds" if len(plain) == 1 else "columns hold"
    shown = f"{len(plain)} {holds} numbers, categories or dates"
    pictures = [name for name in schema.features if columns[name].kind is Kind.IMAGE]
    if not plain and not texts and len(pictures) < 2:
        return 0.0, shown
    if "image" in schema.roles:
        said = [name for name in texts if columns[name].mean_words >= LONG_WORDS]
        beside = f"'{schema.roles['image']}' names pictures, {shown}" + (f", '{said[0]}' holds texts" if said else "")
        return (1.1 if said or len(plain) >= BESIDE_PICTURES else 0.2), beside
    if "text_pair" in schema.roles:
        return 0.2, shown
    text = schema.roles.get("text")
    if text is None:
        return 1.0, shown
    if columns[text].kind is not Kind.TEXT or columns[text].mean_words < LONG_WORDS:
        return (1.1 if len(plain) > 1 else 0.3), shown
    longer = f"; '{text}' holds texts of {columns[text].mean_words:.0f} words"
    return (1.1 if len(plain) >= MANY_COLUMNS else 0.4) if plain else 0.2, shown + longer


TABLE = Table()
