"""Rankings: how far down the first relevant document stands."""

import numpy as np

from luthier.evaluation.details.details import Details
from luthier.evaluation.measures.retrieval import rankings
from luthier.evaluation.records import Predictions


def details_of_rankings(predictions: Predictions) -> Details:
    """Every query is counted once, by where its first relevant document stands."""
    grades, _, _ = rankings(predictions)
    hits = grades > 0
    first = np.where(hits.any(axis=1), hits.argmax(axis=1), grades.shape[1])
    counts = {
        "first": int((first == 0).sum()),
        "in_ten": int(((first > 0) & (first < 10)).sum()),
        "later": int(((first >= 10) & (first < grades.shape[1])).sum()),
        "nowhere": int((first == grades.shape[1]).sum()),
    }
    return Details(more={"rankings": counts})
