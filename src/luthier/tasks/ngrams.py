"""Language models that need no network: how often tokens stand alone, and after (or between) which others.

Both see the tokens that the network sees, hidden ones hidden, and tell the same tokens.

Source: Kneser & Ney 1995, "Improved backing-off for m-gram language modeling", in the interpolated form of Chen & Goodman 1999.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from luthier.tasks.inputs import Inputs
from luthier.tasks.language_inputs import LanguageInputs, MaskedInputs
from luthier.tasks.protocol import Baseline, Sample, TaskState
from luthier.tasks.word_inputs import IGNORED

NOTHING = -1  # what stands before the first token of a unit, and after its last
DISCOUNT = 0.75
BITS = 21  # of a token's id in the number of a context


@dataclass(frozen=True, kw_only=True)
class Told:
    """Tokens to be told, with what stands around them.

    Attributes:
        tokens: What is to be told.
        near, far: Of each the token that says most about it, and the next: the one before and the one before that; or, where
            both sides are seen, the one before and the one after.
        row: Of each, which of the rows it is from.
    """

    tokens: Int[np.ndarray, " n"]
    near: Int[np.ndarray, " n"]
    far: Int[np.ndarray, " n"]
    row: Int[np.ndarray, " n"]


def told_in(sample: Sample) -> Told:
    """All tokens of some rows that are to be told."""
    inputs = sample.inputs
    assert isinstance(inputs, LanguageInputs)
    assert sample.units is not None
    row = sample.row_of if sample.row_of is not None else np.arange(len(sample.units))
    return told_among(inputs, sample.units, inputs.labels(sample.units), row, both_sides=isinstance(inputs, MaskedInputs))


def told_among(
    inputs: Inputs,
    units: Int[np.ndarray, " U"],
    labels: Int[np.ndarray, "U T"],
    row: Int[np.ndarray, " U"],
    *,
    both_sides: bool = False,
) -> Told:
    """The tokens that labels name, with what stands around them.

    Args:
        inputs: Of tokens: their batches have `input_ids`, filled up on the right.
        labels: Of each place of some units the token that is to be told there, or `IGNORED`.
        row: Of each unit, which row it is of.
        both_sides: Whether a label stands at the token it tells, and not at the one before.
    """
    shown = np.full((len(units), labels.shape[1] + 2), NOTHING, dtype=np.int64)  # one place more on either side
    ids = inputs.batch(units)["input_ids"] if len(units) else np.zeros((0, 0), dtype=np.int64)
    inside = np.arange(ids.shape[1])[None, :] < inputs.lengths[units][:, None]
    shown[:, 1 : 1 + ids.shape[1]] = np.where(inside, ids, NOTHING)
    unit, place = np.nonzero(labels != IGNORED)
    near, far = (place, place + 2) if both_sides else (place + 1, place)
    return Told(tokens=labels[unit, place], near=shown[unit, near], far=shown[unit, far], row=np.asarray(row)[unit])


def unigram_losses(train: Told, others: Told, *, vocabulary: int) -> Float[np.ndarray, " n"]:
    """By how often each token is told in train, one being added to every count."""
    counts = np.bincount(train.tokens, minlength=vocabulary) + 1.0
    return np.asarray(-np.log(counts[others.tokens] / counts.sum()))


def ngram_losses(train: Told, others: Told, *, vocabulary: int) -> Float[np.ndarray, " n"]:
    """From two tokens around it, then one, then none: discounted counts, and for the rest the next shorter context.

    The shorter contexts count in how many different longer ones a token was seen (Kneser and Ney's idea): a token that always
    stands in one place is unlikely in a new one.
    """
    pairs = np.unique(np.stack([_code(train.near), _code(train.tokens)], axis=1), axis=0)
    single = np.bincount(pairs[:, 1] - 1, minlength=vocabulary).astype(np.float64)
    kinds = np.count_nonzero(single)
    spread = (kinds * DISCOUNT / max(single.sum(), 1)) / vocabulary if single.sum() else 1.0 / vocabulary
    chance = np.maximum(single - DISCOUNT, 0)[others.tokens] / max(single.sum(), 1) + spread
    triples = np.unique(np.stack([_wide(train.near, train.far), _code(train.tokens)], axis=1), axis=0)
    lower = _Counts.of(triples[:, 0] >> BITS, triples[:, 1])
    chance = lower.interpolated(_code(others.near), _code(others.tokens), chance)
    upper = _Counts.of(_wide(train.near, train.far), _code(train.tokens))
    return np.asarray(-np.log(upper.interpolated(_wide(others.near, others.far), _code(others.tokens), chance)))


def _code(tokens: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    return np.asarray(tokens, dtype=np.int64) + 1


def _wide(near: Int[np.ndarray, " n"], far: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    return np.asarray((_code(near) << BITS) + _code(far), dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class _Counts:
    """How often tokens were seen in contexts: sorted, to be looked up by halving.

    Attributes:
        contexts: All that were seen, each once, ascending.
        totals, kinds: Of each: tokens seen in it, and how many different ones.
        seen: Place of the context and token of everything seen, as one number, ascending.
        counts: How often.
    """

    contexts: Int[np.ndarray, " c"]
    totals: Int[np.ndarray, " c"]
    kinds: Int[np.ndarray, " c"]
    seen: Int[np.ndarray, " s"]
    counts: Int[np.ndarray, " s"]

    @classmethod
    def of(cls, contexts: Int[np.ndarray, " n"], tokens: Int[np.ndarray, " n"]) -> "_Counts":
        names, places, totals = np.unique(contexts, return_inverse=True, return_counts=True)
        seen, counts = np.unique((places.astype(np.int64) << BITS) + tokens, return_counts=True)
        kinds = np.bincount(seen >> BITS, minlength=len(names))
        return cls(contexts=names, totals=totals, kinds=kinds, seen=seen, counts=counts)

    def interpolated(
        self, contexts: Int[np.ndarray, " n"], tokens: Int[np.ndarray, " n"], shorter: Float[np.ndarray, " n"]
    ) -> Float[np.ndarray, " n"]:
        """Chances in these contexts, given those in shorter ones; where a context is new, the latter."""
        if not len(self.contexts):
            return shorter
        place = np.minimum(np.searchsorted(self.contexts, contexts), len(self.contexts) - 1)
        known = self.contexts[place] == contexts
        wanted = (place.astype(np.int64) << BITS) + tokens
        found = np.minimum(np.searchsorted(self.seen, wanted), len(self.seen) - 1)
        counts = np.where(self.seen[found] == wanted, self.counts[found], 0)
        totals = self.totals[place]
        chance = (np.maximum(counts - DISCOUNT, 0) + DISCOUNT * self.kinds[place] * shorter) / totals
        return np.asarray(np.where(known, chance, shorter))


def summed(losses: Float[np.ndarray, " n"], told: Told, rows: int) -> Float[np.ndarray, "N 2"]:
    """Loss and tokens of each row."""
    sums = [np.bincount(told.row, weights=weights, minlength=rows) for weights in (losses, np.ones(len(losses)))]
    return np.stack(sums, axis=1).astype(np.float32)


def _vocabulary(train: Sample) -> int:
    assert isinstance(train.inputs, LanguageInputs)
    return train.inputs.vocabulary


def _unigram(train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N 2"]:
    known, asked = told_in(train), told_in(others)
    return summed(unigram_losses(known, asked, vocabulary=_vocabulary(train)), asked, len(others))


def _ngram(train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N 2"]:
    known, asked = told_in(train), told_in(others)
    return summed(ngram_losses(known, asked, vocabulary=_vocabulary(train)), asked, len(others))


UNIGRAM = Baseline(
    name="majority",
    needs_features=False,
    fit_predict=_unigram,
    title="Unigram model",
    about="Knows how often each token occurs in training, and nothing of what stands around it.",
)
NGRAM = Baseline(
    name="classic",
    needs_features=False,
    fit_predict=_ngram,
    title="N-gram model",
    about="Counts which tokens follow each other in training (Kneser-Ney, three tokens): no neural network, the same texts.",
)
