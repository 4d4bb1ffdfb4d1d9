"""ROUGE: how many words, pairs of words, or words in the same order a summary shares with a right one; F1, mean over examples.

Of several right summaries the best counts, for each of the three by itself. Words are letters and digits in small letters, not
stemmed: as rouge_score has it, but that letters beyond a to z stay (it drops them, which leaves little of other languages).

Source: Lin 2004, "ROUGE: a package for automatic evaluation of summaries".
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from luthier.evaluation.measures.bleu import word_groups
from luthier.evaluation.records import Direction, Predictions
from luthier.evaluation.references import said_and_references

_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, kw_only=True)
class Rouge:
    """The mean over examples of the best F1 with a reference.

    Attributes:
        shared: (words said, words of a reference) -> (units shared, units said, units wanted).
    """

    name: str
    shared: Callable[[Sequence[str], Sequence[str]], tuple[int, int, int]]
    direction: Direction = "higher"
    silence: float = 0.0

    def stats(self, predictions: Predictions) -> Float[np.ndarray, "N 2"]:
        """The best F1, and one for the count."""
        scores = [self._best(said, references) for said, references in said_and_references(predictions)]
        return np.stack([np.array(scores, dtype=np.float64), np.ones(len(scores))], axis=1)

    def value(self, summed: Float[np.ndarray, "*S 2"]) -> Float[np.ndarray, "*S"]:
        """Summed F1 over the count."""
        return np.asarray(summed[..., 0] / np.maximum(summed[..., 1], 1))

    def _best(self, said: str, references: Sequence[str]) -> float:
        words = plain_words(said)
        return max(_f1(*self.shared(words, plain_words(text))) for text in references)


def plain_words(text: str) -> list[str]:
    """Letters and digits in small letters.

    Example:
        >>> plain_words("Don't panic, Señor_1!")
        ['don', 't', 'panic', 'señor', '1']
    """
    return _WORD.findall(text.lower())


def shared_groups(size: int) -> Callable[[Sequence[str], Sequence[str]], tuple[int, int, int]]:
    """Counts runs of `size` words."""

    def shared(said: Sequence[str], wanted: Sequence[str]) -> tuple[int, int, int]:
        given, right = (
            {group: n for group, n in word_groups(words, size).items() if len(group) == size} for words in (said, wanted)
        )
        both = sum(min(count, right.get(group, 0)) for group, count in given.items())
        return both, max(0, len(said) - size + 1), max(0, len(wanted) - size + 1)

    return shared


def shared_in_order(said: Sequence[str], wanted: Sequence[str]) -> tuple[int, int, int]:
    """Counts the words of the longest common subsequence.

    Example:
        >>> shared_in_order(["a", "b", "c"], ["b", "x", "c", "a"])
        (2, 3, 4)
    """
    if not said or not wanted:
        return 0, len(said), len(wanted)
    codes: dict[str, int] = {}
    one, other = (np.array([codes.setdefault(word, len(codes)) for word in words]) for words in (said, wanted))
    row = np.zeros(len(other) + 1, dtype=np.int64)
    for code in one:
        grown = np.maximum(row[1:], row[:-1] + (other == code))
        row = np.concatenate([[0], np.maximum.accumulate(grown)])
    return int(row[-1]), len(said), len(wanted)


def _f1(shared: int, said: int, wanted: int) -> float:
    return 2 * shared / (said + wanted) if said and wanted else 0.0


ROUGE_1 = Rouge(name="rouge_1", shared=shared_groups(1))
ROUGE_2 = Rouge(name="rouge_2", shared=shared_groups(2))
ROUGE_L = Rouge(name="rouge_l", shared=shared_in_order)
