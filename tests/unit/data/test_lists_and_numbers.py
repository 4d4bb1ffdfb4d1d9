"""Targets that are lists of labels, or numbers: read, judged, checked and spread over the parts."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.data.checks import CHECKS
from luthier.data.dataset import PARTS, Dataset
from luthier.data.findings import Finding
from luthier.data.infer import infer_columns, infer_schema
from luthier.data.keys import answer_kind, input_keys, label_codes
from luthier.data.lists import label_set, label_sets, parse_list
from luthier.data.schema import Kind
from luthier.data.settings import DataSettings
from luthier.data.split import split
from luthier.data.targets import missing_targets, target_sets, target_values
from luthier.errors import SpecError
from luthier.pipeline import check
from luthier.pipeline.prepare import with_label_lists
from luthier.spec import TuneSpec
from luthier.testing.tables import make_dataset

ROLES = {"text": "text", "target": "label"}


def texts(number: int) -> list[str]:
    return [f"message number {row} of many" for row in range(number)]


def sets(values: Sequence[str | None], **more: int) -> Dataset:
    return make_dataset(
        {"text": texts(len(values)), "label": values}, roles=ROLES, kinds={"label": Kind.LIST}, sizes=more or None
    )


def numbers(values: Sequence[object], **more: int) -> Dataset:
    made = make_dataset(
        {"text": texts(len(values)), "label": values}, roles=ROLES, kinds={"label": Kind.NUMBER}, sizes=more or None
    )
    return made if len(set(values)) > 20 else as_kind(made, "number")


def as_kind(dataset: Dataset, kind: str) -> Dataset:
    return replace(dataset, schema=replace(dataset.schema, answer_kind=kind))


def found(name: str, dataset: Dataset) -> list[Finding]:
    return CHECKS[name](dataset)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8), max_size=5))
def test_a_list_comes_back_from_its_json_whatever_its_labels_are(labels: list[str]) -> None:
    assert label_set(json.dumps(labels)) == sorted({label.strip() for label in labels} - {""})


@pytest.mark.parametrize("cell", ["[", "[1, 2", '{"a": 1}', "a", '[{"a": 1}]', "[[1]]", "1"])
def test_what_is_no_list_of_labels_is_not_taken_for_one(cell: str) -> None:
    assert parse_list(cell) is None


def test_columns_of_lists_are_found_and_are_the_answer() -> None:
    rows = 40
    table = pa.table(
        {
            "example_id": [f"a.jsonl:{row}" for row in range(rows)],
            "text": texts(rows),
            "fold": [str(row % 4) for row in range(rows)],
            "intents": ['["a", "b"]' if row % 3 else "[]" if row % 2 else None for row in range(rows)],
            "slots": ['{"date": "today"}'] * rows,
        }
    )
    kinds = {column.name: column.kind for column in infer_columns(table)}
    assert kinds["intents"] is Kind.LIST
    schema, decisions = infer_schema(table, DataSettings())
    assert schema.roles["target"] == "intents"
    assert "usual name" in next(item.reason for item in decisions if item.name == "target")
    renamed = table.rename_columns(["example_id", "text", "fold", "wanted", "slots"])
    schema, decisions = infer_schema(renamed, DataSettings())
    assert schema.roles["target"] == "wanted"
    assert "the last one that holds lists of labels" in next(item.reason for item in decisions if item.name == "target")


def test_empty_lists_alone_are_no_lists_of_labels() -> None:
    table = pa.table({"example_id": ["a:1", "a:2"], "label": ["[]", "[ ]"]})
    assert infer_columns(table)[0].kind is not Kind.LIST


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (Kind.LIST, ['["a"]', "[]"], "labels"),
        (Kind.NUMBER, [str(number) for number in range(30)], "number"),
        (Kind.NUMBER, ["1.5", "2.5"], "label"),
        (Kind.CATEGORY, ["a", "b"], "label"),
    ],
)
def test_the_kind_of_answer_follows_from_the_column_until_a_task_says_it(kind: Kind, values: list[str], expected: str) -> None:
    dataset = make_dataset({"text": texts(len(values)), "label": values}, roles=ROLES, kinds={"label": kind})
    assert answer_kind(dataset) == expected
    assert answer_kind(as_kind(dataset, "spans")) == "spans"


def test_sets_are_equal_whatever_their_order() -> None:
    dataset = sets(['["a", "b"]', '["b","a"]', "[]", None, '["a"]'])
    codes = label_codes(dataset).codes
    assert codes[0] == codes[1] != codes[4]
    assert codes[2] == codes[3] >= 0
    assert not missing_targets(dataset).any()
    assert label_sets(dataset.column("target")) == target_sets(dataset) == [["a", "b"], ["a", "b"], [], [], ["a"]]


def test_rows_without_a_list_are_examples_of_none() -> None:
    (finding,) = found("missing", sets(['["a"]', None, "", '["b"]']))
    assert finding.severity == "info"
    assert finding.action is None
    assert finding.rows.tolist() == [1, 2]
    assert "count as examples of none of the labels" in finding.problem


def test_a_part_without_any_list_is_an_error_all_the_same() -> None:
    (finding,) = [item for item in found("missing", sets(['["a"]', "[]", None, None], train=2, test=2)) if item.part == "test"]
    assert finding.severity == "error"


def test_equal_inputs_with_other_sets_are_conflicts_and_with_the_same_set_duplicates() -> None:
    columns = {"text": ["x", "x", "y", "y"], "label": ['["a"]', '["a", "b"]', '["b", "a"]', '["a", "b"]']}
    dataset = make_dataset(columns, roles=ROLES, kinds={"label": Kind.LIST})
    (conflict,) = found("conflicts", dataset)
    assert "more than one set of labels" in conflict.problem
    assert conflict.rows.tolist() == [0, 1]
    (duplicate,) = found("duplicates", dataset)
    assert duplicate.rows.tolist() == [3]


def test_labels_of_few_rows_unknown_ones_and_spellings_are_told() -> None:
    train = ['["a"]', '["a", "b"]', '["A"]', '["a", "b"]', '["b"]']
    dataset = sets([*train, '["a", "z"]', "[]"], train=5, test=2)
    rare, unseen, spelt = found("label-sets", dataset)
    assert "1 label of 3 is in fewer than 3 rows ('A')" in rare.problem
    assert rare.rows.tolist() == [2]
    assert "labels that train does not know ('z')" in unseen.problem
    assert (unseen.part, unseen.severity, unseen.rows.tolist()) == ("test", "warning", [5])
    assert "'A' and 'a'" in spelt.problem
    assert all(item.action is None for item in (rare, unseen, spelt))


@pytest.mark.parametrize("values", [['["a"]'] * 4, ["[]"] * 4])
def test_the_same_labels_everywhere_are_an_error(values: list[str]) -> None:
    (finding,) = found("label-sets", sets(values))
    assert finding.severity == "error"
    assert "nothing to tell apart" in finding.problem


def test_cells_that_are_no_numbers_are_left_out_of_train_and_not_scored_in_test() -> None:
    values: list[object] = [*map(str, range(30)), "n/a", "3,5", *map(str, range(10)), "?"]
    train, test = found("numbers", numbers(values, train=32, test=11))
    assert "2 of 32 train rows (6.2 %) have no number in the target column 'label' but 'n/a', '3,5'" in train.problem
    assert train.by_default
    assert train.action is not None
    assert train.action.rows.tolist() == [30, 31]
    assert "3.5" in train.remedy
    assert test.evidence == {"excluded_from_scoring": True}
    assert test.action is None


def test_a_part_without_a_number_is_an_error() -> None:
    values: list[object] = [*map(str, range(30)), "n/a", "none"]
    (finding,) = [item for item in found("numbers", numbers(values, train=30, test=2)) if item.part == "test"]
    assert finding.severity == "error"


def test_one_number_everywhere_is_an_error() -> None:
    (finding,) = found("numbers", numbers(["3.0"] * 5))
    assert finding.severity == "error"
    assert "All 5 numbers of toy in column 'label' are 3" in finding.problem


def test_numbers_far_from_the_others_are_told() -> None:
    (finding,) = found("numbers", numbers([*np.linspace(1, 5, 40).round(2).tolist(), 999.0]))
    assert "up to 999" in finding.problem
    assert finding.rows.tolist() == [40]
    assert not found("numbers", numbers(np.linspace(1, 5, 40).tolist()))


def test_equal_inputs_with_several_numbers_are_told_and_kept() -> None:
    columns = {"text": ["x", "x", "y", "y", "z"], "label": ["1", "2.5", "3", "3", "4"]}
    dataset = as_kind(make_dataset(columns, roles=ROLES, kinds={"label": Kind.NUMBER}), "number")
    (finding,) = found("conflicts", dataset)
    assert "1 input has several numbers, 1.5 apart on average (2 rows)" in finding.problem
    assert (finding.severity, finding.action, finding.rows.tolist()) == ("info", None, [0, 1])


def test_labels_that_are_numbers_hint_at_regression() -> None:
    values = [f"{number / 2}" for number in range(5)] + ["0.0", "0.5", "1.0"]
    dataset = make_dataset({"text": texts(8), "label": values}, roles=ROLES, kinds={"label": Kind.NUMBER})
    alone = [item for item in found("classes", dataset) if item.severity == "error"]
    assert "--task text-regression" in alone[0].remedy


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_every_part_has_its_share_of_every_label(seed: int) -> None:
    generator = np.random.default_rng(seed)
    common, rare = generator.random(400) < 0.5, generator.random(400) < 0.08
    values = [
        "[" + ", ".join([f'"{name}"' for name, has in (("a", a), ("b", b)) if has]) + "]"
        for a, b in zip(common, rare, strict=True)
    ]
    dataset = sets(values)
    made = split(dataset, fractions=(0.8, 0.1, 0.1), seed=seed, keys=input_keys(dataset))
    assert made.method == "stratified"
    assert "the rarest label of each row of 'label'" in made.reason
    for part, share in zip(PARTS, (0.8, 0.1, 0.1), strict=True):
        assert made.counts[part]["b"] == pytest.approx(share * rare.sum(), abs=1.5)
        own = Counter(label for row in made.parts[part] for label in target_sets(dataset)[row])
        assert made.counts[part] == {"a": own["a"], "b": own["b"]}


def test_every_part_has_its_share_of_small_and_large_numbers() -> None:
    dataset = numbers(np.random.default_rng(0).lognormal(size=500).tolist())
    made = split(dataset, fractions=(0.8, 0.1, 0.1), seed=0, keys=input_keys(dataset))
    assert "every tenth of 'label'" in made.reason
    values = target_values(dataset)
    middles = [np.median(values[made.parts[part]]) for part in PARTS]
    assert np.ptp(middles) < 0.1 * np.median(values)


def test_a_delimiter_makes_lists() -> None:
    dataset = make_dataset({"text": texts(3), "label": ["red; blue", "red", None]}, roles=ROLES)
    listed = with_label_lists(dataset, ";")
    assert answer_kind(listed) == "labels"
    assert target_sets(listed) == [["blue", "red"], ["red"], []]


def test_a_delimiter_that_no_cell_holds_is_a_mistake() -> None:
    dataset = make_dataset({"text": texts(2), "label": ["red, blue", "red"]}, roles=ROLES)
    with pytest.raises(
        SpecError, match="--label-delimiter is ';', which no cell of 'label' holds; the first is 'red, blue'"
    ) as caught:
        with_label_lists(dataset, ";")
    assert "leave --label-delimiter out" in caught.value.remedy


def test_the_check_of_a_file_looks_at_lists_and_numbers(tmp_path: Path) -> None:
    folder = tmp_path
    rows = [f"message number {row},{row / 3:.2f}" for row in range(60)]
    (folder / "prices.csv").write_text("\n".join(["text,price", *rows, "one more,n/a"]), encoding="utf-8")
    result = check(TuneSpec(sources=(str(folder / "prices.csv"),), data=DataSettings(target="price")))
    assert [item.check for item in result.findings if item.severity == "warning"] == ["numbers"]


def test_a_column_that_gives_the_number_away_is_used_for_nothing() -> None:
    generator = np.random.default_rng(0)
    prices = generator.lognormal(3, 1, 300).round(2)
    columns = {
        "text": texts(300),
        "price": prices.tolist(),
        "with_tax": (1.19 * prices + generator.normal(0, 0.01, 300)).round(2).tolist(),
        "pieces": generator.integers(1, 9, 300).tolist(),
        "weight": (prices + generator.normal(0, prices.std(), 300)).tolist(),
    }
    kinds = {"price": Kind.NUMBER, "with_tax": Kind.NUMBER, "weight": Kind.NUMBER}
    (finding,) = found("leak", make_dataset(columns, roles={"text": "text", "target": "price"}, kinds=kinds))
    assert "Column 'with_tax' gives the number away: it alone explains 9" in finding.problem
    assert finding.action is not None
    assert finding.action.column == "with_tax"


def test_single_labels_between_lists_are_lists_of_one_and_broken_lists_are_named() -> None:
    cells = ['["a", "b"]', "a", '["b"]', '[["a"]]', '["a"]', '["b", "a"]', '["b"]', '["a"]']
    table = pa.table({"example_id": [f"x:{row}" for row in range(8)], "text": texts(8), "label": cells})
    assert {column.name: column.kind for column in infer_columns(table)}["label"] is Kind.LIST
    broken, single, *_ = found("label-sets", sets(cells))
    assert broken.severity == "warning"
    assert "begin like a list of labels and are none: '[[\"a\"]]'. Row: toy.csv:4." in broken.problem
    assert single.severity == "info"
    assert single.rows.tolist() == [1]
    assert target_sets(sets(cells))[1] == ["a"]
