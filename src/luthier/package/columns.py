"""Rows of a table with the columns that a model reads, and nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.data.schema import FEATURES
from luthier.models.table_processor import TableProcessor, refuse_missing
from luthier.package.folder import ModelDescription
from luthier.tasks.protocol import Task
from luthier.tasks.readings.table import Rows, table_of
from luthier.tasks.row_task import COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa


def columns_read(task: Task, processor: Any, description: ModelDescription) -> list[str]:
    """The columns that a model of tables reads; none for other models."""
    if FEATURES not in task.roles:
        return []
    if isinstance(processor, TableProcessor):
        return list(processor.content.columns)
    return [str(name) for name, _ in description.state.values[COLUMNS]]


def with_places(table: "pa.Table", processor: Any, folder: Path) -> "pa.Table":
    """The table with the pictures that it names as paths that can be opened: a table names them from its own folder."""
    import pyarrow as pa

    for name in processor.content.images if isinstance(processor, TableProcessor) else ():
        if name in table.column_names:
            paths = ["" if path is None else str(path).strip() for path in table.column(name).to_pylist()]
            placed = pa.array([str(folder / path) if path else None for path in paths], pa.string())
            table = table.set_column(table.column_names.index(name), name, placed)
    return table


def narrowed(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Rows:
    """Rows with these columns alone.

    Raises:
        DataError: some are missing, or a row is no dictionary.
    """
    table = table_of(rows)
    refuse_missing(columns, table.column_names)
    return Rows(table.select(list(columns)))
