"""Activations on disk: complete or absent, unpadded, small, and never more than the disk can take."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.core.process import NO_COST
from luthier.core.storage import sha256_of
from luthier.features import store as module
from luthier.features.store import (
    ActivationStore,
    StorePlan,
    StoreType,
    StoreWriter,
    new_store,
    open_store,
    refusal,
    spread,
    trim,
)

LENGTHS = np.array([3, 1, 5, 2])
KINDS: tuple[StoreType, ...] = ("float32", "bfloat16", "int8")


def plan(
    dtype: StoreType = "float32", *, shape: tuple[int, ...] = (4,), lengths: np.ndarray = LENGTHS, name: str = "block-1"
) -> StorePlan:
    keys = np.array([f"key-{row}".encode() for row in range(len(lengths))], dtype="S16")
    return StorePlan(name=name, identity={"weights": "w"}, shape=shape, lengths=lengths, keys=keys, dtype=dtype)


def padded(made: StorePlan, *, seed: int = 0) -> torch.Tensor:
    """Random values [U, T, *shape] with rubbish in the padding."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(made.lengths), int(made.lengths.max()), *made.shape, generator=generator)


def fill(made: StorePlan, root: Path, values: torch.Tensor) -> ActivationStore:
    with new_store(made, root) as folder:
        writer = StoreWriter(made, folder)
        for rows in (np.array([2, 0]), np.array([3, 1])):
            writer.write(rows, values[rows][:, : int(made.lengths[rows].max())])
        writer.close(NO_COST)
    store = open_store(made, root)
    assert store is not None
    return store


def without_padding(values: torch.Tensor, lengths: np.ndarray) -> list[torch.Tensor]:
    return [row[:length] for row, length in zip(values, lengths, strict=True)]


def test_what_comes_out_is_what_went_in_with_zeros_for_padding(tmp_path: Path) -> None:
    values = padded(plan())
    store = fill(plan(), tmp_path, values)
    rows = np.array([1, 2, 2, 0])
    read = store.read(rows, padded=True)
    assert read.shape == (4, 5, 4)
    for place, row in enumerate(rows):
        assert torch.equal(read[place, : LENGTHS[row]], values[row, : LENGTHS[row]])
        assert not read[place, LENGTHS[row] :].any()


def test_maps_and_vectors_have_one_value_per_row(tmp_path: Path) -> None:
    made = plan(shape=(2, 3, 3), lengths=np.ones(4, dtype=np.int64))
    values = torch.randn(4, 2, 3, 3)
    with new_store(made, tmp_path) as folder:
        writer = StoreWriter(made, folder)
        writer.write(np.arange(4), values)
        writer.close(NO_COST)
    store = open_store(made, tmp_path)
    assert store is not None
    assert torch.equal(store.read(np.array([3, 1]), padded=False), values[[3, 1]])


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_as_large_as_planned_and_holds_no_padding(kind: StoreType, tmp_path: Path) -> None:
    made = plan(kind)
    store = fill(made, tmp_path, padded(made))
    size = sum(path.stat().st_size for path in store.folder.glob("*.bin"))
    assert size == made.num_bytes
    values = int(LENGTHS.sum())
    assert size == {"float32": values * 16, "bfloat16": values * 8, "int8": values * (4 + 4)}[kind]


def test_the_next_program_finds_it(tmp_path: Path) -> None:
    values = padded(plan())
    folder = fill(plan(), tmp_path, values).folder
    again = ActivationStore(folder)
    assert again.rows_of(plan().keys[[2, 0]]).tolist() == [2, 0]
    assert torch.equal(again.read(np.arange(4), padded=True)[2], values[2])


def test_nothing_read_is_ever_written_back(tmp_path: Path) -> None:
    store = fill(plan(), tmp_path, padded(plan()))
    before = sha256_of(store.folder / "data.bin")
    store.read(np.arange(4), padded=True).fill_(7)
    store._data.fill_(7)
    del store
    assert sha256_of(next(tmp_path.iterdir()) / "data.bin") == before


def test_an_unfinished_store_is_never_seen(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="in the middle"), new_store(plan(), tmp_path) as folder:
        writer = StoreWriter(plan(), folder)
        writer.write(np.array([0]), torch.zeros(1, 3, 4))
        assert open_store(plan(), tmp_path) is None
        raise RuntimeError("in the middle")
    assert open_store(plan(), tmp_path) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "other",
    [
        plan("bfloat16"),
        plan(lengths=np.array([3, 1, 5, 3])),
        plan(name="block-2"),
        StorePlan(**{**vars(plan()), "identity": {"weights": "v"}}),
        StorePlan(**{**vars(plan()), "keys": plan().keys[::-1]}),
    ],
)
def test_whatever_decides_the_content_decides_the_name(other: StorePlan) -> None:
    assert other.digest() != plan().digest()


values_of = st.lists(
    st.floats(-1e4, 1e4, width=32, allow_nan=False, allow_subnormal=False), min_size=4, max_size=4
).map(np.float32)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(values_of, min_size=1, max_size=6))
def test_int8_is_wrong_by_half_a_scale_at_most(rows: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> None:
    values = torch.from_numpy(np.stack(rows))
    error, scale = stored_error("int8", values, tmp_path_factory.mktemp("store"))
    assert (error <= 0.5 * scale * (1 + 1e-4) + 1e-12).all()


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(values_of, min_size=1, max_size=6))
def test_bfloat16_is_wrong_by_one_part_in_256_at_most(rows: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> None:
    values = torch.from_numpy(np.stack(rows))
    error, _ = stored_error("bfloat16", values, tmp_path_factory.mktemp("store"))
    assert (error <= values.abs() / 256 + 1e-38).all()


def stored_error(kind: StoreType, values: torch.Tensor, root: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Error of each value, and the int8 scale of its row: the largest of its values over 127."""
    made = plan(kind, lengths=np.ones(len(values), dtype=np.int64))
    with new_store(made, root) as folder:
        writer = StoreWriter(made, folder)
        writer.write(np.arange(len(values)), values)
        writer.close(NO_COST)
    store = open_store(made, root)
    assert store is not None
    read = store.read(np.arange(len(values)), padded=False).float()
    return (read - values).abs(), values.abs().amax(1, keepdim=True) / 127


def test_a_disk_that_is_too_full_is_a_reason_with_both_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(lengths=np.array([1 << 26]), shape=(4,))
    monkeypatch.setattr(module, "free_bytes", lambda folder: 100 << 30)
    assert refusal([made], tmp_path) == ""
    monkeypatch.setattr(module, "free_bytes", lambda folder: (1 << 30) + made.num_bytes - 1)
    reason = refusal([made], tmp_path)
    assert "need 1.0 GiB" in reason
    assert "2.0 GiB are free" in reason
    assert str(tmp_path) in reason


def test_several_stores_are_counted_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(lengths=np.array([1 << 26]), shape=(4,))
    monkeypatch.setattr(module, "free_bytes", lambda folder: int(2.5 * (1 << 30)))
    assert refusal([made], tmp_path) == ""
    assert refusal([made, made], tmp_path)


def test_trimming_keeps_what_was_used_last(tmp_path: Path) -> None:
    plans = [plan(name=name) for name in ("oldest", "older", "newest")]
    for age, made in enumerate(plans):
        folder = fill(made, tmp_path, padded(made)).folder
        os.utime(folder, (1000 + age, 1000 + age))
    assert open_store(plans[0], tmp_path) is not None  # using it makes it the newest
    size = sum(file.stat().st_size for file in (tmp_path / plans[0].digest()).iterdir())
    removed = trim(tmp_path, limit_bytes=2 * size)
    assert removed == [plans[1].digest()]
    assert {folder.name for folder in tmp_path.iterdir()} == {plans[0].digest(), plans[2].digest()}
    assert trim(tmp_path / "absent", limit_bytes=0) == []


def test_runs_are_spread_in_order() -> None:
    starts, lengths = np.array([5, 0, 9]), np.array([2, 0, 3])
    expected = [place for start, length in zip(starts, lengths, strict=True) for place in range(start, start + length)]
    assert spread(starts, lengths).tolist() == expected
    assert spread(np.array([], dtype=np.int64), np.array([], dtype=np.int64)).tolist() == []
