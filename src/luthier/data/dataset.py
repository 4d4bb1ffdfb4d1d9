"""The table every step hands on, with what is known of its columns and which rows belong to which part."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from luthier.data.schema import Schema

if TYPE_CHECKING:
    import pyarrow as pa

    from luthier.data.mixture import Mixture

EXAMPLE_ID = "example_id"
PARTS = ("train", "validation", "test")

Rows = Int[np.ndarray, " rows"]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A table, its schema and its parts.

    Attributes:
        name: Short name of the source, for titles and run folders (`tickets`).
        table: One row per example. The first column is `example_id` (source file and row, `tickets.csv:17`); the others are
            the source's own, all text unless the source had types. Images are paths in a text column.
        schema: Kinds of the columns, and which column plays which role.
        parts: Row numbers by part name: either `{"all": ...}` (not split yet) or some of train, validation, test.
        files: The source's files, in reading order.
        mixture: Where several sources are mixed: which, and their weights.
        in_order: Whether rows stand in order of time as they are (where a column says when they were, it plays `time`).
        corpus: Rows that belong to no part: nobody is asked about them, and answers are found among them (documents).
    """

    name: str
    table: "pa.Table"
    schema: Schema
    parts: Mapping[str, Rows]
    files: tuple[str, ...] = field(default=())
    in_order: bool = False
    mixture: "Mixture | None" = None

    @property
    def has_time(self) -> bool:
        """Whether it is known which rows came before which."""
        return self.in_order or "time" in self.schema.roles

    corpus: Rows = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def column(self, role: str) -> "pa.ChunkedArray":
        """The column that plays a role.

        Raises:
            KeyError: no column does.
        """
        return self.table.column(self.schema.roles[role])

    def part_of_row(self) -> np.ndarray:
        """The part of each row of the table, as an array of strings; rows of no part have ''."""
        names = np.full(self.table.num_rows, "", dtype="<U10")
        for name, rows in self.parts.items():
            names[rows] = name
        return names

    def with_parts(self, parts: Mapping[str, Rows]) -> "Dataset":
        """The same table with other parts."""
        return replace(self, parts=parts)
