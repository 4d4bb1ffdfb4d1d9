"""Model inputs of many rows at once: what is needed to make any batch of them, and to know them again.

NumPy only. Tokens are few and kept in memory; images are decoded when a batch asks for them.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Int

Batch = Mapping[str, np.ndarray]
KEY_TYPE = np.dtype("S16")


class Processor(Protocol):
    """Turns raw rows into numbers for one tower."""

    def fingerprint(self) -> str:
        """A hash of everything that influences its output."""


class Inputs(Protocol):
    """Encoded rows.

    Attributes:
        lengths: Tokens of each row (1 for images): what batches are sorted by and memory is estimated from.
        keys: A content hash of each row's input, 16 bytes; equal inputs have equal keys.
    """

    lengths: Int[np.ndarray, " N"]
    keys: np.ndarray

    def batch(self, rows: Int[np.ndarray, " B"]) -> Batch:
        """Padded arrays of some rows, by the names the network takes."""

    def light_batch(self, rows: Int[np.ndarray, " B"]) -> Batch:
        """The same without what only the skipped blocks read; enough for a run from stored activations."""


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
        ids: Ids of all rows, one after the other.
        offsets: Where each row begins; one more at the end.
        pad_id: The id that fills up short rows.
    """

    ids: Int[np.ndarray, " tokens"]
    offsets: Int[np.ndarray, " N1"]
    lengths: Int[np.ndarray, " N"]
    keys: np.ndarray
    pad_id: int

    @classmethod
    def build(cls, ids: Int[np.ndarray, " tokens"], offsets: Int[np.ndarray, " N1"], *, pad_id: int) -> "TokenInputs":
        """Inputs from flat ids and the offset at which each row begins."""
        flat = np.ascontiguousarray(ids, dtype=np.int32)
        keys = [content_key(flat[begin:end].tobytes()) for begin, end in pairwise(offsets)]
        return cls(ids=flat, offsets=offsets, lengths=np.diff(offsets), keys=np.array(keys, dtype=KEY_TYPE), pad_id=pad_id)

    def batch(self, rows: Int[np.ndarray, " B"]) -> Batch:
        """`input_ids` and `attention_mask`, both int64 [B, T], padded on the right to the longest row."""
        lengths = self.lengths[rows]
        mask = np.arange(int(lengths.max()))[None, :] < lengths[:, None]
        ids = np.full(mask.shape, self.pad_id, dtype=np.int64)
        ids[mask] = np.concatenate([self.ids[self.offsets[row] : self.offsets[row + 1]] for row in rows])
        return {"input_ids": ids, "attention_mask": mask.astype(np.int64)}

    def light_batch(self, rows: Int[np.ndarray, " B"]) -> Batch:
        """The same: ids are small, and the masks of the later blocks are made from them."""
        return self.batch(rows)


@dataclass(frozen=True, kw_only=True)
class ImageInputs:
    """Pictures, decoded when asked for.

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
    threads: int = 2

    @classmethod
    def build(cls, paths: Sequence[Path], read: Callable[[Path], np.ndarray], *, shape: tuple[int, int, int]) -> "ImageInputs":
        """Inputs from files; the key of a row is the hash of its file's bytes."""
        keys = np.array([content_key(path.read_bytes()) for path in paths], dtype=KEY_TYPE)
        return cls(paths=paths, read=read, shape=shape, lengths=np.ones(len(paths), dtype=np.int64), keys=keys)

    def batch(self, rows: Int[np.ndarray, " B"]) -> Batch:
        """`pixel_values`, float32 [B, C, H, W]."""
        with ThreadPoolExecutor(self.threads) as pool:
            return {"pixel_values": np.stack(list(pool.map(lambda row: self.read(self.paths[row]), rows)))}

    def light_batch(self, rows: Int[np.ndarray, " B"]) -> Batch:
        """Pixels nobody reads: zeros that take no memory."""
        return {"pixel_values": np.broadcast_to(np.zeros((), dtype=np.float32), (len(rows), *self.shape))}
