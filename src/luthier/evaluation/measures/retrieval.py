"""How well documents are ranked: each query has a value, and a score is their mean.

Read are the columns `grades` (of the documents ranked, the best first), `ideal` (the best grades there are, falling) and
`num_relevant` (how many documents have a grade above 0). Grades count as they are, as in trec_eval; where all are 1 the values
are those of sentence-transformers. A query that nothing is relevant to counts 0.

Source: Järvelin & Kekäläinen 2002, "Cumulated gain-based evaluation of IR techniques".
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from luthier.evaluation.records import Direction, Predictions

GRADES, IDEAL, NUM_RELEVANT = "grades", "ideal", "num_relevant"
Matrix = Float[np.ndarray, "N R"]


@dataclass(frozen=True, kw_only=True)
class RankingMeasure:
    """The mean over queries of a value of their ranking.

    Attributes:
        of_ranking: (grades of the documents ranked, ideal grades, number of relevant documents) -> value of each query.
    """

    name: str
    of_ranking: Callable[[Matrix, Matrix, Float[np.ndarray, " N"]], Float[np.ndarray, " N"]]
    direction: Direction = "higher"

    def stats(self, predictions: Predictions) -> Float[np.ndarray, "N 2"]:
        """The value of each query, and 1."""
        values = self.of_ranking(*rankings(predictions))
        return np.stack([values, np.ones(len(values))], axis=1)

    def value(self, summed: Float[np.ndarray, "*S 2"]) -> Float[np.ndarray, "*S"]:
        """Their mean."""
        summed = np.asarray(summed)
        return np.asarray(summed[..., 0] / np.maximum(summed[..., 1], 1))


def rankings(predictions: Predictions) -> tuple[Matrix, Matrix, Float[np.ndarray, " N"]]:
    """Grades ranked, ideal grades (both filled up with zeros), and numbers of relevant documents."""
    relevant = np.asarray(predictions.table[NUM_RELEVANT].to_numpy(), dtype=np.float64)
    return padded(predictions.table[GRADES].to_pylist()), padded(predictions.table[IDEAL].to_pylist()), relevant


def padded(rows: list[list[float]]) -> Matrix:
    """Rows of different length as a matrix, filled up with zeros."""
    found = np.zeros((len(rows), max((len(row) for row in rows), default=0)))
    for place, row in enumerate(rows):
        found[place, : len(row)] = row
    return found


def gain(grades: Matrix, most: int) -> Float[np.ndarray, " N"]:
    """Grades of the first places, each divided by the logarithm of its place."""
    grades = grades[:, :most]
    return np.asarray(grades @ (1 / np.log2(np.arange(2, grades.shape[1] + 2))))


def ndcg_at(most: int) -> RankingMeasure:
    """The gain of the first places as a share of the best possible."""

    def of_ranking(grades: Matrix, ideal: Matrix, relevant: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        best = gain(ideal, most)
        return np.asarray(np.divide(gain(grades, most), best, out=np.zeros(len(best)), where=best > 0))

    return RankingMeasure(name=f"ndcg_at_{most}", of_ranking=of_ranking)


def recall_at(most: int) -> RankingMeasure:
    """The share of a query's relevant documents that stand in the first places."""

    def of_ranking(grades: Matrix, ideal: Matrix, relevant: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        found = (grades[:, :most] > 0).sum(axis=1)
        return np.asarray(np.divide(found, relevant, out=np.zeros(len(relevant)), where=relevant > 0))

    return RankingMeasure(name=f"recall_at_{most}", of_ranking=of_ranking)


def mrr_at(most: int) -> RankingMeasure:
    """One divided by the place of the first relevant document; 0 if it does not stand in the first places."""

    def of_ranking(grades: Matrix, ideal: Matrix, relevant: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        hits = grades[:, :most] > 0
        first = hits.argmax(axis=1) if hits.shape[1] else np.zeros(len(hits), dtype=np.int64)
        return np.where(hits.any(axis=1), 1 / (first + 1), 0.0)

    return RankingMeasure(name=f"mrr_at_{most}", of_ranking=of_ranking)


NDCG_AT_10 = ndcg_at(10)
RECALL_AT_10, RECALL_AT_100 = recall_at(10), recall_at(100)
MRR_AT_10 = mrr_at(10)
