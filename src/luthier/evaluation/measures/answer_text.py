"""Answers to questions against the wordings that are accepted, as SQuAD's script scores them.

Both are compared in small letters, without punctuation, without a, an and the, words separated by single spaces; of several
accepted wordings the best counts. No answer is right where none is accepted, and worth nothing otherwise. Letters of Chinese
and Japanese are words of their own, as MLQA's script has it; articles of other languages stay, as in SQuAD's own script.

Source: Rajpurkar et al. 2018, "Know what you don't know" (the script of SQuAD 2); Lewis et al. 2020, "MLQA".
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from luthier.evaluation.records import Direction, Predictions

ANSWERS = "answers"  # the column of accepted wordings, a list; empty where there is no answer
_PUNCTUATION = frozenset(string.punctuation)
_WIDE_PUNCTUATION = frozenset("，。、；：？！「」『』（）《》〈〉【】～")
_ARTICLES = re.compile(r"\b(a|an|the)\b", re.UNICODE)
_IDEOGRAPH = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])")


@dataclass(frozen=True, kw_only=True)
class AnswerMeasure:
    """The mean over questions of how well the answer agrees with the best of the accepted wordings.

    Attributes:
        agreement: (words of the answer, words of an accepted one) -> 0 to 1.
    """

    name: str
    agreement: Callable[[Sequence[str], Sequence[str]], float]
    direction: Direction = "higher"

    def stats(self, predictions: Predictions) -> Float[np.ndarray, "N 2"]:
        """The agreement, and one for the count."""
        said = predictions.table["prediction"].to_pylist()
        accepted = predictions.table[ANSWERS].to_pylist()
        scores = [best_agreement(self.agreement, *pair) for pair in zip(said, accepted, strict=True)]
        return np.stack([np.array(scores, dtype=np.float64), np.ones(len(scores))], axis=1)

    def value(self, summed: Float[np.ndarray, "*S 2"]) -> Float[np.ndarray, "*S"]:
        """Summed agreement over the count."""
        return np.asarray(summed[..., 0] / np.maximum(summed[..., 1], 1))


def best_agreement(
    agreement: Callable[[Sequence[str], Sequence[str]], float], answer: str | None, accepted: Sequence[str]
) -> float:
    """With the wording that agrees most; accepted wordings without a word in them do not count beside others.

    Example:
        >>> best_agreement(token_f1, "the red house", ["A house", "red"]), best_agreement(same_words, "", [])
        (0.6666666666666666, 1.0)
    """
    words = answer_words(answer or "")
    wordings = [found for wording in accepted if (found := answer_words(wording))] or [[]]
    return max(agreement(words, wording) for wording in wordings)


def answer_words(text: str) -> list[str]:
    """A text as it is compared.

    Example:
        >>> answer_words("The  U.S. dollar!"), answer_words("北京 2008")
        (['us', 'dollar'], ['北', '京', '2008'])
    """
    lowered = _IDEOGRAPH.sub(r" \1 ", text.lower())
    kept = "".join(" " if sign in _WIDE_PUNCTUATION else sign for sign in lowered if sign not in _PUNCTUATION)
    return _ARTICLES.sub(" ", kept).split()


def same_words(answer: Sequence[str], accepted: Sequence[str]) -> float:
    """1 where both are the same."""
    return float(list(answer) == list(accepted))


def token_f1(answer: Sequence[str], accepted: Sequence[str]) -> float:
    """Harmonic mean of precision and recall of the words, repeats counted; without words on one side 1 if on both."""
    if not answer or not accepted:
        return float(not answer and not accepted)
    common = sum((Counter(answer) & Counter(accepted)).values())
    return 2 * common / (len(answer) + len(accepted))


EXACT_MATCH = AnswerMeasure(name="exact_match", agreement=same_words)
ANSWER_F1 = AnswerMeasure(name="answer_f1", agreement=token_f1)
