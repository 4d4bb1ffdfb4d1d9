"""Predictions of language models: what was written beside what is right, and how well the right text was told."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from luthier.evaluation.measures.language import LOSS, TOKENS
from luthier.evaluation.records import Predictions
from luthier.evaluation.text_predictions import text_predictions


def language_predictions(
    *,
    example_ids: Sequence[str],
    targets: Sequence[str],
    predictions: Sequence[str],
    told: Float[np.ndarray, "N 2"],
    answer_kind: str = "text",
    groups: Sequence[str | None] | None = None,
    accepted: Sequence[Sequence[str]] | None = None,
) -> Predictions:
    """A table of texts with the columns `loss` and `tokens`.

    Args:
        example_ids: Source file and row of each example; must be unique.
        targets: The right text of each example.
        predictions: What a model wrote; empty where it was not asked to.
        told: Of each example the loss of its right text, summed over its tokens, and how many these are.
        answer_kind: What the task calls such answers.
        groups: What is resampled together; a missing group (and `None` for all) means that the row stands for itself.
        accepted: All right texts of each example, where there may be several.

    Raises:
        DataError: the lengths differ, or an id occurs twice.

    Example:
        >>> made = language_predictions(example_ids=["a:1"], targets=["yes"], predictions=["no"], told=np.array([[2.0, 4.0]]))
        >>> made.table["loss"].to_pylist(), made.table["tokens"].to_pylist()
        ([2.0], [4.0])
    """
    made = text_predictions(
        example_ids=example_ids,
        targets=targets,
        predictions=predictions,
        answer_kind=answer_kind,
        groups=groups,
        accepted=accepted,
    )
    table = made.table
    for place, name in enumerate((LOSS, TOKENS)):
        table = table.append_column(name, pa.array(told[:, place], pa.float64()))
    return Predictions(table=table, answer_kind=answer_kind)
