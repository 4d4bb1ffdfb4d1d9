from pathlib import Path

import numpy as np
import pytest

from luthier.errors import DataError
from luthier.evaluation.intervals import score
from luthier.evaluation.label_sets import label_matrix, label_set_predictions
from luthier.evaluation.measures import MEASURES
from luthier.evaluation.numbers import number_predictions
from luthier.evaluation.predictions import (
    aligned,
    classification_predictions,
    prob_matrix,
    read_predictions,
    target_indices,
    unit_indices,
    write_predictions,
)
from luthier.evaluation.records import Predictions


def made_predictions(seed: int = 0, *, groups: list[str | None] | None = None) -> Predictions:
    generator = np.random.default_rng(seed)
    return classification_predictions(
        example_ids=["f.csv:1", "f.csv:2", "f.csv:3", "f.csv:4"],
        targets=["cat", "dog", "cow", "cat"],
        probs=generator.dirichlet([1, 1], size=4),
        labels=["cat", "dog"],
        groups=groups,
    )


def test_the_table_has_the_columns_of_the_record() -> None:
    table = made_predictions().table
    assert table.column_names == ["example_id", "group", "target", "prediction", "probs"]
    assert [str(field.type) for field in table.schema] == ["string"] * 4 + ["list<item: float>"]


def test_probabilities_and_targets_come_back_as_arrays() -> None:
    probs = np.array([[0.25, 0.75], [0.5, 0.5]])
    said = classification_predictions(example_ids=["a", "b"], targets=["y", "x"], probs=probs, labels=["x", "y"])
    assert prob_matrix(said).tolist() == probs.tolist()
    assert target_indices(said).tolist() == [1, 0]
    assert said.table["prediction"].to_pylist() == ["y", "x"]


def test_a_target_unseen_in_train_is_kept_and_counts_as_wrong() -> None:
    said = classification_predictions(example_ids=["a"], targets=["cow"], probs=np.array([[1.0, 0.0]]), labels=["cat", "dog"])
    assert said.table["target"].to_pylist() == ["cow"]
    assert target_indices(said).tolist() == [-1]
    assert score(said, [MEASURES["accuracy"]], samples=200)["accuracy"].value == 0


def test_a_row_without_a_group_stands_for_itself() -> None:
    said = made_predictions(groups=["anna", None, "anna", "ben"])
    assert said.table["group"].to_pylist() == ["anna", "f.csv:2", "anna", "ben"]
    assert unit_indices(said).tolist() == [0, 1, 0, 2]


def test_array_functions_work_on_slices() -> None:
    said = made_predictions()
    part = Predictions(table=said.table.slice(2, 2), labels=said.labels)
    assert prob_matrix(part).tolist() == prob_matrix(said)[2:].tolist()
    assert target_indices(part).tolist() == [-1, 0]


@pytest.mark.parametrize(
    ("probs", "ids", "problem"),
    [
        (np.ones((2, 3)), ["a", "b"], r"shape \(2, 2\)"),
        (np.ones((2, 2)), ["a", "a"], "same example_id"),
        (np.array([[0.5, 0.5], [np.nan, 1]]), ["a", "b"], "not finite; first: b"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(probs: np.ndarray, ids: list[str], problem: str) -> None:
    with pytest.raises(DataError, match=problem) as caught:
        classification_predictions(example_ids=ids, targets=["x", "y"], probs=probs, labels=["x", "y"])
    assert caught.value.remedy


def test_predictions_in_another_order_are_aligned_by_id() -> None:
    a = made_predictions()
    b = Predictions(table=made_predictions(1).table.take([2, 0, 3, 1]), labels=a.labels)
    assert aligned(a, b).table.equals(made_predictions(1).table)


def test_predictions_of_other_examples_are_refused() -> None:
    a = made_predictions()
    with pytest.raises(DataError, match=r"same examples: 4 and 3 rows \(only in one of them: f.csv:4\)"):
        aligned(a, Predictions(table=a.table.slice(0, 3), labels=a.labels))
    with pytest.raises(DataError, match="same groups"):
        aligned(a, made_predictions(groups=["g"] * 4))


def test_every_number_is_computable_from_the_file_alone(tmp_path: Path) -> None:
    models = {"classic": made_predictions(1), "tuned": made_predictions(2)}
    write_predictions(tmp_path / "predictions.parquet", models["tuned"], others=models)
    measures = [MEASURES[name] for name in ("accuracy", "macro_f1", "log_loss", "brier")]
    back = read_predictions(tmp_path / "predictions.parquet")
    assert set(back) == {"tuned", "classic"}
    for model, said in models.items():
        assert back[model].labels == ("cat", "dog")
        assert score(back[model], measures, samples=200) == score(said, measures, samples=200)


def test_columns_that_a_task_adds_are_kept(tmp_path: Path) -> None:
    said = made_predictions()
    added = Predictions(table=said.table.append_column("length", [[1, 2, 3, 4]]), labels=said.labels)
    write_predictions(tmp_path / "p.parquet", added, others={"classic": made_predictions(1)})
    assert read_predictions(tmp_path / "p.parquet")["tuned"].table["length"].to_pylist() == [1, 2, 3, 4]


def test_a_parquet_file_of_someone_else_is_refused(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(made_predictions().table, tmp_path / "other.parquet")
    with pytest.raises(DataError, match="no labels in its schema"):
        read_predictions(tmp_path / "other.parquet")


def test_predictions_of_no_examples_are_a_table_of_no_rows() -> None:
    said = classification_predictions(example_ids=[], targets=[], probs=np.zeros((0, 2)), labels=["x", "y"])
    assert prob_matrix(said).shape == (0, 2)


@pytest.mark.parametrize(
    ("targets", "answers", "problem"),
    [
        ([1.0, 2.0], [1.0], "need as many numbers; found 1 of 'prediction'"),
        ([1.0, np.nan], [1.0, 2.0], "The target of 1 examples is no finite number; first: x:2"),
        ([1.0, 2.0], [np.inf, 2.0], "The prediction of 1 examples is no finite number; first: x:1"),
    ],
)
def test_numbers_that_are_none_are_refused(targets: list[float], answers: list[float], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        number_predictions(example_ids=["x:1", "x:2"], targets=np.array(targets), answers=np.array(answers))


def test_numbers_and_sets_need_ids_of_their_own() -> None:
    with pytest.raises(DataError, match="same example_id"):
        number_predictions(example_ids=["x", "x"], targets=np.zeros(2), answers=np.zeros(2))
    with pytest.raises(DataError, match="same example_id"):
        label_set_predictions(example_ids=["x", "x"], targets=[[], []], probs=np.zeros((2, 1)), labels=["a"])


def test_sets_need_a_probability_for_each_label() -> None:
    with pytest.raises(DataError, match="2 examples and 2 labels need probabilities of shape"):
        label_set_predictions(example_ids=["x", "y"], targets=[[], []], probs=np.zeros((2, 1)), labels=["a", "b"])


def test_labels_of_a_set_count_once_and_unknown_ones_stand_last() -> None:
    said = label_set_predictions(
        example_ids=["x", "y"],
        targets=[["b", "a", "b", "z", "q"], []],
        probs=np.array([[0.9, 0.1], [0.2, 0.5]]),
        labels=["a", "b"],
    )
    assert label_matrix(said, "target").tolist() == [[1, 1, 2], [0, 0, 0]]
    assert label_matrix(said, "prediction").tolist() == [[1, 0, 0], [0, 1, 0]]
    sliced = Predictions(table=said.table.slice(1, 1), labels=said.labels, answer_kind="labels")
    assert label_matrix(sliced, "prediction").tolist() == [[0, 1, 0]]
