"""Encoded rows as batches."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from luthier.tasks.inputs import ImageInputs, TokenInputs, content_key
from luthier.testing.tables import write_pictures

rows_strategy = st.lists(st.lists(st.integers(1, 90), min_size=1, max_size=12), min_size=1, max_size=8)


def build(rows: list[list[int]], *, pad_id: int = 0) -> TokenInputs:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    return TokenInputs.build(np.concatenate([np.array(row) for row in rows]), offsets, pad_id=pad_id)


@given(rows=rows_strategy, pad_id=st.integers(0, 5), data=st.data())
def test_a_batch_holds_each_row_and_padding_behind_it(rows: list[list[int]], pad_id: int, data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=6))
    batch = build(rows, pad_id=pad_id).batch(np.array(places))
    longest = max(len(rows[place]) for place in places)
    for ids, mask, place in zip(batch["input_ids"], batch["attention_mask"], places, strict=True):
        length = len(rows[place])
        assert ids.tolist() == rows[place] + [pad_id] * (longest - length)
        assert mask.tolist() == [1] * length + [0] * (longest - length)
    assert batch["input_ids"].dtype == batch["attention_mask"].dtype == np.int64


@given(rows=rows_strategy)
def test_equal_rows_have_equal_keys_and_others_do_not(rows: list[list[int]]) -> None:
    keys = build(rows).keys.tolist()
    for first, one in enumerate(rows):
        for second, other in enumerate(rows):
            assert (keys[first] == keys[second]) == (one == other)


def test_parts_of_a_key_cannot_run_into_each_other() -> None:
    assert content_key(b"ab", b"c") != content_key(b"a", b"bc")
    assert len(content_key(b"")) == 16


def test_pictures_are_known_by_their_bytes_and_read_when_asked_for(tmp_path: Path) -> None:
    paths = [Path(path) for path in write_pictures(tmp_path, 3, seed=0)]
    twin = tmp_path / "twin.png"
    twin.write_bytes(paths[0].read_bytes())
    read: list[Path] = []

    def decode(path: Path) -> np.ndarray:
        read.append(path)
        return np.full((3, 4, 4), len(path.name), dtype=np.float32)

    inputs = ImageInputs.build([*paths, twin], decode, shape=(3, 4, 4))
    assert inputs.keys[0] == inputs.keys[3]
    assert len(set(inputs.keys.tolist())) == 3
    assert read == []
    light = inputs.light_batch(np.array([3, 1]))["pixel_values"]
    assert read == []
    assert light.shape == (2, 3, 4, 4)
    assert not any(light.strides)
    whole = inputs.batch(np.array([3, 1]))["pixel_values"]
    assert sorted(read) == sorted([twin, paths[1]])
    assert whole[:, 0, 0, 0].tolist() == [len(twin.name), len(paths[1].name)]
