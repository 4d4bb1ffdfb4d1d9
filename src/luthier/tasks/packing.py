"""Several texts in one row of a batch, each as if it stood alone: where they stand, and how arrays are brought there and back.

Positions begin anew with each text. transformers sees from that where a text ends, and lets no token look across; nothing else
marks the ends, so a pack must be run without an attention mask. What fills a pack up is a text of its own.

Source: Krell et al. 2021, "Efficient sequence packing without cross-contamination".
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Int

from luthier.tasks.inputs import Batch, Inputs


@dataclass(frozen=True, kw_only=True)
class Packs:
    """Where each text of a batch stands.

    Attributes:
        shape: Packs, and places in each.
        pack: Of each text the number of its pack.
        first: Of each text the place of its first token there.
        lengths: Of each text.
    """

    shape: tuple[int, int]
    pack: Int[np.ndarray, " B"]
    first: Int[np.ndarray, " B"]
    lengths: Int[np.ndarray, " B"]

    @property
    def within(self) -> Int[np.ndarray, " tokens"]:
        """Of each token its place in its text; texts one after the other."""
        ends = np.cumsum(self.lengths)
        return np.asarray(np.arange(int(ends[-1])) - np.repeat(ends - self.lengths, self.lengths))

    @property
    def texts(self) -> Int[np.ndarray, " tokens"]:
        """Of each token the number of its text."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @property
    def places(self) -> tuple[Int[np.ndarray, " tokens"], Int[np.ndarray, " tokens"]]:
        """Of each token its pack and its place there."""
        return self.pack[self.texts], self.first[self.texts] + self.within

    @property
    def positions(self) -> Int[np.ndarray, "P T"]:
        """Of each place how far it is from the beginning of its text."""
        positions = np.tile(np.arange(self.shape[1]), (self.shape[0], 1))
        filled = np.zeros(self.shape[0], dtype=np.int64)
        np.maximum.at(filled, self.pack, self.first + self.lengths)
        positions -= np.where(positions >= filled[:, None], filled[:, None], 0)
        positions[self.places] = self.within
        return positions

    def packed(self, rows: Int[np.ndarray, "B L"], *, fill: int) -> Int[np.ndarray, "P T"]:
        """Numbers of each token of each text, brought to their places."""
        made = np.full(self.shape, fill, dtype=rows.dtype)
        made[self.places] = rows[self.texts, self.within]
        return made


class PackableInputs(Inputs, Protocol):
    """Inputs of which several can share a row of a batch."""

    def packed_batch(self, units: Int[np.ndarray, " B"]) -> tuple[Batch, Packs]:
        """`input_ids` and `position_ids`, int64 [P, T], without an attention mask; and where each unit stands."""


def pack(lengths: Int[np.ndarray, " B"]) -> Packs:
    """Put texts into as few rows as need be, none longer than the longest text: long ones first, each where it first fits.

    Example:
        >>> packs = pack(np.array([2, 5, 3]))
        >>> packs.shape, packs.pack.tolist(), packs.first.tolist()
        ((2, 5), [1, 0, 1], [3, 0, 0])
        >>> packs.positions.tolist()
        [[0, 1, 2, 3, 4], [0, 1, 2, 0, 1]]
    """
    room = int(lengths.max())
    used: list[int] = []
    packs, first = np.zeros(len(lengths), dtype=np.int64), np.zeros(len(lengths), dtype=np.int64)
    for text in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[text])
        place = next((number for number, taken in enumerate(used) if taken + length <= room), len(used))
        if place == len(used):
            used.append(0)
        packs[text], first[text] = place, used[place]
        used[place] += length
    return Packs(shape=(len(used), room), pack=packs, first=first, lengths=np.asarray(lengths, dtype=np.int64))
