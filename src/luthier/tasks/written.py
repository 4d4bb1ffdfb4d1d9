"""Texts among numbers: what a model has written for a unit travels as the code points of its characters."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from luthier.tasks.inputs import EMPTY


def as_numbers(texts: Sequence[str]) -> Float[np.ndarray, "N G"]:
    """A row of code points for each text, as wide as the longest, filled up with `EMPTY`.

    Example:
        >>> as_numbers(["ab", ""]).tolist()
        [[97.0, 98.0], [-1.0, -1.0]]
    """
    points = [np.frombuffer(text.encode("utf-32-le", errors="replace"), dtype="<u4") for text in texts]
    rows = np.full((len(texts), max([1, *map(len, points)])), EMPTY, dtype=np.float32)
    for row, found in zip(rows, points, strict=True):
        row[: len(found)] = found
    return rows


def as_texts(numbers: Float[np.ndarray, "N G"]) -> list[str]:
    """The texts that `as_numbers` wrote down.

    Example:
        >>> as_texts(as_numbers(["añ 😀", ""]))
        ['añ 😀', '']
    """
    return ["".join(map(chr, row[row >= 0].astype(np.int64).tolist())) for row in np.asarray(numbers)]
