"""Documents that look as if they belonged to a query and do not: found by a first ranking, and filtered by how near they come.

Use when: random documents of a batch are too easy to tell apart: the loss is near zero from the start, the ranking not right.
Cost: one ranking of the corpus for the queries of train; then a longer batch: each query brings its negatives along.
Suggested values: `model:1` to `model:4`; `bm25:1` where the pre-trained model ranks badly. What scores more than 95 per cent of
the query's best document is left alone: where judgements have gaps it is often relevant, and never judged.
Source: Xiong et al. 2021, "Approximate nearest neighbor negative contrastive learning" (ANCE); Karpukhin et al. 2020 (BM25's);
Moreira et al. 2024, "NV-Retriever: Improving text embedding models with effective hard-negative mining" (the filter).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from luthier.core.names import nearest_name
from luthier.errors import SpecError
from luthier.evaluation.nearest import best_places
from luthier.tasks.companions import Judged

LOOKED_AT = 100  # of the first ranking
NEAREST = 0.95  # of the score of the best document that belongs to the query
WAYS = ("model", "bm25")
NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Miner:
    """What was asked for.

    Attributes:
        way: Whose ranking: the frozen model's, or BM25's.
        number: Negatives for each query and batch.
    """

    way: str
    number: int


def read_miner(text: str) -> Miner | None:
    """What a setting says: `none`, or a way and a number.

    Raises:
        SpecError: it says something else.

    Example:
        >>> read_miner("bm25:2"), read_miner("none")
        (Miner(way='bm25', number=2), None)
    """
    if text == NONE:
        return None
    way, _, number = text.partition(":")
    if way not in WAYS or not (number or "1").isdigit() or int(number or 1) < 1:
        guess = nearest_name(way, WAYS) or WAYS[0]
        raise SpecError(
            f"--hard-negatives is '{text}'; expected none, model:N or bm25:N, N from 1 on.",
            remedy=f"--hard-negatives {guess}:1",
        )
    return Miner(way=way, number=int(number or 1))


def mined(
    judged: Judged,
    queries: Int[np.ndarray, " Q"],
    corpus: Int[np.ndarray, " C"],
    blocks: Iterable[Float[np.ndarray, "q C"]],
    *,
    number: int,
) -> dict[int, Int[np.ndarray, " n"]]:
    """Query -> up to `number` documents of the first ranking that neither belong to it nor come too near.

    Args:
        judged: Who belongs to whom.
        queries: Units that learn.
        corpus: Units of the documents.
        blocks: Scores of all documents for each query, some queries at a time.

    Example:
        >>> judged = Judged(positives={0: np.array([1])}, twins=np.arange(5))
        >>> scores = np.array([[1.0, 0.99, 0.8, 0.5]])
        >>> mined(judged, np.array([0]), np.arange(1, 5), [scores], number=1)[0].tolist()
        [3]
    """
    place_of = {unit: place for place, unit in enumerate(corpus.tolist())}
    found: dict[int, Int[np.ndarray, " n"]] = {}
    rows = (row for block in blocks for row in block)
    for query, scores in zip(queries.tolist(), rows, strict=True):
        own = judged.positives.get(query, np.empty(0, dtype=np.int64))
        if not len(own):
            continue
        limit = NEAREST * max(float(scores[place_of[unit]]) for unit in own.tolist())
        places = best_places(scores[None, :], LOOKED_AT)[0]
        places = places[(scores[places] < limit) & ~np.isin(judged.twins[corpus[places]], judged.twins[own])]
        given = judged.negatives.get(query, np.empty(0, dtype=np.int64))
        found[query] = np.unique(np.concatenate([given, corpus[places[:number]]]))
    return found
