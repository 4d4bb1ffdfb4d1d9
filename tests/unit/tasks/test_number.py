"""A number per row."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from luthier.data.schema import Kind
from luthier.evaluation.measures import MEASURES
from luthier.tasks.answers.number import NUMBER
from luthier.tasks.text_regression import TASK as TEXTS
from luthier.testing.tables import make_dataset

ROLES = {"text": "text", "target": "price"}


def table(cells: list[object]) -> pa.Table:
    return make_dataset({"text": ["x"] * len(cells), "price": cells}, roles=ROLES, kinds={"price": Kind.NUMBER}).table


def test_numbers_are_learnt_on_a_scale_of_their_own_and_answered_in_their_unit() -> None:
    cells: list[object] = ["1000", "1200.5", "n/a", None, "800"]
    state = NUMBER.fit_state("text-regression", table(cells), "price")
    targets = NUMBER.targets(table(cells), state, "price")
    known = NUMBER.known(targets)
    assert known.tolist() == [True, True, False, False, True]
    assert targets.shape == (5, 1)
    assert targets.dtype == np.float32
    assert float(targets[known].mean()) == pytest.approx(0, abs=1e-6)
    assert float(targets[known].std()) == pytest.approx(1)
    answers = NUMBER.columns(NUMBER.decode(targets[known]), state, probs=True)["prediction"]
    assert np.asarray(answers) == pytest.approx([1000, 1200.5, 800], rel=1e-6)
    assert "between 800 and 1,200" in NUMBER.describe(state)


def test_numbers_that_never_vary_divide_by_nothing() -> None:
    state = NUMBER.fit_state("text-regression", table([3, 3]), "price")
    assert NUMBER.targets(table([3, 5]), state, "price").tolist() == [[0], [2]]


def test_the_loss_is_the_sum_of_squares_of_rows() -> None:
    found = TEXTS.loss(torch.tensor([[1.0], [3.0]]).bfloat16(), torch.tensor([[2.0], [3.5]]))
    assert float(found.sum) == pytest.approx(1.25)
    assert found.sum.dtype == torch.float32
    assert found.weight == 2


def test_predictions_are_in_the_unit_of_the_data() -> None:
    cells: list[object] = [10, 20, 40]
    state = NUMBER.fit_state("text-regression", table(cells), "price")
    said = NUMBER.predictions(table(cells), NUMBER.targets(table(cells), state, "price"), state, ROLES)
    assert said.answer_kind == "number"
    assert said.table["target"].to_pylist() == [10, 20, 40]
    assert said.table["prediction"].to_pylist() == pytest.approx([10, 20, 40], rel=1e-6)


def test_baselines_know_the_mean_a_line_and_the_neighbours() -> None:
    state = NUMBER.fit_state("text-regression", table([0, 1]), "price")
    features = np.linspace(-1, 1, 50)[:, None]
    targets = (3 * features).astype(np.float32)
    targets[0] = np.nan
    assert NUMBER.majority(targets, 2, state).ravel() == pytest.approx([np.nanmean(targets)] * 2)
    found = NUMBER.linear(100 * features, targets, np.array([[50.0], [-50.0]]), state, strength=1.0, seed=0)
    assert found.ravel() == pytest.approx([1.5, -1.5], abs=0.05)
    circle = np.stack([np.cos(np.arange(40)), np.sin(np.arange(40))], axis=1)
    height = circle[:, 1:].astype(np.float32)
    near = NUMBER.nearest(circle, height, np.array([[0.0, 1.0], [0.0, -1.0]]), state).ravel()
    assert near[0] > 0.8
    assert near[1] < -0.8


def test_errors_are_better_when_lower_and_correlations_when_higher() -> None:
    assert TEXTS.primary_measure == "mae"
    directions = {name: MEASURES[name].direction for name in TEXTS.measures}
    assert directions == {"mae": "lower", "rmse": "lower", "r2": "higher", "pearson": "higher", "spearman": "higher"}
