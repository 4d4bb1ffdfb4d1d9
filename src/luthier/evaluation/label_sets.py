"""Several labels per example, as an Arrow table and as arrays: `target` and `prediction` are lists of labels."""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float

from luthier.evaluation.predictions import check_probs, list_array, with_ids
from luthier.evaluation.records import Predictions


def label_set_predictions(
    *,
    example_ids: Sequence[str],
    targets: Sequence[Iterable[str]],
    probs: Float[np.ndarray, "N C"],
    labels: Sequence[str],
    threshold: float = 0.5,
    groups: Sequence[str | None] | None = None,
) -> Predictions:
    """The predictions of a model that gives any number of labels: those at least as probable as the threshold.

    Targets that are none of `labels` are kept as they are and always count as missed.

    Args:
        example_ids: Source file and row of each example; must be unique.
        targets: The true labels of each example; none is an answer too.
        probs: Probability of each label, from 0 to 1, each for itself; stored in float32.
        labels: The label of each column of `probs`.
        threshold: From which probability on a label is given.
        groups: What is resampled together; a missing group (and `None` for all) means that the row stands for itself.

    Raises:
        DataError: the lengths differ, an id occurs twice, or probabilities are not finite.

    Example:
        >>> said = label_set_predictions(
        ...     example_ids=["a:1", "a:2"],
        ...     targets=[["cat"], []],
        ...     probs=np.array([[0.9, 0.6], [0.1, 0.2]]),
        ...     labels=["cat", "dog"],
        ... )
        >>> said.table["prediction"].to_pylist()
        [['cat', 'dog'], []]
    """
    stored = np.ascontiguousarray(probs, dtype=np.float32)
    check_probs(example_ids, targets, stored, labels)
    columns = {
        "target": pa.array([sorted(set(items)) for items in targets], pa.list_(pa.string())),
        "prediction": _chosen(stored >= threshold, labels),
        "probs": list_array(stored),
    }
    return Predictions(table=with_ids(example_ids, columns, groups=groups), labels=tuple(labels), answer_kind="labels")


def _chosen(given: np.ndarray, labels: Sequence[str]) -> "pa.ListArray":
    offsets = np.concatenate([[0], np.cumsum(given.sum(axis=1))]).astype(np.int32)
    names = pa.array(labels, pa.string()).take(pa.array(np.nonzero(given)[1]))
    return pa.ListArray.from_arrays(pa.array(offsets), names)


def label_matrix(predictions: Predictions, column: str) -> Float[np.ndarray, "N C1"]:
    """Which labels each example has in a column, 0 or 1; the last place counts those that are no label of the model."""
    values = predictions.table[column].combine_chunks()
    places = pc.index_in(values.flatten(), value_set=pa.array(predictions.labels, pa.string()))
    found = np.asarray(pc.fill_null(places, len(predictions.labels)).to_numpy(), dtype=np.int64)
    rows = np.repeat(np.arange(len(values)), np.asarray(pc.list_value_length(values).to_numpy(), dtype=np.int64))
    matrix = np.zeros((len(values), len(predictions.labels) + 1))
    np.add.at(matrix, (rows, found), 1)
    return matrix
