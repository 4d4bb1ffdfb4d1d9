"""What a model said, as an Arrow table: made from arrays, turned back into arrays, written and read as Parquet.

The file holds the labels in its schema, so that every number of a card can be computed again from the file alone.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, Int

from luthier.core.rows import finite_rows
from luthier.core.storage import atomic_path
from luthier.errors import DataError
from luthier.evaluation.records import Predictions

UNSEEN = -1
GROUP_BYTES = 16 << 20
_METADATA_KEY = b"luthier"
_SHARED = ("example_id", "group", "target")  # what all models of a card have in common; every other column is a model's own


def classification_predictions(
    *,
    example_ids: Sequence[str],
    targets: Sequence[str],
    probs: Float[np.ndarray, "N C"],
    labels: Sequence[str],
    groups: Sequence[str | None] | None = None,
) -> Predictions:
    """The predictions of a single-label classifier; the label with the highest probability is the prediction.

    A target that is none of `labels` (a label that train never showed) is kept as it is and always counts as wrong.

    Args:
        example_ids: Source file and row of each example; must be unique.
        targets: The true label of each example.
        probs: Probability of each label; stored in float32.
        labels: The label of each column of `probs`.
        groups: What is resampled together; a missing group (and `None` for all) means that the row stands for itself.

    Raises:
        DataError: the lengths differ, an id occurs twice, or probabilities are not finite.

    Example:
        >>> said = classification_predictions(
        ...     example_ids=["a:1", "a:2"], targets=["cat", "cow"], labels=["cat", "dog"], probs=np.eye(2)
        ... )
        >>> said.table["prediction"].to_pylist(), target_indices(said).tolist()
        (['cat', 'dog'], [0, -1])
    """
    stored = np.ascontiguousarray(probs, dtype=np.float32)
    check_probs(example_ids, targets, stored, labels)
    names = pa.array(labels, pa.string())
    columns = {
        "target": pa.array(targets, pa.string()),
        "prediction": names.take(pa.array(stored.argmax(axis=1))) if len(stored) else pa.array([], pa.string()),
        "probs": list_array(stored),
    }
    table = with_ids(example_ids, columns, groups=groups)
    return Predictions(table=table, labels=tuple(labels), answer_kind="label")


def check_probs(
    example_ids: Sequence[str], targets: Sequence[object], probs: Float[np.ndarray, "N C"], labels: Sequence[str]
) -> None:
    """Raise DataError where ids, targets and probabilities do not belong together, or are no numbers."""
    expected = (len(example_ids), len(labels))
    if probs.shape != expected or len(targets) != expected[0]:
        raise DataError(
            f"Predictions of {expected[0]} examples and {expected[1]} labels need probabilities of shape {expected} and "
            f"as many targets; found shape {probs.shape} and {len(targets)} targets.",
            remedy="pass one row of probabilities and one target per example",
        )
    refuse_repeated_ids(example_ids)
    bad = np.flatnonzero(~finite_rows(probs))
    if len(bad):
        raise DataError(
            f"The probabilities of {len(bad)} examples are not finite; first: {example_ids[bad[0]]}.",
            remedy="lower the learning rate, or tune in float32: --precision float32",
        )


def refuse_repeated_ids(example_ids: Sequence[str]) -> None:
    """Raise DataError if two examples have one id."""
    if len(set(example_ids)) != len(example_ids):
        raise DataError("Two examples have the same example_id.", remedy="make ids from source file and row number")


def with_ids(
    example_ids: Sequence[str], columns: Mapping[str, "pa.Array"], *, groups: Sequence[str | None] | None = None
) -> "pa.Table":
    """A table of predictions: ids, what is resampled together (the row itself where nothing is said), and other columns."""
    ids = pa.array(example_ids, pa.string())
    group = ids if groups is None else pc.coalesce(pa.array(groups, pa.string()), ids)
    return pa.table({"example_id": ids, "group": group, **columns})


def list_array(matrix: Float[np.ndarray, "N C"]) -> "pa.ListArray":
    """A matrix as a column of lists."""
    offsets = np.arange(len(matrix) + 1, dtype=np.int32) * matrix.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(matrix.ravel()))


def target_indices(predictions: Predictions) -> Int[np.ndarray, " N"]:
    """The place of each target among the labels; -1 for a target that is none of them."""
    return _indices(predictions, "target")


def prediction_indices(predictions: Predictions) -> Int[np.ndarray, " N"]:
    """The place of each prediction among the labels."""
    return _indices(predictions, "prediction")


def _indices(predictions: Predictions, column: str) -> Int[np.ndarray, " N"]:
    places = pc.index_in(predictions.table[column], value_set=pa.array(predictions.labels, pa.string()))
    return np.asarray(pc.fill_null(places, UNSEEN).to_numpy(), dtype=np.int64)


def prob_matrix(predictions: Predictions) -> Float[np.ndarray, "N C"]:
    """The probabilities as a float32 matrix, one column per label."""
    column = predictions.table["probs"]
    column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()  # which copies even a single chunk
    return np.asarray(column.flatten().to_numpy(zero_copy_only=False)).reshape(-1, len(predictions.labels))


def unit_indices(predictions: Predictions) -> Int[np.ndarray, " N"]:
    """The number of the independent unit (the group) of each example: 0, 1, ... by first appearance."""
    codes = predictions.table["group"].combine_chunks().dictionary_encode().indices
    return np.asarray(codes.to_numpy(), dtype=np.int64)


def group_indices(table: "pa.Table", group: str | None) -> Int[np.ndarray, " N"]:
    """The same of rows of a table, by its column of groups; without one (and where it is null) a row stands for itself."""
    ids = table["example_id"].cast(pa.string())
    units = ids if group is None else pc.coalesce(table[group].cast(pa.string()), ids)
    return np.asarray(units.combine_chunks().dictionary_encode().indices.to_numpy(), dtype=np.int64)


def aligned(a: Predictions, b: Predictions) -> Predictions:
    """`b` in the order of `a`: paired numbers need the same examples with the same targets and groups.

    Raises:
        DataError: the examples, their targets or their groups differ; names the first.
    """
    ids = a.table["example_id"]
    if not ids.equals(b.table["example_id"]):
        places = pc.index_in(ids, value_set=b.table["example_id"].combine_chunks())
        if places.null_count or len(ids) != b.table.num_rows:
            raise _not_paired("examples", a, b)
        b = replace(b, table=b.table.take(places))
    for column in ("target", "group"):
        if column in a.table.column_names and not a.table[column].equals(b.table[column]):
            raise _not_paired(f"{column}s", a, b)
    return b


def _not_paired(what: str, a: Predictions, b: Predictions) -> DataError:
    only = sorted(set(a.table["example_id"].to_pylist()) ^ set(b.table["example_id"].to_pylist()))[:3]
    which = f" (only in one of them: {', '.join(only)})" if only else ""
    return DataError(
        f"The two predictions do not have the same {what}: {a.table.num_rows} and {b.table.num_rows} rows{which}.",
        remedy="score both models on the same test file",
    )


def write_predictions(path: Path, kept: Predictions, *, others: Mapping[str, Predictions] | None = None) -> None:
    """Write the predictions of the model kept and, beside them, those of the other models of the card.

    Args:
        path: Usually `predictions.parquet` of a run folder.
        kept: Fills the columns `prediction`, `probs` and whatever else the task's predictions have.
        others: By model; each adds `MODEL_prediction`, `MODEL_probs` and so on. `tuned` is skipped: it is `kept`.
    """
    import pyarrow.parquet as pq

    table = kept.table
    models = [name for name in others or {} if name != "tuned"]
    for name in models:
        other = aligned(kept, (others or {})[name]).table
        for column in own_columns(other):
            table = table.append_column(f"{name}_{column}", other[column])
    facts = {
        "schema_version": 1,
        "labels": list(kept.labels),
        "answer_kind": kept.answer_kind,
        "columns": list(
            dict.fromkeys(column for said in (kept, *(others or {}).values()) for column in own_columns(said.table))
        ),
        "others": models,
    }
    table = table.replace_schema_metadata({_METADATA_KEY: json.dumps(facts, ensure_ascii=False).encode()})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", row_group_size=_rows_per_group(table))


def own_columns(table: "pa.Table") -> list[str]:
    """The columns of predictions that differ from model to model."""
    return [name for name in table.column_names if name not in _SHARED]


def _rows_per_group(table: "pa.Table") -> int:
    """How many rows are encoded at a time: what waits to be written is in memory."""
    row_bytes = int(table.nbytes) // max(1, int(table.num_rows))
    return max(1, GROUP_BYTES // max(1, row_bytes))


def read_predictions(path: Path) -> dict[str, Predictions]:
    """All predictions of a file, by model; the model kept is `tuned`.

    Raises:
        DataError: the file was not written by `write_predictions`.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    metadata = (table.schema.metadata or {}).get(_METADATA_KEY)
    if metadata is None:
        raise DataError(f"{path} holds no labels in its schema.", remedy="name the predictions.parquet of a run folder")
    facts = json.loads(metadata)
    labels = tuple(facts["labels"])
    kind = facts.get("answer_kind", "label" if labels else "")
    columns = facts.get("columns", ["prediction", "probs"])
    added = [f"{name}_{column}" for name in facts["others"] for column in columns]
    base = table.drop_columns([column for column in added if column in table.column_names]).replace_schema_metadata(None)
    found = {"tuned": Predictions(table=base, labels=labels, answer_kind=kind)}
    for name in facts["others"]:
        found[name] = Predictions(table=_columns_of(name, table, base, columns), labels=labels, answer_kind=kind)
    return found


def _columns_of(name: str, table: "pa.Table", base: "pa.Table", columns: Sequence[str]) -> "pa.Table":
    """The table of another model: what all share, and its own columns."""
    base = base.drop_columns([column for column in columns if column in base.column_names])
    for column in (column for column in columns if f"{name}_{column}" in table.column_names):
        base = base.append_column(column, table[f"{name}_{column}"])
    return base
