"""Rows of a table with the columns that a model reads, and nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any

from luthier.data.schema import FEATURES
from luthier.models.table_processor import TableProcessor, refuse_missing
from luthier.package.folder import ModelDescription
from luthier.tasks.protocol import Task
from luthier.tasks.readings.table import Rows, table_of
from luthier.tasks.row_task import COLUMNS


def columns_read(task: Task, processor: Any, description: ModelDescription) -> list[str]:
    """The columns that a model of tables reads; none for other models."""
    if FEATURES not in task.roles:
        return []
    if isinstance(processor, TableProcessor):
        return list(processor.content.columns)
    return [str(name) for name, _ in description.state.values[COLUMNS]]


def narrowed(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Rows:
    """Rows with these columns alone.

    Raises:
        DataError: some are missing, or a row is no dictionary.
    """
    table = table_of(rows)
    refuse_missing(columns, table.column_names)
    return Rows(table.select(list(columns)))
