"""Which task the columns are."""

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
        choose_task(schema)


def test_a_misspelt_task_shows_the_nearest() -> None:
    with pytest.raises(SpecError, match="Did you mean 'text-classification'"):
        choose_task(texts(text="message", target="label").schema, name="text-clasification")
