"""The best of many scores, exactly: by blocks, so that memory does not grow with the number of queries. NumPy only."""

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Float, Int

BLOCK_VALUES = 1 << 24  # scores in memory at a time


def best_places(scores: Float[np.ndarray, "Q C"], most: int) -> Int[np.ndarray, "Q R"]:
    """The places of the highest scores of each row, the best first; of equal scores the first place.

    Example:
        >>> best_places(np.array([[0.1, 0.9, 0.9, 0.3]]), 3).tolist()
        [[1, 2, 3]]
    """
    number = scores.shape[1]
    most = min(most, number)
    if most < number:
        lowest = np.partition(scores, number - most, axis=1)[:, number - most, None]
        above = (scores > lowest).sum(axis=1)
        found = np.empty((len(scores), most), dtype=np.int64)
        for row, count in enumerate(above.tolist()):
            higher = np.flatnonzero(scores[row] > lowest[row])
            equal = np.flatnonzero(scores[row] == lowest[row])[: most - count]
            found[row] = np.sort(np.concatenate([higher, equal]))
    else:
        found = np.broadcast_to(np.arange(number), scores.shape).copy()
    order = np.argsort(-np.take_along_axis(scores, found, axis=1), axis=1, kind="stable")
    return np.asarray(np.take_along_axis(found, order, axis=1))


def ranked(blocks: Iterable[Float[np.ndarray, "q C"]], most: int) -> Float[np.ndarray, "Q 2R"]:
    """The places of the best of each row, and then their scores.

    Example:
        >>> ranked([np.array([[0.5, 0.75]])], 2).tolist()
        [[1.0, 0.0, 0.75, 0.5]]
    """
    found = []
    for scores in blocks:
        places = best_places(scores, most)
        found.append(np.concatenate([places, np.take_along_axis(scores, places, axis=1)], axis=1).astype(np.float32))
    return np.concatenate(found)


def products(queries: Float[np.ndarray, "Q D"], documents: Float[np.ndarray, "C D"]) -> Iterator[Float[np.ndarray, "q C"]]:
    """Dot products of some queries at a time with all documents."""
    step = max(1, BLOCK_VALUES // max(1, len(documents)))
    for start in range(0, len(queries), step):
        yield queries[start : start + step] @ documents.T


def unit_vectors(vectors: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N D"]:
    """Vectors scaled to length one; zeros stay zeros.

    Example:
        >>> unit_vectors(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[0.6, 0.8], [0.0, 0.0]]
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12))
