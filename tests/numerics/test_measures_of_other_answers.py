"""Measures of label sets and of numbers against scikit-learn and SciPy, which define them here."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from luthier.evaluation.bootstrap import score_of
from luthier.evaluation.compare import compare
from luthier.evaluation.label_sets import label_matrix, label_set_predictions
from luthier.evaluation.measures import MEASURES
from luthier.evaluation.numbers import number_predictions
from luthier.evaluation.per_class import class_scores
from luthier.evaluation.predictions import prob_matrix
from luthier.evaluation.records import Predictions

LABELS = ["a", "b", "c", "d"]


def value_of(name: str, said: Predictions, weights: np.ndarray | None = None) -> float:
    rows = np.arange(said.table.num_rows)
    weights = np.ones(len(rows)) if weights is None else weights
    return score_of(said, MEASURES[name], rows).values(weights[:, None].astype(float)).item()


@st.composite
def any_sets(draw: st.DrawFn) -> Predictions:
    """Every label occurs, so that scikit-learn averages over the same ones; few different probabilities make ties common."""
    number = draw(st.integers(1, 30))
    generator = np.random.default_rng(draw(st.integers(0, 1000)))
    targets = np.concatenate([np.eye(4, dtype=bool), generator.random((number, 4)) < 0.4])
    return label_set_predictions(
        example_ids=[str(place) for place in range(len(targets))],
        targets=[[LABELS[place] for place in np.flatnonzero(row)] for row in targets],
        probs=generator.integers(0, 11, targets.shape) / 10,
        labels=LABELS,
    )


OF_SETS: dict[str, Callable[..., float]] = {
    "subset_accuracy": metrics.accuracy_score,
    **{
        f"{average}_{name}": partial(function, average=average, zero_division=0)
        for average in ("micro", "macro")
        for name, function in (
            ("f1", metrics.f1_score), ("precision", metrics.precision_score), ("recall", metrics.recall_score),
        )
    },
    "weighted_f1": partial(metrics.f1_score, average="weighted", zero_division=0),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_SETS)
@given(said=any_sets())
@settings(max_examples=30, deadline=None)
def test_measures_of_label_sets_are_scikit_learns(name: str, said: Predictions) -> None:
    true, given_labels = (label_matrix(said, column)[:, :-1].astype(int) for column in ("target", "prediction"))
    assert value_of(name, said) == pytest.approx(OF_SETS[name](true, given_labels))


@given(said=any_sets(), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_mean_average_precision_is_scikit_learns_also_of_resamples(said: Predictions, seed: int) -> None:
    true, probs = label_matrix(said, "target")[:, :-1], prob_matrix(said)
    assert value_of("mean_average_precision", said) == pytest.approx(metrics.average_precision_score(true, probs))
    weights = np.random.default_rng(seed).integers(0, 3, len(true))
    weights[:4] = 1  # every label keeps an example
    rows = np.repeat(np.arange(len(true)), weights)
    expected = metrics.average_precision_score(true[rows], probs[rows])
    assert value_of("mean_average_precision", said, weights) == pytest.approx(expected)
    assert MEASURES["mean_average_precision"].value_of(said, rows) == pytest.approx(expected)  # type: ignore[union-attr]


@given(said=any_sets())
@settings(max_examples=20, deadline=None)
def test_scores_by_label_are_scikit_learns(said: Predictions) -> None:
    true, given_labels = (label_matrix(said, column)[:, :-1].astype(int) for column in ("target", "prediction"))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(true, given_labels, zero_division=0)
    found = class_scores(said)
    np.testing.assert_allclose([row.precision for row in found], precision)
    np.testing.assert_allclose([row.recall for row in found], recall)
    np.testing.assert_allclose([row.f1 for row in found], f1)
    assert [row.support for row in found] == support.tolist()


def test_labels_that_the_model_does_not_know_are_missed() -> None:
    said = label_set_predictions(
        example_ids=["x:1", "x:2"], targets=[["a", "new", "newer"], []], probs=np.array([[0.9], [0.1]]), labels=["a"]
    )
    assert value_of("micro_recall", said) == pytest.approx(1 / 3)
    assert value_of("micro_precision", said) == 1
    assert value_of("subset_accuracy", said) == 0.5


NUMBERS = st.lists(st.floats(-1e4, 1e4).map(lambda value: round(value, 2)), min_size=3, max_size=40)
OF_NUMBERS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "mae": metrics.mean_absolute_error,
    "rmse": metrics.root_mean_squared_error,
    "r2": metrics.r2_score,
    "pearson": lambda y, p: float(stats.pearsonr(y, p).statistic),
    "spearman": lambda y, p: float(stats.spearmanr(y, p).statistic),
}


def numbers(targets: np.ndarray, answers: np.ndarray) -> Predictions:
    return number_predictions(example_ids=[str(place) for place in range(len(targets))], targets=targets, answers=answers)


@pytest.mark.parametrize("name", OF_NUMBERS)
@given(targets=NUMBERS, seed=st.integers(0, 1000), spread=st.sampled_from([0.0, 1.0, 100.0]))
@settings(max_examples=40, deadline=None)
def test_measures_of_numbers_are_scikit_learns_and_scipys(name: str, targets: list[float], seed: int, spread: float) -> None:
    generator = np.random.default_rng(seed)
    y = np.array(targets) + np.arange(len(targets))  # never all the same
    p = np.round(y + generator.normal(0, spread, len(y)), 1) + np.arange(len(y)) % 2
    if np.ptp(y) < 1e-3 * np.abs(y).max() or np.ptp(p) < 1e-3 * np.abs(p).max():
        return
    assert value_of(name, numbers(y, p)) == pytest.approx(OF_NUMBERS[name](y, p), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_a_weighted_number_is_a_repeated_one(name: str) -> None:
    generator = np.random.default_rng(0)
    y = generator.integers(1, 6, 40).astype(float)  # many ties
    p = y + generator.normal(0, 1, 40).round(1)
    weights = generator.integers(0, 4, 40)
    rows = np.repeat(np.arange(40), weights)
    assert value_of(name, numbers(y, p), weights) == pytest.approx(OF_NUMBERS[name](y[rows], p[rows]))


def test_what_does_not_vary_correlates_with_nothing() -> None:
    flat, varied = np.full(5, 1 / 3), np.arange(5.0)
    for y, p in ((flat, varied), (varied, flat)):
        assert value_of("pearson", numbers(y, p)) == 0
        assert value_of("spearman", numbers(y, p)) == 0
    assert value_of("r2", numbers(flat, varied)) == metrics.r2_score(flat, varied) == 0
    assert value_of("r2", numbers(flat, flat)) == 1


def test_lower_errors_are_tested_as_any_other_score() -> None:
    """A paired test of the mean absolute error, beside a t-test of the paired distances (which it must agree with roughly)."""
    generator = np.random.default_rng(0)
    y = generator.normal(0, 1, 200)
    good, bad = y + generator.normal(0, 0.5, 200), y + generator.normal(0, 0.55, 200)
    found = compare(numbers(y, good), numbers(y, bad), MEASURES["mae"], samples=4000)
    expected = stats.ttest_rel(np.abs(good - y), np.abs(bad - y))
    assert found.difference == pytest.approx(np.abs(good - y).mean() - np.abs(bad - y).mean())
    assert found.p == pytest.approx(expected.pvalue, abs=0.03)
