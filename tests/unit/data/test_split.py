import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.data.dataset import PARTS, Dataset
from luthier.data.keys import input_keys
from luthier.data.schema import Kind
from luthier.data.split import Split, parse_fractions, split
from luthier.data.time_order import rows_before
from luthier.errors import DataError, SpecError
from luthier.testing.tables import make_dataset

ROLES = {"text": "text", "target": "label"}
EIGHTY = (0.8, 0.1, 0.1)


def labelled(texts: list[str], labels: list[str], **more: list[str]) -> Dataset:
    return make_dataset({"text": texts, "label": labels, **more}, roles=ROLES | {name: name for name in more})


def run(dataset: Dataset, *, seed: int = 0, fractions: tuple[float, float, float] = EIGHTY) -> Split:
    return split(dataset, fractions=fractions, seed=seed, keys=input_keys(dataset))


def part_names(dataset: Dataset, made: Split) -> list[str]:
    return list(dataset.with_parts(made.parts).part_of_row())


@st.composite
def tables(draw: st.DrawFn) -> Dataset:
    size = draw(st.integers(12, 80))
    texts = draw(st.lists(st.integers(0, 60), min_size=size, max_size=size))
    labels = draw(st.lists(st.sampled_from("abc"), min_size=size, max_size=size))
    extra = {}
    if draw(st.booleans()):
        extra["group"] = [f"g{number}" for number in draw(st.lists(st.integers(0, 40), min_size=size, max_size=size))]
    return labelled([f"text {number}" for number in texts], list(labels), **extra)


@settings(max_examples=150, deadline=None)
@given(tables(), st.integers(0, 1000))
def test_every_row_is_in_one_part_and_nothing_equal_or_grouped_crosses(dataset: Dataset, seed: int) -> None:
    try:
        made = run(dataset, seed=seed)
    except DataError as error:
        assert "independent row" in error.problem
        return
    rows = np.concatenate([made.parts[name] for name in PARTS])
    assert sorted(rows.tolist()) == list(range(dataset.table.num_rows))
    names = part_names(dataset, made)
    for column in ("text", "group"):
        if column in dataset.table.column_names:
            sides = Counter(set(zip(dataset.table.column(column).to_pylist(), names, strict=True)))
            assert max(Counter(value for value, _ in sides).values()) == 1


@settings(max_examples=60, deadline=None)
@given(tables(), st.integers(0, 100), st.randoms(use_true_random=False))
def test_the_same_rows_in_another_order_fall_into_the_same_parts(dataset: Dataset, seed: int, random: object) -> None:
    order = np.random.default_rng(seed).permutation(dataset.table.num_rows)
    shuffled = Dataset(name="s", table=dataset.table.take(order), schema=dataset.schema, parts=dataset.parts)
    try:
        first = part_names(dataset, run(dataset, seed=seed))
    except DataError:
        return
    second = part_names(shuffled, run(shuffled, seed=seed))
    assert [first[row] for row in order] == second


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(3, 40), min_size=2, max_size=12), st.integers(0, 100))
def test_a_class_of_three_independent_rows_is_in_all_parts_in_its_proportion(sizes: list[int], seed: int) -> None:
    labels = [f"c{number}" for number, size in enumerate(sizes) for _ in range(size)]
    made = run(labelled([f"text {row}" for row in range(len(labels))], labels), seed=seed)
    assert not any("classes" in finding.evidence for finding in made.findings)
    for number, size in enumerate(sizes):
        held = [made.counts[part][f"c{number}"] for part in PARTS]
        assert sum(held) == size
        assert min(held) >= 1
        assert held[1] <= 0.1 * size + 2
        assert held[2] <= 0.1 * size + 2


def test_fractions_hold_to_a_row_or_two_with_many_classes() -> None:
    labels = [f"c{number % 77}" for number in range(10_003)]
    made = run(labelled([f"text {row}" for row in range(10_003)], labels))
    assert [len(made.parts[part]) for part in PARTS] == pytest.approx([8002.4, 1000.3, 1000.3], abs=2)
    assert made.method == "stratified"


def test_fractions_hold_within_two_percent_with_groups_of_all_sizes() -> None:
    random = np.random.default_rng(0)
    groups = np.minimum(random.zipf(1.5, 20_000), 3000)
    labels = [f"c{(group + random.integers(2)) % 5}" for group in groups]
    made = run(labelled([f"t {row}" for row in range(20_000)], labels, group=[f"g{group}" for group in groups]))
    shares = [len(made.parts[part]) / 20_000 for part in PARTS]
    largest = np.bincount(groups).max() / 20_000
    assert largest < 0.8
    assert shares == pytest.approx(EIGHTY, abs=0.02)
    assert made.method == "grouped"


def test_fractions_that_groups_do_not_allow_are_told() -> None:
    groups = ["big"] * 50 + [f"g{row}" for row in range(50)]
    made = run(labelled([f"t {row}" for row in range(100)], ["a", "b"] * 50, group=groups), fractions=(0.34, 0.33, 0.33))
    assert "allow no better cut" in made.findings[0].problem
    assert made.findings[0].evidence["shares"][0] >= 0.5


def test_seeds_differ_and_repeat() -> None:
    dataset = labelled([f"text {row}" for row in range(200)], ["a", "b"] * 100)
    first, again, other = run(dataset, seed=1), run(dataset, seed=1), run(dataset, seed=2)
    assert all((first.parts[part] == again.parts[part]).all() for part in PARTS)
    assert any(set(first.parts[part]) != set(other.parts[part]) for part in PARTS)


def test_validation_is_cut_from_a_given_train_part_in_its_ratio() -> None:
    dataset = make_dataset(
        {"text": [f"t {row}" for row in range(300)], "label": ["a", "b", "c"] * 100},
        roles=ROLES,
        sizes={"train": 180, "test": 120},
    )
    made = run(dataset, fractions=(0.6, 0.3, 0.1))
    assert (made.parts["test"] == np.arange(180, 300)).all()
    assert len(made.parts["validation"]) == pytest.approx(60, abs=1)
    assert made.fractions == pytest.approx((2 / 3, 1 / 3, 0))
    assert "test was given" in made.reason


def test_three_given_parts_stay_as_they_are() -> None:
    dataset = make_dataset(
        {"text": ["a", "b", "c", "d"], "label": ["x", "y", "x", "z"]},
        roles=ROLES,
        sizes={"train": 2, "validation": 1, "test": 1},
    )
    made = run(dataset)
    assert made.method == "given"
    assert [made.parts[part].tolist() for part in PARTS] == [[0, 1], [2], [3]]
    assert [finding.evidence["classes"] for finding in made.findings] == [["z"], ["y", "z"], ["x", "y"]]


def test_classes_of_one_row_train_and_their_absence_elsewhere_is_told() -> None:
    made = run(labelled([f"t {row}" for row in range(61)], ["a", "b"] * 30 + ["alone"]))
    assert made.counts["train"]["alone"] == 1
    assert {finding.part for finding in made.findings} == {"validation", "test"}
    assert "'alone'" in made.findings[0].problem


def test_classes_of_one_repeated_text_train_as_well() -> None:
    alone = [f"alone {row // 3}" for row in range(60)]
    made = run(labelled([f"t {row}" for row in range(60)] + alone, ["a", "b"] * 30 + alone))
    assert all(made.counts["train"][name] == 3 for name in alone)


def test_classes_of_three_groups_are_in_all_parts() -> None:
    labels = [f"c{row % 100 // 3}" for row in range(1000)]
    groups = [f"g{row % 100}" for row in range(1000)]
    made = run(labelled([f"t {row}" for row in range(1000)], labels, group=groups), fractions=(0.9, 0.05, 0.05))
    assert all(min(made.counts[part][f"c{number}"] for part in PARTS) >= 10 for number in range(33))
    assert made.counts["train"]["c33"] == 10


def test_the_oldest_rows_train_and_equal_times_stay_together() -> None:
    days = [f"2024-0{1 + row % 9}-1{row % 3}" for row in range(90)]
    dataset = make_dataset({"text": [f"t {row}" for row in range(90)], "day": days}, roles={"text": "text", "time": "day"})
    made = run(dataset)
    newest, oldest = ([f([days[row] for row in made.parts[part]]) for part in PARTS] for f in (max, min))
    assert newest[0] < oldest[1] <= newest[1] < oldest[2]
    assert made.method == "time"


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 50)), min_size=10, max_size=60))
def test_no_part_knows_anything_newer_than_its_end(rows: list[tuple[int, int]]) -> None:
    times, texts = [row[0] for row in rows], [f"t {row[1]}" for row in rows]
    dataset = make_dataset({"text": texts, "time": [str(moment) for moment in times]}, roles={"text": "text", "time": "time"})
    try:
        made = run(dataset)
    except DataError:
        return
    newest_of_text = {text: max(moment for moment, other in zip(times, texts, strict=True) if other == text) for text in texts}
    newest = {part: [newest_of_text[texts[row]] for row in made.parts[part]] for part in PARTS}
    assert max(newest["train"]) < min(newest["validation"])
    assert max(newest["validation"]) < min(newest["test"])


@pytest.mark.parametrize(
    ("texts", "first", "second"),
    [
        (["2/24/2015 11:35", "2/23/2015 23:59"], 1, 0),
        (["24.02.2015", "23.03.2014"], 1, 0),
        (["2024-03-31T18:05:00+02:00", "2024-03-31T17:00:00Z"], 0, 1),
        (["9", "10"], 0, 1),
    ],
)
def test_usual_ways_to_write_a_time_are_read(texts: list[str], first: int, second: int) -> None:
    from luthier.data.time_order import read_times

    seconds = read_times(make_dataset({"when": texts}, roles={"time": "when"}), np.arange(2))
    assert seconds[first] < seconds[second]


def test_times_that_cannot_be_read_are_refused_with_what_to_write() -> None:
    for texts, said in (
        (["soon", "later"], "cannot be read as times"),
        (["1/2/2024", "3/4/2024"], "day first or with the month"),
    ):
        dataset = make_dataset({"text": ["a", "b"], "when": texts}, roles={"text": "text", "time": "when"})
        with pytest.raises(DataError, match=said) as caught:
            from luthier.data.time_order import read_times

            read_times(dataset, np.arange(2))
        assert "YYYY-MM-DD" in caught.value.remedy


def test_rows_without_a_time_train_and_are_told() -> None:
    days = [f"{row:02d}" for row in range(99)] + [""]
    dataset = make_dataset({"text": [f"t {row}" for row in range(100)], "day": days}, roles={"text": "text", "time": "day"})
    made = run(dataset)
    assert 99 in made.parts["train"]
    assert "toy.csv:100" in made.findings[0].problem


def test_too_few_independent_rows_are_refused() -> None:
    with pytest.raises(DataError, match="has 2 independent rows to split into 3 parts"):
        run(labelled(["a", "A", "b"], ["x", "x", "y"]))


def test_a_quantity_is_spread_evenly() -> None:
    values = [str(value) for value in np.random.default_rng(0).permutation(1000)]
    dataset = make_dataset(
        {"text": [f"t {row}" for row in range(1000)], "label": values}, roles=ROLES, kinds={"label": Kind.NUMBER}
    )
    made = run(dataset)
    for part in PARTS:
        assert np.mean([float(values[row]) for row in made.parts[part]]) == pytest.approx(499.5, rel=0.05)


def test_the_table_names_every_row_and_its_part() -> None:
    dataset = labelled([f"t {row}" for row in range(30)], ["a", "b"] * 15)
    table = run(dataset).to_table(dataset)
    assert table.column_names == ["example_id", "part"]
    assert table.column("example_id").to_pylist() == [f"toy.csv:{row + 1}" for row in range(30)]
    assert set(table.column("part").to_pylist()) == set(PARTS)


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        ("80/20", "has 2", "--split 80/10/10"),
        ("80/10/20", "adds up to 110", "--split 73/9/18"),
        ("90/10/0", "above 0", "--split 80/10/10"),
        ("a/b/c", "three numbers", "--split 80/10/10"),
        ("nan/50/50", "above 0", "--split 80/10/10"),
    ],
)
def test_fractions_that_cannot_be_are_refused(text: str, problem: str, remedy: str) -> None:
    with pytest.raises(SpecError, match=problem) as caught:
        parse_fractions(text)
    assert caught.value.remedy == remedy


def test_fractions_may_be_percentages_or_shares() -> None:
    assert parse_fractions("70/15/15") == pytest.approx((0.7, 0.15, 0.15))
    assert parse_fractions("0.7/0.2/0.1") == pytest.approx((0.7, 0.2, 0.1))
    assert parse_fractions("33.3/33.3/33.4") == pytest.approx((0.333, 0.333, 0.334))


def test_a_hundred_thousand_rows_in_ten_thousand_groups_take_seconds() -> None:
    size = 100_000
    dataset = labelled(
        [f"t {row}" for row in range(size)],
        [f"c{row % 20}" for row in range(size)],
        group=[f"g{row * 7 % 10_007}" for row in range(size)],
    )
    keys = input_keys(dataset)
    start = time.process_time()
    made = split(dataset, fractions=EIGHTY, seed=0, keys=keys)
    assert time.process_time() - start < 5
    assert [len(made.parts[part]) / size for part in PARTS] == pytest.approx(EIGHTY, abs=0.01)


def test_rows_in_order_are_split_where_they_stand() -> None:
    dataset = replace(labelled([f"text {number}" for number in range(40)], list("ab") * 20), in_order=True)
    made = run(dataset)
    assert [made.parts[name].tolist() for name in PARTS] == [list(range(32)), list(range(32, 36)), list(range(36, 40))]
    assert made.method == "time"
    assert made.reason.startswith("as rows stand, in order of time, the oldest rows train")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1)), min_size=1, max_size=12))
def test_the_row_before_is_the_last_earlier_one_of_its_group(rows: list[tuple[int, int]]) -> None:
    moments = np.array([float(moment) for moment, _ in rows])
    groups = np.array([group for _, group in rows], dtype=np.int64)
    found = rows_before(moments, groups)
    for row, (moment, group) in enumerate(rows):
        earlier = [(time, place) for place, (time, owner) in enumerate(rows) if owner == group and time < moment]
        assert found[row] == (max(earlier)[1] if earlier else -1)


def test_a_row_without_a_time_has_nothing_before_it_and_comes_before_nothing() -> None:
    assert rows_before(np.array([np.nan, 1.0, np.nan, 2.0]), np.zeros(4, dtype=np.int64)).tolist() == [-1, -1, -1, 1]
