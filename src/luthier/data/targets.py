"""The target column read as lists of labels, or as numbers; cells are text, as they were loaded."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from luthier.data.dataset import Dataset
from luthier.data.keys import answer_kind, missing_cells, remember_last
from luthier.data.lists import label_sets

if TYPE_CHECKING:
    import pyarrow as pa


def to_numbers(column: "pa.ChunkedArray") -> Float[np.ndarray, " N"]:
    """Cells as numbers; NaN where a cell is missing or something else.

    Example:
        >>> import pyarrow as pa
        >>> to_numbers(pa.chunked_array([[" 3.5", "1e3", "n/a", None]])).tolist()
        [3.5, 1000.0, nan, nan]
    """
    return np.array([_number(cell) for cell in column.to_pylist()], dtype=np.float64)


def _number(cell: Any) -> float:
    try:
        value = float(cell) if cell is not None else float("nan")
    except (TypeError, ValueError):
        return float("nan")
    return value if np.isfinite(value) else float("nan")


def target_values(dataset: Dataset) -> Float[np.ndarray, " N"]:
    """The target of each row as a number; NaN where it is none."""
    name = dataset.schema.roles["target"]
    values: Float[np.ndarray, " N"] = remember_last(
        dataset, "target_values", detail=name, compute=lambda: to_numbers(dataset.table.column(name))
    )
    return values


def target_sets(dataset: Dataset) -> list[list[str]]:
    """The labels of each row."""
    name = dataset.schema.roles["target"]
    sets: list[list[str]] = remember_last(
        dataset, "target_sets", detail=name, compute=lambda: label_sets(dataset.table.column(name))
    )
    return sets


def missing_targets(dataset: Dataset) -> Bool[np.ndarray, " N"]:
    """Rows without an answer. Where an answer is any number of labels, a missing one is an answer too: none of them."""
    if answer_kind(dataset) == "labels":
        return np.zeros(dataset.table.num_rows, dtype=bool)
    return missing_cells(dataset.column("target"))
