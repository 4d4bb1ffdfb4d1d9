"""The order in which rows are trained on: shuffled, in batches of similar length. NumPy only."""

import numpy as np
from jaxtyping import Int

POOL_BATCHES = 64


def epoch_batches(
    lengths: Int[np.ndarray, " N"], *, batch_size: int, generator: np.random.Generator
) -> list[Int[np.ndarray, " B"]]:
    """All rows once, in random order, in batches of similar length.

    The shuffled rows are cut into pools of `POOL_BATCHES` batches; each pool is sorted by length and cut into batches, and
    the batches are shuffled. Padding shrinks to a few per cent while batches stay random.

    Example:
        >>> batches = epoch_batches(np.arange(1, 11), batch_size=4, generator=np.random.default_rng(0))
        >>> sorted(np.concatenate(batches).tolist()), sorted(len(batch) for batch in batches)
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [2, 4, 4])
    """
    order = generator.permutation(len(lengths))
    batches = []
    for start in range(0, len(order), batch_size * POOL_BATCHES):
        pool = order[start : start + batch_size * POOL_BATCHES]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [pool[first : first + batch_size] for first in range(0, len(pool), batch_size)]
    return [batches[place] for place in generator.permutation(len(batches))]
