"""The most probable tags of a sentence among those that fit together: an `I-` goes on with an entity of its type, or is not.

Each word's tag is judged by itself; without this rule some answers begin with an `I-`, mostly a type that changes inside an
entity. Nothing is learnt, and nothing is looked at but the probabilities (Viterbi's algorithm).

Source: Forney, The Viterbi algorithm, 1973; on tags of entities Collobert et al., Natural language processing (almost) from
scratch, 2011.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int

from luthier.data.words import OUTSIDE

NEVER = -1e9


@lru_cache(maxsize=8)
def fitting(labels: tuple[str, ...]) -> tuple[Bool[np.ndarray, "C C"], Bool[np.ndarray, " C"]]:
    """Which tag may follow which (row, then column), and which may begin a sentence, of IOB2 tags.

    Example:
        >>> follows, begins = fitting(("O", "B-A", "I-A"))
        >>> follows[:, 2].tolist(), begins.tolist()
        ([False, True, True], [True, True, False])
    """
    goes_on = np.array([tag[:1] == "I" for tag in labels])
    kinds = np.array([tag[2:] for tag in labels])
    inside = np.array([tag != OUTSIDE for tag in labels])
    return ~goes_on[None, :] | (inside[:, None] & (kinds[:, None] == kinds[None, :])), ~goes_on


def best_paths(
    scores: Float[np.ndarray, "B W C"],
    counts: Int[np.ndarray, " B"],
    *,
    labels: Sequence[str],
    begins_row: Bool[np.ndarray, " B"],
) -> Int[np.ndarray, "B W"]:
    """The best tags of each sentence that fit together; what stands behind its last word means nothing.

    Args:
        scores: Logarithms of probabilities; 0 behind the last word.
        counts: Words of each sentence.
        labels: Of the columns of `scores`.
        begins_row: Whether a sentence is seen from its first word on; a later window may begin inside of an entity.
    """
    follows, begins = fitting(tuple(labels))
    num_words = scores.shape[1]
    if not num_words:
        return np.zeros(scores.shape[:2], dtype=np.int64)
    cost = np.where(follows, 0.0, NEVER)
    best = scores[:, 0] + np.where(begins_row[:, None] & ~begins[None, :], NEVER, 0.0)
    came_from = np.zeros((num_words, *best.shape), dtype=np.int64)
    for word in range(1, num_words):
        ways = best[:, :, None] + cost[None]
        is_there = (word < counts)[:, None]
        came_from[word] = np.where(is_there, ways.argmax(axis=1), np.arange(best.shape[1])[None])
        best = np.where(is_there, ways.max(axis=1) + scores[:, word], best)
    path = np.zeros((len(scores), num_words), dtype=np.int64)
    path[:, -1] = best.argmax(axis=1)
    for word in range(num_words - 1, 0, -1):
        path[:, word - 1] = came_from[word][np.arange(len(path)), path[:, word]]
    return path
