"""Find the texts of a corpus that are nearest to some queries: exact, by blocks of dot products, in constant memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from luthier.core.progress import Observer, Quiet
from luthier.errors import SpecError
from luthier.evaluation.nearest import best_places
from luthier.neighbours.encoder import load_encoder
from luthier.neighbours.index import Index, open_index

TOP = 10


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A text that was found.

    Attributes:
        rank: 1 for the nearest.
        score: The cosine of its vector and the query's, from -1 to 1.
        id: What the corpus calls it.
        text: In full.
    """

    rank: int
    score: float
    id: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was found for one query, the nearest first."""

    query: str
    hits: Sequence[Hit]


def find(
    model: str | Path,
    corpus: str | Path,
    queries: str | Sequence[str],
    *,
    top: int = TOP,
    text: str | None = None,
    identifier: str | None = None,
    observer: Observer | None = None,
) -> list[Found]:
    """The texts of a corpus that are nearest to each query.

    The corpus is turned into vectors once; they are kept in the cache, and found again while corpus and model stay the same.

    Args:
        model: A run folder, a model folder, or the name of a pre-trained model.
        corpus: A table with a text in each row, or a folder with `corpus.jsonl`.
        queries: One text, or several.
        top: How many texts of the corpus for each.
        text, identifier: The corpus's columns of texts and of ids, where they are not plain to see.
        observer: Is told of the work.

    Raises:
        ModelError: there is no such model, or it does not read texts.
        DataError: the corpus cannot be read, or has no such column.
        SpecError: nothing is asked, or less than one answer is wanted.
    """
    asked = [queries] if isinstance(queries, str) else list(queries)
    if top < 1:
        raise SpecError(f"{top} answers were asked for; at least 1 is needed.", remedy="--top 10")
    if not asked or not all(query.strip() for query in asked):
        raise SpecError("A query is empty.", remedy='luthier find MODEL CORPUS "what is looked for"')
    encoder = load_encoder(model)
    index = open_index(encoder, corpus, text=text, identifier=identifier, observer=observer or Quiet())
    return search_index(index, asked, encoder.encode(asked), top=top)


def search_index(index: Index, queries: Sequence[str], vectors: np.ndarray, *, top: int) -> list[Found]:
    """The best of an index for some vectors: of every piece the best, and of these the best."""
    best: list[list[tuple[float, str, str]]] = [[] for _ in queries]
    for ids, texts, documents in index.pieces():
        scores = vectors @ documents.T
        places = best_places(scores, top)
        for query, row in enumerate(places.tolist()):
            found = best[query] + [(float(scores[query, place]), ids[place], texts[place]) for place in row]
            best[query] = sorted(found, key=lambda item: -item[0])[:top]
    return [
        Found(
            query=query,
            hits=[Hit(rank=rank, score=score, id=name, text=text) for rank, (score, name, text) in enumerate(hits, 1)],
        )
        for query, hits in zip(queries, best, strict=True)
    ]
