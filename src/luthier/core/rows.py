"""Rows of numbers that may be larger than memory: one for each example, filled in any order, read in slices.

What a model says about N rows is N x C numbers. While they are few they are a plain array; above `SPILL_BYTES` they are mapped
from a file without a name, whose pages need not stay in memory, and which goes with the last array that shows it. Either way it
is an array with the same numbers in it. Who goes over all rows and must not need memory for all of them uses `slices_of`.
"""

import mmap
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from luthier.core.machine import cache_folder
from luthier.core.storage import LEFTOVER, cannot_write, reserve_space
from luthier.errors import ResourceError

SPILL_BYTES = 64 << 20
SLICE_BYTES = 8 << 20


class _Spilled(mmap.mmap):
    """Memory of a file made here: its pages may be let go, because the file keeps what they hold."""


class RowBuffer:
    """One row of numbers for each example, all zeros at first; how wide rows are follows from the first ones put in.

    Args:
        num_rows: How many rows.
        spill_bytes: Above this size they are in a file of the cache folder.
        fill: Where rows may be of different width, what shorter ones are filled up with.

    Example:
        >>> buffer = RowBuffer(3)
        >>> buffer.put(np.array([2, 0]), np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32))
        >>> buffer.array.tolist()
        [[3.0, 4.0], [0.0, 0.0], [1.0, 2.0]]
        >>> buffer = RowBuffer(2, fill=-1)
        >>> buffer.put(np.array([0]), np.array([[1.0]]))
        >>> buffer.put(np.array([1]), np.array([[2.0, 3.0]]))
        >>> buffer.array.tolist()
        [[1.0, -1.0], [2.0, 3.0]]
    """

    def __init__(self, num_rows: int, *, spill_bytes: int = SPILL_BYTES, fill: float | None = None) -> None:
        self._num_rows = num_rows
        self._fill = fill
        self._spill_bytes = spill_bytes
        self._since_release = 0
        self.array: Float[np.ndarray, "N ..."] | None = None

    def put(self, places: Int[np.ndarray, " B"] | slice, values: Float[np.ndarray, "B ..."]) -> None:
        """Keep some rows.

        Raises:
            ResourceError: the disk has no room for all rows; names the folder.
        """
        if self.array is None:
            self.array = zero_rows((self._num_rows, *values.shape[1:]), values.dtype, spill_bytes=self._spill_bytes)
        if self._fill is not None and values.shape[1] != self.array.shape[1]:
            values = self._as_wide(values)
        self.array[places] = values
        self._since_release += values.nbytes
        if self._since_release >= SLICE_BYTES:
            _release(self.array)
            self._since_release = 0

    def _as_wide(self, values: Float[np.ndarray, "B W"]) -> Float[np.ndarray, "B V"]:
        """Rows as wide as all others, which grow if these are wider."""
        assert self.array is not None
        assert self._fill is not None
        width = max(values.shape[1], self.array.shape[1])
        if width > self.array.shape[1]:
            wider = zero_rows((self._num_rows, width), self.array.dtype, spill_bytes=self._spill_bytes)
            for part in slices_of(self.array):
                wider[part, : self.array.shape[1]] = self.array[part]
                wider[part, self.array.shape[1] :] = self._fill
            self.array = wider
        return np.pad(values, ((0, 0), (0, width - values.shape[1])), constant_values=self._fill)


def zero_rows(
    shape: tuple[int, ...], dtype: np.dtype | type = np.float32, *, spill_bytes: int = SPILL_BYTES
) -> Float[np.ndarray, "N ..."]:
    """An array of zeros: in memory, or mapped from a file without a name if it is larger than `spill_bytes`.

    Raises:
        ResourceError: the disk has no room for it; names the folder.
    """
    num_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if num_bytes <= spill_bytes:
        return np.zeros(shape, dtype=dtype)
    return np.ndarray(shape, dtype=dtype, buffer=_spilled(num_bytes, cache_folder()))


def _spilled(num_bytes: int, folder: Path) -> _Spilled:
    path: Path | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".rows.", suffix=LEFTOVER, dir=folder)
        path = Path(name)
        try:
            reserve_space(path, num_bytes)
            return _Spilled(descriptor, num_bytes)
        finally:
            os.close(descriptor)
    except OSError as error:
        problem = cannot_write(folder, error).problem
        remedy = "free some space, or set LUTHIER_CACHE to a folder on another disk"
        raise ResourceError(problem, remedy=remedy) from error
    finally:
        if path is not None:
            path.unlink(missing_ok=True)


def slices_of(rows: Float[np.ndarray, "N ..."]) -> Iterator[slice]:
    """Slices of some `SLICE_BYTES` that cover all rows, in order; memory of each is let go before the next.

    Example:
        >>> list(slices_of(np.zeros((3, 2))))
        [slice(0, 3, None)]
        >>> [part.stop - part.start for part in slices_of(np.zeros((5, 400_000)))]
        [2, 2, 1]
    """
    step = max(1, SLICE_BYTES // max(1, rows.nbytes // max(1, len(rows))))
    for start in range(0, len(rows), step):
        yield slice(start, min(start + step, len(rows)))
        _release(rows)


def by_slices(
    function: Callable[[Float[np.ndarray, "n ..."]], Float[np.ndarray, "n ..."]], rows: Float[np.ndarray, "N ..."]
) -> Float[np.ndarray, "N ..."]:
    """What a function of single rows makes of all of them, without memory for all; few rows are one slice.

    Raises:
        ResourceError: the disk has no room for what it makes; names the folder.

    Example:
        >>> by_slices(lambda few: 2 * few, np.ones((2, 1))).tolist()
        [[2.0], [2.0]]
    """
    if not len(rows):
        return function(rows)
    made = RowBuffer(len(rows))
    for part in slices_of(rows):
        made.put(part, function(rows[part]))
    assert made.array is not None
    return made.array


def finite_rows(rows: Float[np.ndarray, "N C"]) -> Bool[np.ndarray, " N"]:
    """Which rows have neither NaN nor an infinite number in them.

    Example:
        >>> finite_rows(np.array([[1.0, 2.0], [np.nan, 0.0]])).tolist()
        [True, False]
    """
    finite = np.ones(len(rows), dtype=bool)
    for part in slices_of(rows):
        finite[part] = np.isfinite(rows[part]).all(axis=1)
    return finite


def _release(rows: np.ndarray) -> None:
    """Take the pages of a spilled array out of this process; the file has them. Other arrays stay as they are."""
    base: object = rows.base
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, _Spilled) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
