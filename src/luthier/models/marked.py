"""Texts as token ids that know which characters they stand for: to tell the tokens of a piece. Nothing is added."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from tokenizers import Tokenizer


@dataclass(frozen=True, kw_only=True)
class MarkedRows:
    """Token ids of many texts, end to end.

    Attributes:
        ids: All ids; text `i` is `ids[offsets[i] : offsets[i + 1]]`.
        offsets: Where each text begins, and where the last one ends.
        starts: The first character of each token, counted in its own text.
        ends: The character behind its last one.
    """

    ids: Int[np.ndarray, " tokens"]
    offsets: Int[np.ndarray, " texts_plus_1"]
    starts: Int[np.ndarray, " tokens"]
    ends: Int[np.ndarray, " tokens"]


def encode_marked(tokenizer: Tokenizer, texts: Sequence[str]) -> MarkedRows:
    """Texts cut into tokens as they stand: a special token counts where the text itself writes it."""
    encodings = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    lengths = np.fromiter((len(encoding) for encoding in encodings), np.int64, count=len(encodings))
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    ids, starts, ends = (np.empty(offsets[-1], np.int32) for _ in range(3))
    for number, encoding in enumerate(encodings):
        if not len(encoding):
            continue
        own = slice(offsets[number], offsets[number + 1])
        ids[own] = encoding.ids
        starts[own], ends[own] = np.array(encoding.offsets, dtype=np.int32).T
    return MarkedRows(ids=ids, offsets=offsets, starts=starts, ends=ends)
