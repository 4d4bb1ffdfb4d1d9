"""Hyperband: at one tenth and at three tenths of its steps, a trial goes on only if it is in the best third so far.

Use when: there are many trials, each long, and early scores say much about late ones.
Cost: ends more than half of the trials, some of them wrongly; trials fall into three brackets in turn, which begin to cut at
one tenth, at three tenths, and never, so that late starters have a chance.
Source: Li et al. 2018, "Hyperband"; asynchronous: Li et al. 2020, "A system for massively parallel hyperparameter tuning".
"""

from collections.abc import Sequence

from luthier.studies.pruners import Curve

FACTOR = 3
RUNGS = (1, 3)  # tenths of the steps; the next, nine, comes too late to save anything
BRACKETS = len(RUNGS) + 1


def is_hopeless(own: Curve, tenth: int, others: Sequence[Curve]) -> bool:
    """Whether it is behind the best third of its bracket's trials at this rung.

    Example:
        >>> others = [Curve(number=3 * n, scores={1: n / 10}) for n in range(5)]
        >>> [is_hopeless(Curve(number=15, scores={1: score}), 1, others) for score in (0.35, 0.25)]
        [False, True]
    """
    bracket = own.number % BRACKETS
    if tenth not in RUNGS[bracket:]:
        return False
    there = [curve.scores[tenth] for curve in others if curve.number % BRACKETS == bracket and tenth in curve.scores]
    competing = sorted([*there, own.scores[tenth]], reverse=True)
    promoted = max(1, len(competing) // FACTOR)
    return own.scores[tenth] < competing[promoted - 1]
