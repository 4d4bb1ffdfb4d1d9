"""A number per example, as an Arrow table and as arrays: `target` and `prediction` are numbers in the unit of the data."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from luthier.errors import DataError
from luthier.evaluation.predictions import refuse_repeated_ids, with_ids
from luthier.evaluation.records import Predictions


def number_predictions(
    *,
    example_ids: Sequence[str],
    targets: Float[np.ndarray, " N"],
    answers: Float[np.ndarray, " N"],
    groups: Sequence[str | None] | None = None,
) -> Predictions:
    """The predictions of a model that answers with a number.

    Args:
        example_ids: Source file and row of each example; must be unique.
        targets: The true number of each example.
        answers: What the model says.
        groups: What is resampled together; a missing group (and `None` for all) means that the row stands for itself.

    Raises:
        DataError: the lengths differ, an id occurs twice, or a number is not finite.

    Example:
        >>> said = number_predictions(example_ids=["a:1"], targets=np.array([3.5]), answers=np.array([3.0]))
        >>> said.table.select(["target", "prediction"]).to_pylist()
        [{'target': 3.5, 'prediction': 3.0}]
    """
    columns = {"target": np.asarray(targets, dtype=np.float64), "prediction": np.asarray(answers, dtype=np.float64)}
    for name, values in columns.items():
        if values.shape != (len(example_ids),):
            raise DataError(
                f"Predictions of {len(example_ids)} examples need as many numbers; found {len(values)} of '{name}'.",
                remedy="pass one target and one answer per example",
            )
        if len(bad := np.flatnonzero(~np.isfinite(values))):
            raise DataError(
                f"The {name} of {len(bad)} examples is no finite number; first: {example_ids[bad[0]]}.",
                remedy="fill the targets in, or lower the learning rate if it is the answers",
            )
    refuse_repeated_ids(example_ids)
    arrays = {name: pa.array(values) for name, values in columns.items()}
    return Predictions(table=with_ids(example_ids, arrays, groups=groups), answer_kind="number")


def target_numbers(predictions: Predictions) -> Float[np.ndarray, " N"]:
    """The true numbers."""
    return _numbers(predictions, "target")


def answered_numbers(predictions: Predictions) -> Float[np.ndarray, " N"]:
    """What the model said."""
    return _numbers(predictions, "prediction")


def _numbers(predictions: Predictions, column: str) -> Float[np.ndarray, " N"]:
    return np.asarray(predictions.table[column].to_numpy(), dtype=np.float64)
