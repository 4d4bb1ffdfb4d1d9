"""Pairs of texts that are nearly the same, found without comparing all with all.

Use when: texts were edited, re-posted or templated, so that exact keys do not meet. Cost: about 0.05 ms of CPU per short text;
memory 160 bytes per text. Suggested threshold: 0.8 of shared 5-letter shingles (a typo, another order of two words, a word
more in a sentence of twelve). On real short questions 0.7 already pairs different wordings of one question, which a
classifier should see; 0.9 misses a single typo in a sentence.

Source: Broder 1997, "On the resemblance and containment of documents"; banding: Leskovec, Rajaraman and Ullman, "Mining of
Massive Datasets", chapter 3. Bands are sorted instead of hashed into dictionaries, so that everything is an array.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64, UInt64

from luthier.data.keys import mix, normalize_text

THRESHOLD = 0.8
SHINGLE_BYTES = 5
BANDS = 20
# At a similarity of 0.8, 20 bands of 6 miss two pairs in a thousand, and let one pair in two hundred through at 0.25.
BAND_ROWS = 6
# Long texts are compared by their first and last bytes: equal ends are enough to call two articles nearly the same.
MAX_END_BYTES = 1_000
# In a run of equal bands up to this size all pairs are compared; in longer ones each text only with its next neighbours
# and with the first, which keeps the work linear however many copies there are.
MAX_ALL_PAIRS = 8
NEIGHBOURS = 3
_CHUNK_TEXTS = 4_096
_CHUNK_PAIRS = 65_536
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~«»¡¿\u2010-\u2027\u2030-\u205e]+")

Pairs = Int64[np.ndarray, "pairs 2"]


@dataclass(frozen=True, kw_only=True)
class NearPairs:
    """Pairs of places whose texts share at least `threshold` of their shingles.

    Attributes:
        pairs: Two places each, the smaller first; every text that has a near-duplicate occurs, not every pair of a big cluster.
        similarity: The exact Jaccard similarity of their shingle sets.
    """

    pairs: Pairs
    similarity: Float[np.ndarray, " pairs"]


def find_near_pairs(
    texts: Sequence[str], *, threshold: float = THRESHOLD, first: Int64[np.ndarray, " N"] | None = None
) -> NearPairs:
    """Pairs of texts that are nearly the same; each pair is verified, so that none is reported by accident.

    Args:
        texts: Compared after folding case, spaces and punctuation.
        threshold: Jaccard similarity from which two shingle sets are nearly the same.
        first: A rank per text; in long runs of alike texts those of lowest rank are what the others are compared with
            (test before train).
    """
    candidates = _candidates(_band_keys(texts), np.zeros(len(texts), dtype=np.int64) if first is None else first)
    similarity = _verify(texts, candidates)
    near = similarity >= threshold
    return NearPairs(pairs=candidates[near], similarity=similarity[near])


def shingles(texts: Sequence[str]) -> tuple[UInt64[np.ndarray, " shingles"], Int64[np.ndarray, " shingles"]]:
    """All shingles of some texts, without repeats within a text, and the place of the text each is of (ascending).

    A shingle is 5 bytes of the folded text with a space at either end, held exactly in 64 bits: shingles never collide.
    """
    folded = [_fold(text) for text in texts]
    stream = np.frombuffer(b"".join(folded) + bytes(SHINGLE_BYTES), dtype=np.uint8).astype(np.uint64)
    values = np.zeros(len(stream) - SHINGLE_BYTES, dtype=np.uint64)
    for offset in range(SHINGLE_BYTES):
        values |= stream[offset : offset + len(values)] << np.uint64(8 * offset)
    lengths = np.array([len(text) for text in folded], dtype=np.int64)
    places = np.repeat(np.arange(len(texts)), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(values))
    values, places = values[left >= SHINGLE_BYTES], places[left >= SHINGLE_BYTES]
    order = np.lexsort((values, places))
    values, places = values[order], places[order]
    new = np.ones(len(values), dtype=bool)
    new[1:] = (values[1:] != values[:-1]) | (places[1:] != places[:-1])
    return values[new], places[new]


def _fold(text: str) -> bytes:
    words = " ".join(_PUNCTUATION.sub(" ", normalize_text(text)).split())
    folded = f" {words} ".encode("utf-8", "surrogatepass") if words else b""
    if len(folded) <= 2 * MAX_END_BYTES:
        return folded
    return folded[:MAX_END_BYTES] + folded[-MAX_END_BYTES:]


def _band_keys(texts: Sequence[str]) -> UInt64[np.ndarray, "bands N"]:
    """Per band one key of each text: texts with equal keys have equal minima of all hash functions of that band.

    Texts without shingles get 0 in every band.
    """
    keys = np.zeros((BANDS, len(texts)), dtype=np.uint64)
    salts = mix(np.arange(BANDS * BAND_ROWS, dtype=np.uint64))
    for start in range(0, len(texts), _CHUNK_TEXTS):
        values, places = shingles(texts[start : start + _CHUNK_TEXTS])
        if not len(values):
            continue
        hashed = mix(values)
        present, starts = np.unique(places, return_index=True)
        for number, salt in enumerate(salts):
            # One multiplication by an odd number and a shift: enough to make the orders of shingles independent.
            minima = np.minimum.reduceat((hashed ^ salt) * (salt | np.uint64(1)) >> np.uint64(16), starts)
            band = keys[number // BAND_ROWS]
            band[start + present] = mix(band[start + present] ^ minima)
    return keys


def _candidates(keys: UInt64[np.ndarray, "bands N"], rank: Int64[np.ndarray, " N"]) -> Pairs:
    """Pairs that meet in at least one band, each once."""
    size = keys.shape[1]
    found = np.empty(0, dtype=np.int64)
    for band in keys:
        order = np.lexsort((rank, band))
        order = order[band[order] != 0]
        if not len(order):
            continue
        new = np.ones(len(order), dtype=bool)
        new[1:] = band[order][1:] != band[order][:-1]
        pairs = _pairs_in_runs(order, np.flatnonzero(new))
        found = np.union1d(found, pairs[:, 0] * size + pairs[:, 1])
    return np.stack([found // size, found % size], axis=1) if size else np.empty((0, 2), dtype=np.int64)


def _pairs_in_runs(order: Int64[np.ndarray, " n"], starts: Int64[np.ndarray, " runs"]) -> Pairs:
    """Pairs of places within runs of `order`: all in short runs, neighbours and the first in long ones."""
    sizes = np.diff(np.append(starts, len(order)))
    size = np.repeat(sizes, sizes)
    position = np.arange(len(order)) - np.repeat(starts, sizes)
    pairs = []
    for distance in range(1, min(int(sizes.max()), MAX_ALL_PAIRS)):
        reach = (position >= distance) & ((size <= MAX_ALL_PAIRS) | (distance <= NEIGHBOURS))
        later = np.flatnonzero(reach)
        pairs.append(np.stack([order[later - distance], order[later]], axis=1))
    later = np.flatnonzero((size > MAX_ALL_PAIRS) & (position > NEIGHBOURS))
    pairs.append(np.stack([order[later - position[later]], order[later]], axis=1))
    return np.sort(np.concatenate(pairs), axis=1)


def _verify(texts: Sequence[str], pairs: Pairs) -> Float[np.ndarray, " pairs"]:
    """The Jaccard similarity of the shingle sets of each pair."""
    similarity = np.zeros(len(pairs))
    for start in range(0, len(pairs), _CHUNK_PAIRS):
        chunk = pairs[start : start + _CHUNK_PAIRS]
        used, inverse = np.unique(chunk, return_inverse=True)
        values, places = shingles([texts[place] for place in used])
        bounds = np.searchsorted(places, np.arange(len(used) + 1))
        left, right = inverse.reshape(chunk.shape).T
        shared = _shared_counts(values, places, bounds=bounds, left=left, right=right)
        sizes = np.diff(bounds)
        similarity[start : start + len(chunk)] = shared / (sizes[left] + sizes[right] - shared)
    return similarity


def _shared_counts(
    values: UInt64[np.ndarray, " shingles"],
    places: Int64[np.ndarray, " shingles"],
    *,
    bounds: Int64[np.ndarray, " texts_and_one"],
    left: Int64[np.ndarray, " pairs"],
    right: Int64[np.ndarray, " pairs"],
) -> Int64[np.ndarray, " pairs"]:
    """How many shingles two texts share: each shingle of the left one is looked up among those of the right one.

    Shingles get small codes first, so that (text, code) is one sorted array of integers to search in.
    """
    distinct, codes = np.unique(values, return_inverse=True)
    table = places * len(distinct) + codes
    lengths = bounds[left + 1] - bounds[left]
    pair = np.repeat(np.arange(len(left)), lengths)
    offset = np.arange(len(pair)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    wanted = right[pair] * len(distinct) + codes[bounds[left][pair] + offset]
    slot = np.minimum(np.searchsorted(table, wanted), len(table) - 1)
    return np.bincount(pair[table[slot] == wanted], minlength=len(left))
