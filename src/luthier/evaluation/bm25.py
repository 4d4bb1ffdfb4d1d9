"""BM25: documents ranked by the words they share with a query, rare words counting most and long documents less.

Own code, a page of it: the packages for it rank one query at a time in Python, or bring compilers and downloads with them.
Words are letters and digits between anything else, in lower case, without stemming and stop words: right for any language that
puts spaces between words, and good for none in particular.

Source: Robertson & Zaragoza 2009, "The probabilistic relevance framework: BM25 and beyond"; weights of words as in Lucene, so
that they are never negative.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from scipy import sparse

SATURATION = 1.2  # k1: how soon a word that is repeated counts no more
LENGTH = 0.75  # b: how much a long document's words count less
_WORD = re.compile(r"[^\W_]+")
_BLOCK_VALUES = 1 << 24


def words_of(text: str) -> list[str]:
    """The words of a text.

    Example:
        >>> words_of("Re-entry, at Mach 2.5?")
        ['re', 'entry', 'at', 'mach', '2', '5']
    """
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


@dataclass(frozen=True, kw_only=True)
class Bm25:
    """An index of documents.

    Attributes:
        vocabulary: Word -> row of `weights`.
        weights: [words, documents], what each document gets for each of its words.
    """

    vocabulary: dict[str, int]
    weights: "sparse.csr_array"

    @classmethod
    def build(cls, documents: Sequence[str]) -> "Bm25":
        """Index some documents.

        Example:
            >>> index = Bm25.build(["the wing", "the tail of the wing", "the tail"])
            >>> index.scores(["wing", "tail"]).argmax(axis=1).tolist()
            [0, 2]
        """
        from scipy import sparse

        vocabulary: dict[str, int] = {}
        words, places, counts, lengths = [], [], [], []
        for place, text in enumerate(documents):
            found = Counter(words_of(text))
            lengths.append(sum(found.values()))
            for word, count in found.items():
                words.append(vocabulary.setdefault(word, len(vocabulary)))
                places.append(place)
                counts.append(count)
        number, rows = len(documents), np.array(words, dtype=np.int64)
        frequency = np.bincount(rows, minlength=len(vocabulary))
        rarity = np.log(1 + (number - frequency + 0.5) / (frequency + 0.5))
        relative = np.array(lengths, dtype=np.float64) / max(1.0, float(np.mean(lengths))) if number else np.zeros(0)
        columns, times = np.array(places, dtype=np.int64), np.array(counts, dtype=np.float64)
        held_back = SATURATION * (1 - LENGTH + LENGTH * relative[columns])
        values = rarity[rows] * times * (SATURATION + 1) / (times + held_back)
        weights = sparse.csr_array((values, (rows, columns)), shape=(len(vocabulary), number))
        return cls(vocabulary=vocabulary, weights=weights)

    def scores(self, queries: Sequence[str]) -> Float[np.ndarray, "Q C"]:
        """The score of every document for each query; a word that a query repeats counts as often."""
        from scipy import sparse

        rows, columns = [], []
        for place, text in enumerate(queries):
            for word in words_of(text):
                if word in self.vocabulary:
                    rows.append(place)
                    columns.append(self.vocabulary[word])
        asked = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(queries), len(self.vocabulary)))
        return np.asarray((asked @ self.weights).toarray(), dtype=np.float32)

    def blocks(self, queries: Sequence[str]) -> Iterator[Float[np.ndarray, "q C"]]:
        """The same for some queries at a time, so that memory stays small."""
        step = max(1, _BLOCK_VALUES // max(1, self.weights.shape[1]))
        for start in range(0, len(queries), step):
            yield self.scores(queries[start : start + step])
