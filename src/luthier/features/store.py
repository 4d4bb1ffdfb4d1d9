"""Activations on disk: one row per distinct input, unpadded, memory-mapped, in float32, bfloat16 or int8.

A store is a folder with `data.bin` (the values of all rows, one after the other), `scales.bin` (int8 only), `offsets.npy`,
`keys.npy`, `cost.json` (what the pass has taken) and `store.json`. The folder's name is a hash of all that decides its
content (weights, processor, boundary, precision, the inputs and their order), so a store can be stale only by being absent.
It is filled in a fixed order in batches of fixed shape; filled again on the same machine it is the same to the byte, but for
its cost.
"""

import hashlib
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from luthier.core.process import NO_COST, Cost
from luthier.core.records import from_plain, to_json
from luthier.core.storage import atomic_folder, free_bytes, read_json, reserve_space, write_json

StoreType = Literal["float32", "bfloat16", "int8"]
FORMAT_VERSION = 2
ITEM_BYTES: Mapping[str, int] = {"float32": 4, "bfloat16": 2, "int8": 1}
DISK_RESERVE = 1 << 30


@dataclass(frozen=True, kw_only=True)
class StorePlan:
    """What a store will hold, known before anything is computed.

    Attributes:
        name: `block-4`, `pooled`.
        identity: Everything that decides its content, as JSON types.
        shape: Shape of one value: (D,) for tokens and pooled features, (C, H, W) for maps.
        lengths: How many values each distinct input has (tokens; 1 for maps and pooled features).
        keys: Content keys of the distinct inputs, in the order of the rows.
        dtype: How values are kept.
    """

    name: str
    identity: Mapping[str, Any]
    shape: tuple[int, ...]
    lengths: Int[np.ndarray, " U"]
    keys: np.ndarray
    dtype: StoreType

    @property
    def num_bytes(self) -> int:
        """Size on disk, without the index."""
        values = int(self.lengths.sum())
        return values * (int(np.prod(self.shape)) * ITEM_BYTES[self.dtype] + (4 if self.dtype == "int8" else 0))

    @property
    def boundary(self) -> int | None:
        """The block that the values enter; None for pooled features, for which the whole network must run."""
        found: int | None = self.identity["boundary"]
        return found

    def digest(self) -> str:
        """The name of its folder."""
        digest = hashlib.sha256(to_json({**self.identity, "format": FORMAT_VERSION, "dtype": self.dtype}).encode())
        digest.update(np.ascontiguousarray(self.keys).tobytes())
        digest.update(np.ascontiguousarray(self.lengths, dtype=np.int64).tobytes())
        return f"{self.name}-{digest.hexdigest()[:20]}"


class StoreWriter:
    """Fills the files of one store inside a temporary folder."""

    def __init__(self, plan: StorePlan, folder: Path) -> None:
        self.plan = plan
        self.folder = folder
        self.offsets = np.concatenate([[0], np.cumsum(plan.lengths)]).astype(np.int64)
        total = int(self.offsets[-1])
        kind = {"float32": np.float32, "bfloat16": np.int16, "int8": np.int8}[plan.dtype]
        reserve_space(folder / "data.bin", total * int(np.prod(plan.shape)) * ITEM_BYTES[plan.dtype])
        self._data = np.memmap(folder / "data.bin", dtype=kind, mode="r+", shape=(total, *plan.shape))
        self._scales = None
        if plan.dtype == "int8":
            reserve_space(folder / "scales.bin", 4 * total)
            self._scales = np.memmap(folder / "scales.bin", dtype=np.float32, mode="r+", shape=(total,))

    def write(self, rows: Int[np.ndarray, " B"], values: Tensor) -> None:
        """Keep the values of some rows: [B, T, *shape] padded on the right, or [B, *shape]."""
        lengths = self.plan.lengths[rows]
        positions = spread(self.offsets[rows], lengths)
        if values.ndim == len(self.plan.shape) + 2:
            mask = torch.arange(values.shape[1])[None, :] < torch.from_numpy(lengths)[:, None]
            values = values[mask.to(values.device)]
        flat = values.detach().to("cpu")
        if self.plan.dtype == "float32":
            self._data[positions] = flat.float().numpy()
        elif self.plan.dtype == "bfloat16":
            self._data[positions] = flat.to(torch.bfloat16).view(torch.int16).numpy()
        else:
            assert self._scales is not None
            scales = flat.float().flatten(1).abs().amax(1).clamp(min=1e-12) / 127
            self._scales[positions] = scales.numpy()
            spread_scales = scales.reshape(-1, *[1] * len(self.plan.shape))
            self._data[positions] = torch.round(flat.float() / spread_scales).to(torch.int8).numpy()

    def close(self, cost: Cost) -> None:
        """Write what the pass has cost so far, and the index last."""
        write_json(self.folder / "cost.json", cost)
        self._data.flush()
        del self._data
        if self._scales is not None:
            self._scales.flush()
            self._scales = None
        np.save(self.folder / "offsets.npy", self.offsets, allow_pickle=False)
        np.save(self.folder / "keys.npy", self.plan.keys, allow_pickle=False)
        header = {
            "format_version": FORMAT_VERSION,
            "shape": self.plan.shape,
            "dtype": self.plan.dtype,
            "identity": self.plan.identity,
        }
        write_json(self.folder / "store.json", header)


class ActivationStore:
    """A filled store, opened for reading.

    Attributes:
        lengths: How many values each row has.
        cost: Of the pass that filled it.
    """

    def __init__(self, folder: Path) -> None:
        header = read_json(folder / "store.json")
        self.cost = from_plain(Cost, read_json(folder / "cost.json"))
        self.folder = folder
        self.dtype: StoreType = header["dtype"]
        self.shape = tuple(header["shape"])
        self._boundary: int | None = header["identity"].get("boundary")
        self.offsets = np.load(folder / "offsets.npy", allow_pickle=False)
        self.keys = np.load(folder / "keys.npy", allow_pickle=False)
        self.lengths = np.diff(self.offsets)
        self._row_of_key = {key: row for row, key in enumerate(self.keys.tolist())}
        total = int(self.offsets[-1])
        kind = {"float32": np.float32, "bfloat16": np.int16, "int8": np.int8}[self.dtype]
        # Copy-on-write, so that torch may have it writable; nothing is ever written back.
        data = np.memmap(folder / "data.bin", dtype=kind, mode="c", shape=(total, *self.shape))
        self._data = torch.from_numpy(data)
        if self.dtype == "bfloat16":
            self._data = self._data.view(torch.bfloat16)
        self._scales = None
        if self.dtype == "int8":
            self._scales = torch.from_numpy(np.memmap(folder / "scales.bin", dtype=np.float32, mode="c", shape=(total,)))

    @property
    def num_bytes(self) -> int:
        """Size of the mapped values."""
        scales = 0 if self._scales is None else self._scales.nbytes
        return self._data.nbytes + scales

    @property
    def is_pooled(self) -> bool:
        """Whether it holds one vector for each input, and not what enters or leaves a block."""
        return self._boundary is None

    def rows_of(self, keys: Sequence[bytes] | np.ndarray) -> Int[np.ndarray, " N"]:
        """The row of each key; equal inputs share a row."""
        return np.array([self._row_of_key[key] for key in np.asarray(keys).tolist()], dtype=np.int64)

    def read(self, rows: Int[np.ndarray, " B"], *, padded: bool) -> Tensor:
        """Values of some rows.

        Args:
            padded: For tokens: [B, T, D] with zeros after the end of each row. Else [B, *shape], one value per row.
        """
        lengths = self.lengths[rows]
        values = self._take(spread(self.offsets[rows], lengths))
        if not padded:
            return values
        mask = torch.from_numpy(np.arange(int(lengths.max()))[None, :] < lengths[:, None])
        filled = values.new_zeros((*mask.shape, *self.shape))
        filled[mask] = values
        return filled

    def _take(self, positions: Int[np.ndarray, " n"]) -> Tensor:
        index = torch.from_numpy(positions)
        values = self._data[index]
        if self._scales is None:
            return values
        return values.float() * self._scales[index].reshape(-1, *[1] * len(self.shape))


def spread(starts: Int[np.ndarray, " B"], lengths: Int[np.ndarray, " B"]) -> Int[np.ndarray, " n"]:
    """All positions of several runs, one run after the other.

    Example:
        >>> spread(np.array([0, 10]), np.array([2, 3])).tolist()
        [0, 1, 10, 11, 12]
    """
    ends = np.cumsum(lengths)
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(int(ends[-1]) if len(ends) else 0)


def cost_of(stores: Iterable[ActivationStore]) -> Cost:
    """What filling some stores has cost; stores of one pass, which have its one cost, count once."""
    return sum({store.cost for store in stores}, NO_COST)


def open_store(plan: StorePlan, root: Path) -> ActivationStore | None:
    """The store of a plan, if it has been filled before."""
    folder = root / plan.digest()
    if not (folder / "store.json").is_file():
        return None
    folder.touch()
    return ActivationStore(folder)


def refusal(plans: Sequence[StorePlan], root: Path) -> str:
    """Why these stores should not be filled; empty if nothing speaks against it."""
    needed, free = sum(plan.num_bytes for plan in plans), free_bytes(root)
    if needed + DISK_RESERVE > free:
        from luthier.core.storage import format_bytes

        return f"the stored activations need {format_bytes(needed)}, and {format_bytes(free)} are free at {root}"
    return ""


def new_store(plan: StorePlan, root: Path) -> Any:
    """A temporary folder that becomes the plan's store when the block ends well."""
    return atomic_folder(root / plan.digest())


def trim(root: Path, *, limit_bytes: int) -> list[str]:
    """Remove the stores not used for longest until the rest is below a limit; returns their names."""
    if not root.is_dir():
        return []
    folders = sorted(
        (folder for folder in root.iterdir() if folder.is_dir()), key=lambda folder: folder.stat().st_mtime, reverse=True
    )
    kept, removed = 0, []
    for folder in folders:
        kept += sum(file.stat().st_size for file in folder.iterdir())
        if kept > limit_bytes:
            shutil.rmtree(folder)
            removed.append(folder.name)
    return removed
