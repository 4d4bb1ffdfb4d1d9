"""Predictions of tasks that search: the documents found for each query, beside how relevant they are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from luthier.evaluation.measures.retrieval import GRADES, IDEAL, NUM_RELEVANT
from luthier.evaluation.predictions import refuse_repeated_ids, with_ids
from luthier.evaluation.records import Predictions

MOST_RANKED = 100  # documents that are kept of each ranking
RELEVANCE = "relevance"


@dataclass(frozen=True, kw_only=True)
class Judgements:
    """How relevant what was found is.

    Attributes:
        grades: Of the documents ranked for each query, the best ranked first.
        ideal: The best grades there are for it, falling; as many as are looked at.
        num_relevant: How many documents are relevant to it.
    """

    grades: Sequence[Sequence[float]]
    ideal: Sequence[Sequence[float]]
    num_relevant: Sequence[int]


def ranked_predictions(
    *,
    example_ids: Sequence[str],
    targets: Sequence[str],
    places: Int[np.ndarray, "N R"],
    scores: Float[np.ndarray, "N R"],
    judged: Judgements,
    names: Sequence[str],
    groups: Sequence[str | None] | None = None,
) -> Predictions:
    """A table of rankings.

    Args:
        example_ids: Source file and row of each query; must be unique.
        targets: What is relevant to it, in words.
        places: Of the documents found, the best first.
        scores: Theirs.
        judged: How relevant they are.
        names: Of all documents, by their place.
        groups: What is resampled together; without them each query stands for itself.

    Raises:
        DataError: an id occurs twice.
    """
    refuse_repeated_ids(example_ids)
    text, number = pa.list_(pa.string()), pa.list_(pa.float32())
    columns = {
        "target": pa.array(targets, pa.string()),
        "prediction": pa.array([[names[place] for place in row] for row in places.tolist()], text),
        "scores": pa.array(scores.astype(np.float32).tolist(), number),
        GRADES: pa.array([list(row) for row in judged.grades], number),
        IDEAL: pa.array([list(row) for row in judged.ideal], number),
        NUM_RELEVANT: pa.array(judged.num_relevant, pa.int32()),
    }
    return Predictions(table=with_ids(example_ids, columns, groups=groups), answer_kind=RELEVANCE)
