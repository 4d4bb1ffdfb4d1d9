"""Independent random generators from one seed, by purpose, so that adding a draw in one place moves no other."""

import hashlib

import numpy as np


def seed_for(seed: int, purpose: str) -> int:
    """A 63-bit seed for one purpose.

    Example:
        >>> seed_for(0, "split") != seed_for(0, "shuffle")
        True
    """
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator_for(seed: int, purpose: str) -> np.random.Generator:
    """A NumPy generator of its own for one purpose."""
    return np.random.default_rng(seed_for(seed, purpose))
