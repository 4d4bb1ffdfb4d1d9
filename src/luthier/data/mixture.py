"""Several sources mixed by weight: which row is of which source, and how rows are drawn so that sources weigh as asked.

Weights say how training draws, and nothing else: what is scored is scored as it stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from luthier.data.dataset import EXAMPLE_ID

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Sources and their weights.

    Attributes:
        names: Of the sources, as the ids of their rows begin.
        weights: Of each: draws of training are shared out in proportion.
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]

    def source_of(self, table: "pa.Table") -> Int[np.ndarray, " N"]:
        """The place of the source of each row; -1 for rows of other files (a test part that was given, say)."""
        from pyarrow import compute

        ids = table.column(EXAMPLE_ID)
        found = np.full(len(ids), -1, dtype=np.int64)
        for place, name in enumerate(self.names):
            own = compute.or_(compute.starts_with(ids, f"{name}:"), compute.starts_with(ids, f"{name}/"))
            found[np.asarray(own.to_numpy(), dtype=bool)] = place
        return found

    def shares(self, source_of: Int[np.ndarray, " n"]) -> Float[np.ndarray, " k"]:
        """The share of the draws of each of the sources that rows come from (in order of their places, others first).

        Sources share by weight; rows of none of them keep the share that they have.
        """
        present, counts = np.unique(source_of, return_counts=True)
        weights = np.array([0.0 if place < 0 else self.weights[place] for place in present])
        others = counts[present < 0].sum() / len(source_of)
        return np.asarray(np.where(present < 0, others, (1 - others) * weights / max(weights.sum(), 1e-300)))

    def row_weights(self, source_of: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """What each row weighs where all are looked at once: sources by weight, rows 1 on average.

        Example:
            >>> Mixture(names=("a.csv", "b.csv"), weights=(1.0, 1.0)).row_weights(np.array([0, 0, 0, 1])).round(3).tolist()
            [0.667, 0.667, 0.667, 2.0]
        """
        _, inverse, counts = np.unique(source_of, return_inverse=True, return_counts=True)
        return np.asarray((self.shares(source_of) * len(source_of) / counts)[inverse])

    def draw(self, source_of: Int[np.ndarray, " n"], generator: np.random.Generator) -> Int[np.ndarray, " n"]:
        """As many rows as there are, of each source its share; a row comes again only after all others of its source.

        Example:
            >>> mixture = Mixture(names=("a.csv", "b.csv"), weights=(3.0, 1.0))
            >>> drawn = mixture.draw(np.array([0, 0, 1, 1, 1, 1, 1, 1]), np.random.default_rng(0))
            >>> np.bincount(drawn).tolist()[:2], len(drawn)
            ([3, 3], 8)
        """
        wanted = self.shares(source_of) * len(source_of)
        sizes = np.floor(wanted + 1e-9).astype(np.int64)
        sizes[np.argsort(sizes - wanted, kind="stable")[: len(source_of) - int(sizes.sum())]] += 1
        drawn = []
        for place, size in zip(np.unique(source_of), sizes, strict=True):
            rows = np.flatnonzero(source_of == place)
            rounds = [generator.permutation(rows) for _ in range(-(-int(size) // len(rows)))]
            drawn.append(np.concatenate([*rounds, rows[:0]])[:size])
        return np.concatenate(drawn)


@dataclass(frozen=True, kw_only=True)
class MixedRows:
    """Some rows, and the source of each."""

    mixture: Mixture
    source_of: Int[np.ndarray, " n"]

    def draw(self, generator: np.random.Generator) -> Int[np.ndarray, " n"]:
        """Places of the rows of one epoch."""
        return self.mixture.draw(self.source_of, generator)

    @property
    def row_weights(self) -> Float[np.ndarray, " n"]:
        """Of each row, 1 on average."""
        return self.mixture.row_weights(self.source_of)


def named_sources(mixture: Mixture, source_of: Int[np.ndarray, " N"]) -> Sequence[str]:
    """The source of each row by name; empty for rows of none."""
    return [mixture.names[place] if place >= 0 else "" for place in source_of.tolist()]
