"""What a token task reads and answers: both forms of data, faults of rows, words of windows."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.dataset import Dataset
from luthier.data.schema import Kind
from luthier.data.words import join_words, split_words
from luthier.tasks import TASKS, choose_task
from luthier.tasks.inputs import EMPTY
from luthier.tasks.token_task import tags_of
from luthier.tasks.word_inputs import join_windows
from luthier.testing.tables import make_dataset

TASK = TASKS["token-classification"]
TEXT = "Ann Lee went to York."


def with_spans(cells: list[object], texts: list[str] | None = None, sizes: dict[str, int] | None = None) -> Dataset:
    columns = {"text": texts or [TEXT] * len(cells), "entities": [c if isinstance(c, str) else json.dumps(c) for c in cells]}
    kinds = {"entities": Kind.SPANS}
    return make_dataset(columns, roles={"text": "text", "target": "entities"}, kinds=kinds, sizes=sizes, name="notes")


def with_tags(tokens: list[list[str]], tags: list[object]) -> Dataset:
    columns = {
        "tokens": [json.dumps(row) for row in tokens],
        "tags": [t if isinstance(t, str) else json.dumps(t) for t in tags],
    }
    kinds = {"tokens": Kind.LIST, "tags": Kind.TAGS}
    return make_dataset(columns, roles={"text": "tokens", "target": "tags"}, kinds=kinds, name="notes")


GOOD = [{"start": 0, "end": 7, "label": "Person"}, [16, 20, "Place"]]


def test_spans_become_tags_of_the_words_they_touch() -> None:
    dataset = with_spans([GOOD, []])
    state = TASK.fit_state(dataset.table, dataset.schema)
    assert state.labels == ("O", "B-Person", "I-Person", "B-Place", "I-Place")
    tags = tags_of(dataset.table, state, dataset.schema.roles)
    assert tags[0] == ["B-Person", "I-Person", "O", "O", "B-Place", "O"]
    assert set(tags[1]) == {"O"}


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ([[0, 90, "Person"]], "spans that lie outside of their text, or are empty. They are left out. Row: notes.csv:5. The "
         "first: Person 0 to 90 of 21 characters."),
        ([[3, 3, "Person"]], "spans that lie outside of their text, or are empty"),
        ([[-1, 3, "Person"]], "spans that lie outside of their text, or are empty"),
        ([[0, 7, "Person"], [4, 12, "Place"]], "spans that overlap: a word has one tag. They are left out. Row: notes.csv:5. "
         "The first: Person 0 to 7 and Place 4 to 12."),
        ([[7, 8, "Person"]], "spans that touch no word"),
        ([[0, 7]], "no list of spans"),
        ([{"start": "0", "end": 7, "label": "Person"}], "no list of spans"),
        ("Person: Ann Lee", "no list of spans"),
    ],
)  # fmt: skip
def test_rows_whose_spans_cannot_be_used_are_named_and_left_out(cell: object, said: str) -> None:
    dataset = with_spans([GOOD, GOOD, [], GOOD, cell])
    [finding] = TASK.check(dataset)
    assert finding.problem.startswith("1 of 5 rows (20.0 %) has ")
    assert said in finding.problem
    assert finding.remedy
    assert finding.action is not None and finding.action.rows.tolist() == [4]
    assert finding.by_default and finding.evidence["excluded_from_scoring"]


def test_a_span_that_cuts_a_word_takes_all_of_it_and_says_so() -> None:
    dataset = with_spans([[[16, 18, "Place"]], GOOD])
    [finding] = TASK.check(dataset)
    assert "begin or end inside a word; the whole word is taken" in finding.problem
    assert "'Yo'" in finding.problem
    assert finding.action is None
    state = TASK.fit_state(dataset.table, dataset.schema)
    assert tags_of(dataset.table, state, dataset.schema.roles)[0][4] == "B-Place"


TOKENS = ["Ann", "went", "home"]


@pytest.mark.parametrize(
    ("tokens", "tags", "said"),
    [
        (
            TOKENS,
            ["B-P", "O"],
            "more or fewer tags than words. They are left out. Row: notes.csv:4. The first: 3 words, 2 tags.",
        ),
        (TOKENS, ["B-P", "O", "?"], "tags that are neither O nor a letter of B, I, E, S, L, U with a type"),
        (TOKENS, "O O O", "no JSON list of tags"),
        ([], [], "no words"),
    ],
)
def test_rows_whose_tags_cannot_be_used_are_named_and_left_out(tokens: list[str], tags: object, said: str) -> None:
    dataset = with_tags([TOKENS, TOKENS, TOKENS, tokens], [["B-P", "O", "O"]] * 3 + [tags])
    [finding] = TASK.check(dataset)
    assert said in finding.problem
    assert finding.rows.tolist() == [3]


def test_where_most_rows_are_wrong_the_run_stops() -> None:
    [finding] = TASK.check(with_tags([TOKENS] * 3, [["B-P", "O"]] * 2 + [["B-P", "O", "O"]]))
    assert finding.severity == "error"
    assert "give every word one tag" in finding.remedy


def test_a_given_test_part_is_told_apart() -> None:
    cells = [GOOD, GOOD, GOOD, [[0, 99, "Person"]], GOOD, []]
    [finding] = TASK.check(with_spans(cells, sizes={"train": 3, "test": 3}))
    assert finding.part == "test"
    assert "They are not scored." in finding.problem


@pytest.mark.parametrize(
    ("kinds", "name"),
    [
        ((Kind.LIST, Kind.TAGS), "token-classification"),
        ((Kind.TEXT, Kind.SPANS), "token-classification"),
        ((Kind.LIST, Kind.LIST), "token-tagging"),
    ],
)
def test_the_task_is_told_by_what_the_columns_hold(kinds: tuple[Kind, Kind], name: str) -> None:
    dataset = make_dataset(
        {"tokens": ["x", "y"], "tags": ["z", "w"]},
        roles={"text": "tokens", "target": "tags"},
        kinds=dict(zip(("tokens", "tags"), kinds, strict=True)),
    )
    assert choose_task(dataset.schema)[0].name == name


def test_tags_need_words_in_a_list() -> None:
    dataset = make_dataset(
        {"text": ["x", "y"], "tags": ["z", "w"]}, roles={"text": "text", "target": "tags"}, kinds={"tags": Kind.TAGS}
    )
    assert "'text' no lists of words" in TASK.match(dataset.schema).reason


def test_the_scheme_is_a_decision() -> None:
    dataset = with_tags([TOKENS, TOKENS], [["U-P", "O", "O"], ["B-P", "I-P", "L-P"]])
    state = TASK.fit_state(dataset.table, dataset.schema)
    assert (state.decisions[0].name, state.decisions[0].value) == ("tag_scheme", "bilou")
    assert state.labels == ("O", "B-P", "I-P")
    assert tags_of(dataset.table, state, dataset.schema.roles)[1] == ["B-P", "I-P", "I-P"]


@given(st.lists(st.text(alphabet="ab.,- é", max_size=12), max_size=8))
def test_words_stand_where_they_say(texts: list[str]) -> None:
    for row in (join_words(texts), split_words(" ".join(texts))):
        assert all(row.text[start : row.end(place)] == row.words[place] for place, start in enumerate(row.starts))
        assert len(row.words) == len(row.starts)


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    data=st.data(),
)
def test_joined_windows_have_every_word_once(sizes: list[int], data: st.DataObject) -> None:
    """Windows of one row that overlap by any number of words; each window says its own number."""
    firsts, ends = [0], [sizes[0]]
    for size in sizes[1:]:
        first = data.draw(st.integers(firsts[-1] + 1, ends[-1]))
        firsts.append(first)
        ends.append(max(first + size, ends[-1] + 1))
    width = max(end - first for first, end in zip(firsts, ends, strict=True))
    decoded = np.full((len(firsts), 1 + 2 * width), EMPTY, dtype=np.float32)
    for unit, (first, end) in enumerate(zip(firsts, ends, strict=True)):
        decoded[unit, 0] = first
        decoded[unit, 1 : 1 + end - first] = unit
        decoded[unit, 1 + width : 1 + width + end - first] = np.arange(first, end)
    [joined] = join_windows(decoded, np.zeros(len(firsts), dtype=np.int64))
    words = (len(joined) - 1) // 2
    assert words == (ends[-1] if len(firsts) > 1 else width)
    assert (np.diff(joined[1 : 1 + ends[-1]]) >= 0).all()
    assert joined[1 + words : 1 + words + ends[-1]].tolist() == list(range(ends[-1]))
