"""BLEU: how many groups of one to four words of the generated texts stand in the right ones; too short texts pay.

Of the whole corpus: matches, groups and lengths are summed over the examples before anything is divided, as sacrebleu does by
default (`tok:13a|smooth:exp|case:mixed`), so that intervals resample exactly what defines the score. The score of one short
text says little. Words are cut as in mteval-v13a: languages without spaces between words need chrF instead.

Source: Papineni et al. 2002, "BLEU"; Post 2018, "A call for clarity in reporting BLEU scores"; Chen & Cherry 2014 (smoothing).
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from luthier.evaluation.records import Direction, Predictions
from luthier.evaluation.references import said_and_references

LONGEST = 4
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_CUTS = (
    (re.compile(r"([{-~\[-` -&(-+:-@/])"), r" \1 "),  # signs, but for full stop, comma, hyphen and apostrophe
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)


def words_of(text: str) -> list[str]:
    """The words and signs of a text, as mteval-v13a cuts it.

    Example:
        >>> words_of("It's 3.5-4 km, isn't it?")
        ["It's", '3.5', '-', '4', 'km', ',', "isn't", 'it', '?']
    """
    text = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for name, sign in _ENTITIES:
        text = text.replace(name, sign)
    text = f" {text} "
    for pattern, spread in _CUTS:
        text = pattern.sub(spread, text)
    return text.split()


def word_groups(words: Sequence[str], longest: int = LONGEST) -> Counter[tuple[str, ...]]:
    """How often each run of one to `longest` words occurs.

    Example:
        >>> word_groups(["a", "b", "a"], 2)[("a",)], len(word_groups(["a", "b", "a"], 2))
        (2, 4)
    """
    return Counter(tuple(words[at : at + size]) for size in range(1, longest + 1) for at in range(len(words) - size + 1))


@dataclass(frozen=True, kw_only=True)
class Bleu:
    """The geometric mean of the four precisions, times what brevity costs."""

    name: str = "bleu"
    direction: Direction = "higher"
    silence: float = 0.0

    def stats(self, predictions: Predictions) -> Float[np.ndarray, "N 10"]:
        """Of each example its words, those of the reference nearest in length, groups found, and groups said, by size."""
        return np.array([_counts(*pair) for pair in said_and_references(predictions)], dtype=np.float64).reshape(-1, 10)

    def value(self, summed: Float[np.ndarray, "*S 10"]) -> Float[np.ndarray, "*S"]:
        """From 0 to 1; a size of groups of which none is right counts as half, a quarter, ... of one."""
        said, wanted, found, groups = (
            summed[..., 0],
            summed[..., 1],
            summed[..., 2 : 2 + LONGEST],
            summed[..., 2 + LONGEST :],
        )
        missing = (found == 0) & (groups > 0)
        halves = 0.5 ** np.cumsum(missing, axis=-1)
        precisions = np.where(missing, halves, found) / np.maximum(groups, 1e-12)
        is_scored = np.asarray(found.any(axis=-1) & (groups > 0).all(axis=-1))
        mean = np.exp(np.log(np.where(is_scored[..., None], precisions, 1)).mean(axis=-1))
        brevity = np.exp(np.minimum(0, 1 - wanted / np.maximum(said, 1e-12)))
        return np.asarray(np.where(is_scored, mean * brevity, 0.0))


def _counts(said: str, references: Sequence[str]) -> list[int]:
    words = words_of(said)
    right = [words_of(text) for text in references]
    allowed: Counter[tuple[str, ...]] = Counter()
    for other in right:
        allowed |= word_groups(other)
    found, groups = [0] * LONGEST, [0] * LONGEST
    for group, count in word_groups(words).items():
        groups[len(group) - 1] += count
        found[len(group) - 1] += min(count, allowed[group])
    nearest = min((abs(len(words) - len(other)), len(other)) for other in right)[1]
    return [len(words), nearest, *found, *groups]


BLEU = Bleu()
