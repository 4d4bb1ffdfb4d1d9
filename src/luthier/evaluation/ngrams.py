"""Models of tokens that count how often they follow each other: what a network has to beat at telling the next token.

Source: Witten & Bell 1991, "The zero-frequency problem"; Chen & Goodman 1998 (as the recursion that interpolates lower orders).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

BEGIN = -1  # stands before the first token


@dataclass(frozen=True, kw_only=True)
class NgramModel:
    """Counts of tokens behind their contexts.

    Attributes:
        order: Tokens of the longest context, and one: 1 looks at no context.
        vocabulary: How many different tokens there could be.
        follows: Context -> how often each token stood behind it.
        totals: Context -> how many tokens stood behind it.
    """

    order: int
    vocabulary: int
    follows: dict[tuple[int, ...], Counter[int]]
    totals: dict[tuple[int, ...], int]

    def prob(self, token: int, context: tuple[int, ...]) -> float:
        """The probability of a token behind a context: what was counted there, and the more of the shorter context's the more
        kinds of tokens stood there; behind nothing every token has been seen once more than it was."""
        found = self.follows.get(context)
        if not context:
            counted = found[token] if found else 0
            return (counted + 1) / (self.totals.get(context, 0) + self.vocabulary)
        shorter = self.prob(token, context[1:])
        if found is None:
            return shorter
        return (found[token] + len(found) * shorter) / (self.totals[context] + len(found))

    def loss(self, tokens: Sequence[int]) -> float:
        """Minus the logarithms of the probabilities of some tokens, each behind those before it, summed (nats)."""
        total, context = 0.0, (BEGIN,) * (self.order - 1)
        for token in tokens:
            total -= math.log(self.prob(token, context))
            context = (*context, token)[1:] if self.order > 1 else ()
        return total


def fit_ngrams(texts: Sequence[Sequence[int]], *, order: int, vocabulary: int) -> NgramModel:
    """Count the tokens of some texts.

    Example:
        >>> model = fit_ngrams([[1, 2, 1, 2], [1, 3]], order=2, vocabulary=4)
        >>> model.prob(2, (1,)) > model.prob(3, (1,)) > model.prob(0, (1,)) > 0
        True
        >>> round(sum(model.prob(token, (1,)) for token in range(4)), 9)
        1.0
    """
    follows: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for tokens in texts:
        context = (BEGIN,) * (order - 1)
        for token in tokens:
            for length in range(order):
                follows[context[len(context) - length :]][token] += 1
            context = (*context, token)[1:] if order > 1 else ()
    totals = {context: sum(counts.values()) for context, counts in follows.items()}
    return NgramModel(order=order, vocabulary=vocabulary, follows=dict(follows), totals=totals)
