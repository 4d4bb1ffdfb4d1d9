"""Which task the columns are."""

from dataclasses import replace

import pytest

from luthier.data.dataset import Dataset
from luthier.data.schema import Kind
from luthier.errors import DataError, SpecError
from luthier.tasks import choose_task
from luthier.testing.tables import make_dataset


def texts(**roles: str) -> Dataset:
    columns = {"message": ["a b c", "d e f"], "label": ["x", "y"]}
    return make_dataset(columns, roles=roles, kinds={"message": Kind.TEXT})


def test_a_text_beside_a_label_is_text_classification() -> None:
    task, decision = choose_task(texts(text="message", target="label").schema)
    assert task.name == decision.value == "text-classification"
    assert "'message' holds texts and 'label' holds labels" in decision.reason
    assert decision.override == "--task NAME"


def test_a_picture_beside_a_label_is_image_classification() -> None:
    schema = make_dataset({"file": ["a.png"], "label": ["x"]}, roles={"image": "file", "target": "label"}).schema
    assert choose_task(schema)[0].name == "image-classification"


def test_a_task_named_is_taken_where_it_fits() -> None:
    task, decision = choose_task(texts(text="message", target="label").schema, name="text-classification")
    assert task.name == "text-classification"
    assert decision.reason == "as asked"


def test_where_none_fits_each_says_what_it_misses() -> None:
    with pytest.raises(DataError) as caught:
        choose_task(texts(text="message").schema)
    assert "'message' (text)" in caught.value.problem
    assert "text-classification: no column plays the role target" in caught.value.problem
    assert "image-classification: no column plays the role image or target" in caught.value.problem
    assert caught.value.remedy == "--text COLUMN --target COLUMN"


def test_a_task_named_that_does_not_fit_says_why() -> None:
    with pytest.raises(DataError, match="no column plays the role image"):
        choose_task(texts(text="message", target="label").schema, name="image-classification")


def test_free_text_is_no_label() -> None:
    columns = {"message": ["a b", "c d"], "answer": ["long text", "other text"]}
    schema = make_dataset(columns, roles={"text": "message", "target": "answer"}, kinds={"answer": Kind.TEXT}).schema
    with pytest.raises(DataError, match="'answer' holds free text, not labels"):
        choose_task(schema, name="text-classification")
    assert choose_task(schema)[0].name == "sequence-to-sequence"


def test_a_misspelt_task_shows_the_nearest() -> None:
    with pytest.raises(SpecError, match="Did you mean 'text-classification'"):
        choose_task(texts(text="message", target="label").schema, name="text-clasification")


def answers(values: list[str], kind: Kind) -> Dataset:
    rows = [f"message {row} of many" for row in range(len(values))]
    roles = {"text": "message", "target": "answer"}
    return make_dataset({"message": rows, "answer": values}, roles=roles, kinds={"message": Kind.TEXT, "answer": kind})


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (['["a"]', '["a", "b"]'], Kind.LIST, "text-multi-label"),
        ([f"{number}.5" for number in range(30)], Kind.NUMBER, "text-regression"),
        ([str(number) for number in range(100, 140)], Kind.IDENTIFIER, "text-regression"),
        (["1", "2", "3", "4", "5"] * 4, Kind.CATEGORY, "text-classification"),
        (["0.5", "1.5"], Kind.NUMBER, "text-classification"),
        (["x", "y"], Kind.CATEGORY, "text-classification"),
    ],
)
def test_the_answers_decide_which_task_it_is(values: list[str], kind: Kind, expected: str) -> None:
    task, decision = choose_task(answers(values, kind).schema)
    assert task.name == expected
    assert decision.value == expected


def test_what_also_fits_is_told_and_can_be_asked_for() -> None:
    ratings = answers(["1", "2", "3", "4", "5"] * 4, Kind.CATEGORY).schema
    _, decision = choose_task(ratings)
    assert "text-regression" in decision.evidence["also"]
    assert choose_task(ratings, name="text-regression")[0].name == "text-regression"
    prices = answers([f"{number}.5" for number in range(30)], Kind.NUMBER).schema
    assert "text-classification" in choose_task(prices)[1].evidence["also"]
    assert choose_task(prices, name="text-classification")[0].name == "text-classification"


@pytest.mark.parametrize(
    ("values", "kind", "name", "problem"),
    [
        (["a; b", "b"], Kind.CATEGORY, "text-multi-label", "holds no lists of labels; --label-delimiter ';'"),
        (["a", "b"], Kind.CATEGORY, "text-regression", "'answer' holds no numbers"),
        (['["a"]', "[]"], Kind.LIST, "text-classification", "holds lists of labels, not one label in each row"),
        (['["a"]', "[]"], Kind.LIST, "text-regression", "'answer' holds no numbers"),
        (["1", "2"], Kind.CATEGORY, "image-regression", "no column plays the role image"),
        (["1", "2"], Kind.CATEGORY, "text-pair-regression", "no column plays the role text_pair"),
    ],
)
def test_a_task_asked_for_says_what_is_wrong_with_the_answers(values: list[str], kind: Kind, name: str, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        choose_task(answers(values, kind).schema, name=name)


def wide(kinds: dict[str, Kind], **roles: str) -> Dataset:
    """A table with columns of some kinds; free texts have five words."""
    columns = {name: ["one two three four five" if kind is Kind.TEXT else "1"] * 3 for name, kind in kinds.items()}
    dataset = make_dataset({**columns, "label": ["x", "y", "x"]}, roles={"target": "label", **roles}, kinds=kinds)
    return replace(dataset, schema=replace(dataset.schema, features=tuple(kinds)))


def plain(count: int) -> dict[str, Kind]:
    return {f"column {place}": (Kind.NUMBER, Kind.CATEGORY, Kind.DATETIME)[place % 3] for place in range(count)}


@pytest.mark.parametrize(
    ("kinds", "roles", "expected"),
    [
        (plain(3), {}, "table-classification"),
        (plain(1), {}, "table-classification"),
        ({"message": Kind.TEXT}, {"text": "message"}, "text-classification"),
        ({"message": Kind.TEXT, **plain(4)}, {"text": "message"}, "text-classification"),
        ({"message": Kind.TEXT, **plain(8)}, {"text": "message"}, "table-classification"),
        ({"title": Kind.CATEGORY, **plain(3)}, {"text": "title"}, "table-classification"),
        ({"title": Kind.CATEGORY}, {"text": "title"}, "text-classification"),
        ({"photo": Kind.IMAGE, **plain(2)}, {"image": "photo"}, "image-classification"),
        ({"photo": Kind.IMAGE, **plain(8)}, {"image": "photo"}, "table-classification"),
        ({"photo": Kind.IMAGE, "message": Kind.TEXT}, {"image": "photo", "text": "message"}, "table-classification"),
    ],
)
def test_a_table_is_a_table_where_its_columns_say_more_than_a_text(
    kinds: dict[str, Kind], roles: dict[str, str], expected: str
) -> None:
    task, decision = choose_task(wide(kinds, **roles).schema)
    assert task.name == expected
    assert decision.override == "--task NAME"


def test_a_row_is_written_as_a_sentence_only_where_one_asks() -> None:
    schema = wide(plain(4)).schema
    assert "table-as-text-classification" in choose_task(schema)[1].evidence["also"]
    assert choose_task(schema, name="table-as-text-classification")[0].modality == "text"


def test_a_table_without_columns_to_read_is_none() -> None:
    with pytest.raises(DataError, match="table-classification: no column plays the role features"):
        choose_task(make_dataset({"label": ["x", "y"]}, roles={"target": "label"}).schema)
