"""The order in which rows are trained on: shuffled or of every class alike, in batches of similar length. NumPy only."""

import numpy as np
from jaxtyping import Int

POOL_BATCHES = 64


def epoch_batches(
    lengths: Int[np.ndarray, " N"],
    *,
    batch_size: int,
    generator: np.random.Generator,
    balance: Int[np.ndarray, " N"] | None = None,
    drawn: Int[np.ndarray, " N"] | None = None,
) -> list[Int[np.ndarray, " B"]]:
    """All rows once, in random order, in batches of similar length.

    With `balance`, the class of each row, as many rows are drawn, but of every class alike: see `draw_balanced`. With `drawn`
    it is these rows, and not each once.

    The shuffled rows are cut into pools of `POOL_BATCHES` batches; each pool is sorted by length and cut into batches, and
    the batches are shuffled. Padding shrinks to a few per cent while batches stay random.

    Example:
        >>> batches = epoch_batches(np.arange(1, 11), batch_size=4, generator=np.random.default_rng(0))
        >>> sorted(np.concatenate(batches).tolist()), sorted(len(batch) for batch in batches)
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [2, 4, 4])
    """
    if drawn is None:
        drawn = np.arange(len(lengths)) if balance is None else draw_balanced(balance, generator)
    order = generator.permutation(drawn)
    batches = []
    for start in range(0, len(order), batch_size * POOL_BATCHES):
        pool = order[start : start + batch_size * POOL_BATCHES]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [pool[first : first + batch_size] for first in range(0, len(pool), batch_size)]
    return [batches[place] for place in generator.permutation(len(batches))]


def draw_balanced(classes: Int[np.ndarray, " N"], generator: np.random.Generator) -> Int[np.ndarray, " N"]:
    """N rows, as many of every class as of any other (but for one): a row comes again only after all others of its class.

    Example:
        >>> drawn = draw_balanced(np.array([0, 0, 0, 0, 0, 1]), np.random.default_rng(0))
        >>> len(drawn), int((drawn == 5).sum())
        (6, 3)
    """
    present = generator.permutation(np.unique(classes))
    shares = np.full(len(present), len(classes) // len(present))
    shares[: len(classes) % len(present)] += 1
    drawn = []
    for label, share in zip(present, shares, strict=True):
        rows = np.flatnonzero(classes == label)
        rounds = [generator.permutation(rows) for _ in range(-(-int(share) // len(rows)))]
        drawn.append(np.concatenate(rounds)[:share] if rounds else rows[:0])
    return np.concatenate(drawn)
