from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.keys import (
    connected,
    has_labels,
    input_keys,
    label_codes,
    link_keys,
    missing_cells,
    normalize_text,
    same_key_groups,
)
from luthier.data.schema import Kind
from luthier.testing.tables import make_dataset

TEXT = {"text": "text"}


def test_texts_that_differ_in_case_spaces_and_compatible_letters_have_one_key() -> None:
    keys = input_keys(
        make_dataset({"text": ["My card", " my\u00a0 CARD\n", "ｍｙ card", "my cart", "STRASSE", "straße"]}, roles=TEXT)
    )
    assert len({*keys[:3].tolist()}) == 1
    assert keys[3] != keys[0]
    assert keys[4] == keys[5]


def test_missing_inputs_have_key_zero() -> None:
    keys = input_keys(make_dataset({"text": ["a", None, "", " \t\n", "\u00a0"]}, roles=TEXT))
    assert keys[0] != 0
    assert keys[1:].tolist() == [0, 0, 0, 0]


def test_a_pair_is_not_its_mirror_image_and_half_a_pair_is_not_missing() -> None:
    dataset = make_dataset(
        {"a": ["x", "y", "x", "x", None], "b": ["y", "x", "y", None, None]}, roles={"text": "a", "text_pair": "b"}
    )
    keys = input_keys(dataset)
    assert keys[0] == keys[2] != keys[1]
    assert keys[3] != 0
    assert keys[4] == 0


def test_images_are_compared_by_their_bytes(tmp_path: Path) -> None:
    for name, content in (("a", b"same"), ("b", b"same"), ("c", b"other")):
        (tmp_path / name).write_bytes(content)
    paths = [str(tmp_path / name) for name in "abc"] + [str(tmp_path / "gone"), str(tmp_path / "lost"), None]
    keys = input_keys(make_dataset({"image": paths}, roles={"image": "image"}))
    assert keys[0] == keys[1]
    assert len(set(keys[1:].tolist())) == 5
    assert keys[5] == 0


def test_a_table_without_inputs_has_no_known_equal_rows() -> None:
    assert not input_keys(make_dataset({"label": ["a", "a"]}, roles={"target": "label"})).any()


def test_keys_do_not_depend_on_chunks_or_on_what_was_asked_before() -> None:
    texts = [f"text {number % 7}" for number in range(50)]
    dataset = make_dataset({"text": texts}, roles=TEXT)
    whole = input_keys(dataset)
    table = pa.concat_tables([dataset.table.slice(0, 13), dataset.table.slice(13)])
    other = make_dataset({"text": ["something else"] * 50}, roles=TEXT)
    assert (input_keys(other) != whole).all()
    chunked = type(dataset)(name="chunked", table=table, schema=dataset.schema, parts=dataset.parts)
    assert (input_keys(chunked) == whole).all()


def test_missing_cells_of_every_type() -> None:
    columns = (pa.array(["a", None, " "]), pa.array([1.0, None, float("nan")]), pa.array([1, None, None]))
    for column in columns:
        assert missing_cells(pa.chunked_array([column])).tolist() == [False, True, True]


def test_label_codes_are_places_among_the_sorted_labels() -> None:
    labels = label_codes(make_dataset({"label": ["b", None, "a", "", "b"]}, roles={"target": "label"}))
    assert labels.names == ("a", "b")
    assert labels.codes.tolist() == [1, -1, 0, -1, 1]


def test_a_quantity_is_no_set_of_labels() -> None:
    numbers = [str(number) for number in range(30)]
    assert not has_labels(make_dataset({"y": numbers}, roles={"target": "y"}, kinds={"y": Kind.NUMBER}))
    assert has_labels(make_dataset({"y": ["1", "2"] * 15}, roles={"target": "y"}, kinds={"y": Kind.NUMBER}))
    assert not has_labels(make_dataset({"text": numbers}, roles=TEXT))


@given(st.lists(st.integers(0, 5), max_size=30))
def test_groups_of_equal_keys_cover_every_known_row_once(values: list[int]) -> None:
    keys = np.array(values, dtype=np.uint64)
    ordered, starts = same_key_groups(keys, np.arange(len(keys)))
    assert sorted(ordered.tolist()) == [row for row, value in enumerate(values) if value]
    groups = np.split(ordered, starts[1:]) if len(ordered) else []
    assert all(len(set(keys[group].tolist())) == 1 for group in groups)
    assert len(groups) == len({value for value in values if value})


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=15))
def test_linked_rows_share_a_key_and_others_keep_theirs(links: list[tuple[int, int]]) -> None:
    keys = np.arange(10, dtype=np.uint64) * 3  # row 0 is unknown
    linked = link_keys(keys, np.array(links, dtype=np.int64).reshape(-1, 2))
    assert linked[0] == 0
    used = {row for link in links if 0 not in link for row in link}
    assert all(linked[a] == linked[b] for a, b in links if 0 not in (a, b))
    assert all(linked[row] == keys[row] for row in set(range(10)) - used)


def test_components_are_found_through_others() -> None:
    component = connected(np.array([0, 1, 4]), np.array([1, 2, 5]), size=6)
    assert component[0] == component[1] == component[2] != component[3]
    assert component[4] == component[5]


@given(st.text())
def test_normalizing_twice_changes_nothing_that_matters(text: str) -> None:
    once = normalize_text(text)
    assert once == " ".join(once.split())
    assert normalize_text(text + "  ") == once
