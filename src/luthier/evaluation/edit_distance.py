"""How many pieces must be put in, left out or changed to make one sequence of another (Levenshtein's distance)."""

from collections.abc import Hashable, Sequence

import numpy as np


def edit_distance(one: Sequence[Hashable], other: Sequence[Hashable]) -> int:
    """The distance of two sequences: row by row of the table of Wagner and Fischer, each row at once.

    Source: Wagner & Fischer, The string-to-string correction problem, 1974.

    Example:
        >>> edit_distance("kitten", "sitting"), edit_distance(["one", "two"], ["two"])
        (3, 1)
    """
    if not one or not other:
        return len(one) + len(other)
    codes: dict[Hashable, int] = {}
    first, second = (np.array([codes.setdefault(piece, len(codes)) for piece in pieces]) for pieces in (one, other))
    steps = np.arange(len(second) + 1)
    row = steps
    for number, code in enumerate(first, 1):
        changed = np.minimum(row[:-1] + (second != code), row[1:] + 1)
        # Putting pieces in one after the other: the least of what stands to the left, and a step for each place between.
        row = np.minimum.accumulate(np.concatenate([[number], changed]) - steps) + steps
    return int(row[-1])
