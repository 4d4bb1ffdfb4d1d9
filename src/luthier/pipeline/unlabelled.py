"""Rows of tables without answers: nobody can be scored on them, and their cells say how the columns hang together."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from luthier.core.decision import Decision
from luthier.core.names import count_of
from luthier.data.keys import missing_cells
from luthier.data.load import load_source
from luthier.data.settings import DataSettings
from luthier.errors import DataError
from luthier.models.table_processor import TableProcessor
from luthier.pipeline.prepare import Prepared
from luthier.spec import TuneSpec
from luthier.tasks.table_inputs import TableInputs

if TYPE_CHECKING:
    import pyarrow as pa


def unlabelled_rows(
    spec: TuneSpec, prepared: Prepared, processor: TableProcessor, *, held: np.ndarray
) -> tuple[TableInputs | None, list[Decision[Any]]]:
    """The rows without answers that masked columns are learnt from, beside train, and what is to be said of them.

    They are those that train lost only because nobody has answered them, and those of `--unlabelled`. What equals a row of
    validation or test is not among them.

    Args:
        processor: Reads the columns, as train taught.
        held: Keys of the rows of validation and test.

    Raises:
        DataError: the file cannot be read, or lacks columns.
    """
    if spec.model.table.pretraining_epochs == 0:
        return None, []
    own, further = _of_train(prepared), _of_file(spec, processor)
    parts = [
        TableInputs.build(processor.encode(table), processor.content)
        for table in (own, further)
        if table is not None and len(table)
    ]
    if not parts:
        return None, []
    found = parts[0] if len(parts) == 1 else parts[0].with_rows_of(parts[1])
    free = np.flatnonzero(~np.isin(found.keys, held))
    counts = {"train": len(own), "file": 0 if further is None else len(further), "left_out": len(found.keys) - len(free)}
    said = [f"{count_of(counts['train'], 'row')} of train"] if counts["train"] else []
    said += [f"{count_of(counts['file'], 'row')} of {Path(str(spec.data.unlabelled)).name}"] if further is not None else []
    less = f", less {counts['left_out']:,} that equal rows of validation or test" if counts["left_out"] else ""
    reason = f"{' and '.join(said)} without an answer{less}: the columns are pre-trained on them too, and nothing else is"
    decision = Decision(name="unlabelled", value=len(free), reason=reason, evidence=counts, override="--unlabelled FILE")
    return (found.of(free) if len(free) else None), [decision]


def _of_train(prepared: Prepared) -> "pa.Table":
    """Rows that train lost only because nobody has answered them."""
    dataset = prepared.dataset
    found: Sequence[np.ndarray] = [
        item.rows for item in prepared.findings if item.check == "missing" and item.part in ("all", "train") and item.action
    ]
    rows = np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)
    missing = missing_cells(dataset.column("target"))
    return dataset.table.take(rows[missing[rows]].astype(np.int64))


def _of_file(spec: TuneSpec, processor: TableProcessor) -> "pa.Table | None":
    """The rows of `--unlabelled`; what stands in a column of answers is not looked at."""
    if spec.data.unlabelled is None:
        return None
    settings = DataSettings(delimiter=spec.data.delimiter, bad_rows=spec.data.bad_rows)
    source = load_source([spec.data.unlabelled], settings)
    if source.kind != "table":
        raise DataError(f"{spec.data.unlabelled} is no table.", remedy="--unlabelled FILE, with the columns of train")
    return source.table
