"""Rows of numbers that may be larger than memory: the same numbers wherever they are, and nothing left behind."""

import mmap
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from luthier.core import rows as rows_module
from luthier.core.rows import RowBuffer, by_slices, finite_rows, slices_of, zero_rows
from luthier.errors import ResourceError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "SLICE_BYTES", 4096)


def is_spilled(array: np.ndarray) -> bool:
    base = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, mmap.mmap)


@contextmanager
def no_larger_file_than(num_bytes: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_slices")
@pytest.mark.parametrize("spill_bytes", [0, 1 << 30])
def test_rows_put_in_any_order_are_the_same_in_memory_and_in_a_file(cache: Path, spill_bytes: int) -> None:
    generator = np.random.default_rng(0)
    expected = generator.normal(size=(5000, 7)).astype(np.float32)
    buffer = RowBuffer(len(expected), spill_bytes=spill_bytes)
    for places in np.array_split(generator.permutation(len(expected)), 40):
        buffer.put(places, expected[places])
    assert buffer.array is not None
    assert is_spilled(buffer.array) == (spill_bytes == 0)
    np.testing.assert_array_equal(buffer.array, expected)


def test_rows_that_nobody_put_are_zeros(cache: Path) -> None:
    buffer = RowBuffer(3, spill_bytes=0)
    buffer.put(np.array([1]), np.ones((1, 2), dtype=np.float32))
    assert buffer.array is not None
    assert buffer.array.tolist() == [[0, 0], [1, 1], [0, 0]]


def test_few_rows_stay_in_memory_and_make_no_folder(cache: Path) -> None:
    assert not is_spilled(zero_rows((100, 10)))
    assert not cache.exists()


def test_the_file_of_many_rows_has_no_name(cache: Path) -> None:
    array = zero_rows((100, 10), spill_bytes=0)
    assert is_spilled(array)
    assert list(cache.iterdir()) == []


@pytest.mark.usefixtures("small_slices")
def test_slices_cover_all_rows_and_leave_a_spilled_array_as_it_is(cache: Path) -> None:
    array = zero_rows((5000, 3), spill_bytes=0)
    for part in slices_of(array):
        array[part] = np.arange(5000)[part, None]
    assert array[:, 1].tolist() == list(range(5000))


def test_memory_that_is_not_ours_to_let_go_of_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Pages of a private mapping exist nowhere else: letting go of them would undo what was written."""
    monkeypatch.setattr(rows_module, "SLICE_BYTES", 4096)
    (tmp_path / "file").write_bytes(bytes(40_000))
    array = np.memmap(tmp_path / "file", dtype=np.float32, mode="c").reshape(-1, 10)
    for part in slices_of(array):
        array[part] = 1
    assert (array == 1).all()


@pytest.mark.usefixtures("small_slices")
def test_a_function_of_single_rows_makes_the_same_in_slices(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).normal(size=(3000, 5)).astype(np.float32)
    seen: list[int] = []

    def halved(few: np.ndarray) -> np.ndarray:
        seen.append(len(few))
        return few[:, :2] / 2

    np.testing.assert_array_equal(by_slices(halved, rows), rows[:, :2] / 2)
    assert sum(seen) == 3000
    assert max(seen) * rows.itemsize * 5 <= 4096


def test_no_rows_at_all_are_one_empty_slice_of_work() -> None:
    assert by_slices(lambda few: few[:, :1], np.zeros((0, 4))).shape == (0, 1)
    assert list(slices_of(np.zeros((0, 4)))) == []


@pytest.mark.usefixtures("small_slices")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_rows_with_a_number_that_is_none_are_found_in_every_slice(bad: float) -> None:
    rows = np.zeros((3000, 5), dtype=np.float32)
    rows[[0, 2999], [4, 0]] = bad
    assert np.flatnonzero(~finite_rows(rows)).tolist() == [0, 2999]


def test_a_disk_without_room_is_told_before_anything_is_written(cache: Path) -> None:
    with no_larger_file_than(1 << 20), pytest.raises(ResourceError) as raised:
        zero_rows((1 << 20, 1), spill_bytes=0)
    assert str(cache) in raised.value.problem
    assert "free there" in raised.value.problem
    assert "LUTHIER_CACHE" in str(raised.value.remedy)
    assert list(cache.iterdir()) == []


def test_a_cache_folder_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ResourceError) as raised:
        zero_rows((10, 10), spill_bytes=0)
    assert str(tmp_path / "file") in raised.value.problem
    assert "LUTHIER_CACHE" in str(raised.value.remedy)
