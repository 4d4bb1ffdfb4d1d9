"""chrF: how many groups of one to six characters generated texts share with the right ones; recall counts twice.

Needs no words, so it serves languages with many forms of a word, or without spaces. Spaces do not count. Of the whole corpus:
counts are summed over the examples first, as sacrebleu's chrF2 does by default. Of several right texts the one that agrees
most counts.

Source: Popović 2015, "chrF: character n-gram F-score for automatic MT evaluation".
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from luthier.evaluation.records import Direction, Predictions
from luthier.evaluation.references import said_and_references

LONGEST = 6
BETA = 2


@dataclass(frozen=True, kw_only=True)
class ChrF:
    """The F-score of the mean precision and the mean recall over the sizes of groups that both sides have."""

    name: str = "chrf"
    direction: Direction = "higher"
    silence: float = 0.0

    def stats(self, predictions: Predictions) -> Float[np.ndarray, "N 18"]:
        """Of each example groups said, groups to be said and groups shared, for each size."""
        counts = [best_counts(said, references) for said, references in said_and_references(predictions)]
        return np.array(counts, dtype=np.float64).reshape(-1, 3 * LONGEST)

    def value(self, summed: Float[np.ndarray, "*S 18"]) -> Float[np.ndarray, "*S"]:
        """From 0 to 1."""
        return chrf_of(summed)


def chrf_of(counts: Float[np.ndarray, "*S 18"]) -> Float[np.ndarray, "*S"]:
    """The score of counts: of a corpus, or of one text."""
    said, wanted, shared = np.moveaxis(np.asarray(counts, dtype=np.float64).reshape(*np.shape(counts)[:-1], LONGEST, 3), -1, 0)
    there = (said > 0) & (wanted > 0)
    sizes = np.maximum(there.sum(axis=-1), 1)
    precision = (np.where(there, shared, 0) / np.maximum(said, 1e-12)).sum(axis=-1) / sizes
    recall = (np.where(there, shared, 0) / np.maximum(wanted, 1e-12)).sum(axis=-1) / sizes
    both = BETA**2 * precision + recall
    return np.asarray((1 + BETA**2) * precision * recall / np.where(both > 0, both, 1))


def best_counts(said: str, references: Sequence[str]) -> list[int]:
    """The counts with the reference that agrees most."""
    groups = character_groups(said)
    counted = [_counts(groups, character_groups(text)) for text in references]
    return counted[int(chrf_of(np.array(counted)).argmax())] if len(counted) > 1 else counted[0]


def character_groups(text: str) -> list[Counter[str]]:
    """How often each run of characters occurs, by length, spaces left out.

    Example:
        >>> character_groups("a ab")[0], character_groups("a ab")[2]
        (Counter({'a': 2, 'b': 1}), Counter({'aab': 1}))
    """
    packed = "".join(text.split())
    return [Counter(packed[at : at + size] for at in range(len(packed) - size + 1)) for size in range(1, LONGEST + 1)]


def _counts(said: Sequence[Counter[str]], wanted: Sequence[Counter[str]]) -> list[int]:
    counts: list[int] = []
    for given, right in zip(said, wanted, strict=True):
        shared = sum(min(count, right[group]) for group, count in given.items() if group in right)
        counts += [given.total() if right else 0, right.total(), shared]
    return counts


CHRF = ChrF()
