"""Predictions of tasks that answer with a text: what was said beside what is right."""

from collections.abc import Sequence

import pyarrow as pa

from luthier.errors import DataError
from luthier.evaluation.measures.answer_text import ANSWERS
from luthier.evaluation.predictions import refuse_repeated_ids, with_ids
from luthier.evaluation.records import Predictions


def text_predictions(
    *,
    example_ids: Sequence[str],
    targets: Sequence[str],
    predictions: Sequence[str],
    answer_kind: str = "text",
    groups: Sequence[str | None] | None = None,
    accepted: Sequence[Sequence[str]] | None = None,
) -> Predictions:
    """A table of texts.

    Args:
        example_ids: Source file and row of each example; must be unique.
        targets: The right text of each example.
        predictions: What a model gave.
        answer_kind: What the task calls such answers.
        groups: What is resampled together; a missing group (and `None` for all) means that the row stands for itself.
        accepted: All right texts of each example, where there may be several; they become the column `answers`.

    Raises:
        DataError: the lengths differ, or an id occurs twice.

    Example:
        >>> said = text_predictions(example_ids=["a:1"], targets=["one two"], predictions=["one to"])
        >>> said.table["prediction"].to_pylist()
        ['one to']
    """
    if not len(example_ids) == len(targets) == len(predictions):
        raise DataError(
            f"{len(example_ids)} examples have {len(targets)} targets and {len(predictions)} predictions.",
            remedy="pass one target and one prediction per example",
        )
    refuse_repeated_ids(example_ids)
    columns = {"target": pa.array(targets, pa.string()), "prediction": pa.array(predictions, pa.string())}
    if accepted is not None:
        columns[ANSWERS] = pa.array(accepted, pa.list_(pa.string()))
    return Predictions(table=with_ids(example_ids, columns, groups=groups), answer_kind=answer_kind)
