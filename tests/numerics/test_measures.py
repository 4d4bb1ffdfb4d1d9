"""Measures against scikit-learn, which defines them here."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.calibration import calibration_curve

from luthier.evaluation.bootstrap import score_of
from luthier.evaluation.calibration import best_temperature, calibration_error, confidences, reliability_curve
from luthier.evaluation.measures import MEASURES
from luthier.evaluation.per_class import class_scores, confusion_matrix
from luthier.evaluation.predictions import classification_predictions, prediction_indices, prob_matrix, target_indices
from luthier.evaluation.records import Predictions


def made_predictions(targets: list[int], num_labels: int, seed: int) -> Predictions:
    """Random probabilities; a target of -1 is written as a label that the model does not know."""
    labels = [f"label {place}" for place in range(num_labels)]
    # Few distinct values, so that ties are common.
    raw = np.random.default_rng(seed).integers(1, 6, size=(len(targets), num_labels)).astype(float)
    return classification_predictions(
        example_ids=[str(place) for place in range(len(targets))],
        targets=[labels[target] if target >= 0 else "never seen" for target in targets],
        probs=raw / raw.sum(axis=1, keepdims=True),
        labels=labels,
    )


@st.composite
def any_predictions(draw: st.DrawFn, *, unseen: bool = True) -> Predictions:
    num_labels = draw(st.integers(2, 6))
    targets = draw(st.lists(st.integers(-1 if unseen else 0, num_labels - 1), min_size=2, max_size=40))
    return made_predictions(targets, num_labels, draw(st.integers(0, 1000)))


def value_of(name: str, said: Predictions) -> float:
    rows = np.arange(said.table.num_rows)
    return score_of(said, MEASURES[name], rows).values(np.ones((len(rows), 1))).item()


COUNTED: dict[str, Callable[..., float]] = {
    "accuracy": metrics.accuracy_score,
    "macro_f1": partial(metrics.f1_score, average="macro", zero_division=0),
    "macro_precision": partial(metrics.precision_score, average="macro", zero_division=0),
    "macro_recall": partial(metrics.recall_score, average="macro", zero_division=0),
    "weighted_f1": partial(metrics.f1_score, average="weighted", zero_division=0),
    "mcc": metrics.matthews_corrcoef,
}
ABOUT_A_SINGLE_CLASS = "ignore:A single label was found"  # scikit-learn's advice for confusion matrices, which mcc makes inside


@pytest.mark.filterwarnings(ABOUT_A_SINGLE_CLASS)
@pytest.mark.parametrize("name", COUNTED)
@given(said=any_predictions())
@settings(max_examples=40, deadline=None)
def test_measures_of_counts_equal_scikit_learn(name: str, said: Predictions) -> None:
    expected = COUNTED[name](target_indices(said), prediction_indices(said))
    assert value_of(name, said) == pytest.approx(expected, abs=1e-12)


@given(said=any_predictions(unseen=False))
@settings(max_examples=40, deadline=None)
def test_log_loss_equals_scikit_learn(said: Predictions) -> None:
    places = np.arange(len(said.labels))
    expected = metrics.log_loss(target_indices(said), prob_matrix(said), labels=places)
    assert value_of("log_loss", said) == pytest.approx(expected, rel=1e-5)


@given(said=any_predictions(unseen=False))
@settings(max_examples=40, deadline=None)
def test_brier_score_is_the_squared_distance_from_the_truth(said: Predictions) -> None:
    truth = np.eye(len(said.labels))[target_indices(said)]
    assert value_of("brier", said) == pytest.approx(((prob_matrix(said) - truth) ** 2).sum(axis=1).mean(), abs=1e-6)


def test_an_unseen_target_costs_as_much_as_certainty_in_the_wrong() -> None:
    said = made_predictions([-1], 2, seed=0)
    assert value_of("log_loss", said) == pytest.approx(-np.log(np.finfo(np.float32).eps))
    assert value_of("brier", said) == pytest.approx((prob_matrix(said) ** 2).sum() + 1)


@given(said=any_predictions(unseen=False))
@settings(max_examples=40, deadline=None)
def test_top_3_accuracy_equals_scikit_learn(said: Predictions) -> None:
    if len(said.labels) > 3:
        places = np.arange(len(said.labels))
        expected = metrics.top_k_accuracy_score(target_indices(said), prob_matrix(said), k=3, labels=places)
        assert value_of("top_3_accuracy", said) == pytest.approx(expected)


@pytest.mark.parametrize("num_labels", [2, 3, 5])
def test_roc_auc_equals_scikit_learn(num_labels: int) -> None:
    targets = np.random.default_rng(0).permutation(np.arange(60) % num_labels).tolist()
    said = made_predictions(targets, num_labels, seed=1)
    probs = prob_matrix(said)
    # One label against the rest, label by label: dividing rows anew, as the several-label form demands, would break ties.
    judged = [1] if num_labels == 2 else range(num_labels)
    expected = np.mean([metrics.roc_auc_score(np.array(targets) == place, probs[:, place]) for place in judged])
    assert value_of("roc_auc", said) == pytest.approx(expected)


@pytest.mark.parametrize("num_labels", [2, 3, 5])
def test_average_precision_equals_scikit_learn_also_of_a_resample(num_labels: int) -> None:
    generator = np.random.default_rng(0)
    targets = generator.permutation(np.arange(60) % num_labels)
    said = made_predictions(targets.tolist(), num_labels, seed=1)
    judged = [1] if num_labels == 2 else range(num_labels)
    for places in (np.arange(60), generator.integers(0, 60, 60)):
        drawn, probs = targets[places], prob_matrix(said)[places]
        expected = np.mean([metrics.average_precision_score(drawn == place, probs[:, place]) for place in judged])
        assert MEASURES["average_precision"].value_of(said, places) == pytest.approx(expected)


@pytest.mark.parametrize("num_labels", [2, 4])
def test_roc_auc_of_a_resample_equals_scikit_learn(num_labels: int) -> None:
    generator = np.random.default_rng(3)
    targets = generator.permutation(np.arange(80) % num_labels)
    said = made_predictions(targets.tolist(), num_labels, seed=2)
    judged, places = [1] if num_labels == 2 else range(num_labels), generator.integers(0, 80, 80)
    drawn, probs = targets[places], prob_matrix(said)[places]
    expected = np.mean([metrics.roc_auc_score(drawn == place, probs[:, place]) for place in judged])
    assert MEASURES["roc_auc"].value_of(said, places) == pytest.approx(expected)


def test_average_precision_without_an_example_of_the_class_is_nothing() -> None:
    assert value_of("average_precision", made_predictions([0, 0, 0], 2, seed=0)) == 0.0


def test_roc_auc_without_a_second_class_is_a_half() -> None:
    assert value_of("roc_auc", made_predictions([0, 0, 0], 2, seed=0)) == 0.5


@given(said=any_predictions())
@settings(max_examples=40, deadline=None)
def test_scores_by_class_equal_scikit_learn(said: Predictions) -> None:
    places = np.arange(len(said.labels))
    expected = metrics.precision_recall_fscore_support(
        target_indices(said), prediction_indices(said), labels=places, zero_division=0
    )
    found = class_scores(said)
    for row, column in zip(expected, ("precision", "recall", "f1", "support"), strict=True):
        assert [getattr(item, column) for item in found] == pytest.approx(row.tolist())


@given(said=any_predictions(unseen=False))
@settings(max_examples=40, deadline=None)
def test_the_confusion_matrix_equals_scikit_learn(said: Predictions) -> None:
    places = np.arange(len(said.labels))
    expected = metrics.confusion_matrix(target_indices(said), prediction_indices(said), labels=places)
    assert confusion_matrix(said).tolist() == expected.tolist()


def test_the_reliability_curve_equals_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    confidence = generator.random(500)
    right = generator.random(500) < confidence**2
    accuracies, means = calibration_curve(right, confidence, n_bins=15, strategy="quantile")
    points = reliability_curve(confidence, right)
    assert [point.accuracy for point in points] == pytest.approx(accuracies.tolist())
    assert [point.confidence for point in points] == pytest.approx(means.tolist())
    assert sum(point.n for point in points) == 500


def test_the_calibration_error_is_the_mean_distance_over_bins() -> None:
    confidence = np.array([0.6, 0.6, 0.6, 0.6, 0.9, 0.9, 0.9, 0.9])
    right = np.array([1, 0, 0, 0, 1, 1, 1, 1], dtype=bool)
    assert calibration_error(confidence, right, num_bins=2) == pytest.approx((abs(0.6 - 0.25) + abs(0.9 - 1)) / 2)


def test_the_best_temperature_is_the_one_the_probabilities_were_sharpened_by() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(20_000, 3))
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = (generator.random((20_000, 1)) > honest.cumsum(axis=1)).sum(axis=1)
    sharpened = honest**2.5
    labels = ["a", "b", "c"]
    said = classification_predictions(
        example_ids=[str(place) for place in range(20_000)],
        targets=[labels[min(target, 2)] for target in targets],
        probs=sharpened / sharpened.sum(axis=1, keepdims=True),
        labels=labels,
    )
    assert best_temperature(said) == pytest.approx(2.5, rel=0.05)
    assert calibration_error(*confidences(said)) > 0.1
