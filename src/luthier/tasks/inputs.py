"""Model inputs of many rows at once, called units: what is needed to make any batch of them, and to know them again.

NumPy only. Tokens are few and kept in memory; images are decoded when a batch asks for them.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, UInt8

Batch = Mapping[str, np.ndarray]
KEY_TYPE = np.dtype("S16")
EMPTY = -1.0  # fills up the rows of numbers of units that have less to say than others


class Inputs(Protocol):
    """Encoded inputs, called units: one of each row, or several where rows are cut into windows.

    Attributes:
        lengths: Values that the blocks see of each unit (tokens, frames; 1 for images): what batches are
            sorted by and memory is estimated from.
        keys: A content hash of each unit, 16 bytes; equal units have equal keys.
        row_of: The row each unit was made from; those of one row stand together, in the order of the rows.
    """

    @property
    def lengths(self) -> Int[np.ndarray, " U"]:
        """Of each unit."""

    @property
    def keys(self) -> np.ndarray:
        """Of each unit."""

    @property
    def row_of(self) -> Int[np.ndarray, " U"]:
        """Of each unit."""

    def batch(self, units: Int[np.ndarray, " B"]) -> Batch:
        """Padded arrays of some units, by the names the network takes."""

    def light_batch(self, units: Int[np.ndarray, " B"]) -> Batch:
        """The same without what only the skipped blocks read; enough for a run from stored activations."""


@runtime_checkable
class ViewedInputs(Protocol):
    """Inputs that are another way to look at the same rows in each epoch, with targets that follow from the way they look.

    Validation and test are always seen in view 0. What frozen blocks give differs from view to view: it is not stored.

    Attributes:
        views_differ_by: What differs, to follow "because": `other words are hidden in each epoch`.
    """

    views_differ_by: str

    def in_view(self, view: int) -> "ViewedInputs":
        """The same units, looked at in another way; the same number gives the same."""

    def labels(self, units: Int[np.ndarray, " B"]) -> Int[np.ndarray, "B T"]:
        """The targets of some units in this view."""


class AnsweredInputs(Inputs, Protocol):
    """Inputs whose units come with the answer that is to be written, where there is one.

    Attributes:
        answer_lengths: Tokens of the answer of each unit; 0 where there is none.
    """

    @property
    def answer_lengths(self) -> Int[np.ndarray, " U"]:
        """Of each unit."""


def work_lengths(inputs: Inputs) -> Int[np.ndarray, " U"]:
    """Tokens that decide how many units fit into a batch: of the longer of what is read and of the answer beside it.

    Example:
        >>> work_lengths(TokenInputs.build(np.arange(5), np.array([0, 2, 5]), pad_id=0)).tolist()
        [2, 3]
    """
    answers = getattr(inputs, "answer_lengths", None)
    return inputs.lengths if answers is None else np.maximum(inputs.lengths, answers)


def units_of(inputs: Inputs, rows: Int[np.ndarray, " n"]) -> Int[np.ndarray, " u"]:
    """The units of some rows, row by row.

    Example:
        >>> ids, offsets = np.arange(6), np.array([0, 2, 3, 6])
        >>> inputs = TokenInputs.build(ids, offsets, pad_id=0, row_of=np.array([0, 0, 1]))
        >>> units_of(inputs, np.array([1, 0])).tolist()
        [2, 0, 1]
    """
    starts = np.searchsorted(inputs.row_of, rows, side="left")
    counts = np.searchsorted(inputs.row_of, rows, side="right") - starts
    within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.asarray(np.repeat(starts, counts) + within, dtype=np.int64)


def content_key(*parts: bytes) -> bytes:
    """The 16-byte key of an input."""
    import hashlib

    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


@dataclass(frozen=True, kw_only=True)
class TokenInputs:
    """Texts as token ids.

    Attributes:
        ids: Ids of all units, one after the other.
        offsets: Where each unit begins; one more at the end.
        pad_id: The id that fills up short units.
        type_ids: Of each token: 0 in the first text of a pair and 1 in the second; None for single texts.
    """

    ids: Int[np.ndarray, " tokens"]
    offsets: Int[np.ndarray, " U1"]
    lengths: Int[np.ndarray, " U"]
    keys: np.ndarray
    row_of: Int[np.ndarray, " U"]
    pad_id: int
    type_ids: UInt8[np.ndarray, " tokens"] | None = None

    @classmethod
    def build(
        cls,
        ids: Int[np.ndarray, " tokens"],
        offsets: Int[np.ndarray, " U1"],
        *,
        pad_id: int,
        type_ids: UInt8[np.ndarray, " tokens"] | None = None,
        row_of: Int[np.ndarray, " U"] | None = None,
    ) -> "TokenInputs":
        """Inputs from flat ids and the offset at which each unit begins; without `row_of` each unit is a row."""
        flat = np.ascontiguousarray(ids, dtype=np.int32)
        arrays = [flat] if type_ids is None else [flat, np.ascontiguousarray(type_ids)]
        keys = [content_key(*(array[begin:end].tobytes() for array in arrays)) for begin, end in pairwise(offsets)]
        return cls(
            ids=flat,
            offsets=offsets,
            lengths=np.diff(offsets),
            keys=np.array(keys, dtype=KEY_TYPE),
            row_of=np.arange(len(keys)) if row_of is None else row_of,
            pad_id=pad_id,
            type_ids=type_ids,
        )

    def batch(self, units: Int[np.ndarray, " B"]) -> Batch:
        """`input_ids` and `attention_mask`, int64 [B, T], padded on the right to the longest; of pairs `token_type_ids` too."""
        lengths = self.lengths[units]
        mask = np.arange(int(lengths.max()))[None, :] < lengths[:, None]
        places = np.concatenate([np.arange(self.offsets[unit], self.offsets[unit + 1]) for unit in units])
        ids = np.full(mask.shape, self.pad_id, dtype=np.int64)
        ids[mask] = self.ids[places]
        batch = {"input_ids": ids, "attention_mask": mask.astype(np.int64)}
        if self.type_ids is not None:
            types = np.zeros(mask.shape, dtype=np.int64)
            types[mask] = self.type_ids[places]
            batch["token_type_ids"] = types
        return batch

    def light_batch(self, units: Int[np.ndarray, " B"]) -> Batch:
        """The same: ids are small, and the masks of the later blocks are made from them."""
        return self.batch(units)


@dataclass(frozen=True, kw_only=True)
class ImageInputs:
    """Pictures, decoded when asked for; each is a row.

    Attributes:
        paths: One file per row.
        read: File -> float32 pixels [C, H, W].
        shape: (C, H, W).
        threads: How many files are decoded at once.
    """

    paths: Sequence[Path]
    read: Callable[[Path], np.ndarray]
    shape: tuple[int, int, int]
    lengths: Int[np.ndarray, " N"]
    keys: np.ndarray
    row_of: Int[np.ndarray, " N"]
    threads: int = 2

    @classmethod
    def build(cls, paths: Sequence[Path], read: Callable[[Path], np.ndarray], *, shape: tuple[int, int, int]) -> "ImageInputs":
        """Inputs from files; the key of a row is the hash of its file's bytes."""
        keys = np.array([content_key(path.read_bytes()) for path in paths], dtype=KEY_TYPE)
        lengths, rows = np.ones(len(paths), dtype=np.int64), np.arange(len(paths))
        return cls(paths=paths, read=read, shape=shape, lengths=lengths, keys=keys, row_of=rows)

    def batch(self, units: Int[np.ndarray, " B"]) -> Batch:
        """`pixel_values`, float32 [B, C, H, W]."""
        with ThreadPoolExecutor(self.threads) as pool:
            return {"pixel_values": np.stack(list(pool.map(lambda row: self.read(self.paths[row]), units)))}

    def light_batch(self, units: Int[np.ndarray, " B"]) -> Batch:
        """Pixels nobody reads: zeros that take no memory."""
        return {"pixel_values": np.broadcast_to(np.zeros((), dtype=np.float32), (len(units), *self.shape))}
