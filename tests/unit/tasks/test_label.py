"""One label per row: labels, losses, probabilities."""

import math

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from luthier.tasks.answers.label import LABEL
from luthier.tasks.image_classification import TASK as IMAGES
from luthier.tasks.protocol import LossRecipe, Sample, TaskState
from luthier.tasks.text_classification import TASK as TEXTS
from luthier.testing.tables import make_dataset

STATE = TaskState(task="text-classification", labels=("a", "b", "c"))
ROLES = {"text": "text", "target": "label"}


def sample(texts: list[str], targets: np.ndarray, features: np.ndarray | None = None) -> Sample:
    """Rows as baselines see them."""
    return Sample(table=pa.table({"text": texts}), roles=ROLES, rows=texts, targets=targets, features=features)


def test_labels_are_sorted_without_empty_ones_and_spaces() -> None:
    dataset = make_dataset({"text": list("123456"), "label": ["b", " a ", None, "", "b ", "a"]}, roles=ROLES)
    state = TEXTS.fit_state(dataset.table, dataset.schema)
    assert state.labels == ("a", "b")
    assert LABEL.targets(dataset.table, state, "label").tolist() == [1, 0, -1, -1, 1, 0]


def test_numbers_are_labels_too() -> None:
    dataset = make_dataset({"text": ["x", "y", "z"], "label": [10, 2, 10]}, roles=ROLES)
    state = TEXTS.fit_state(dataset.table, dataset.schema)
    assert state.labels == ("10", "2")
    assert LABEL.targets(dataset.table, state, "label").tolist() == [0, 1, 0]


def test_missing_texts_become_empty() -> None:
    table = pa.table({"text": ["x", None], "label": ["a", "b"]})
    assert list(TEXTS.rows(table, ROLES)) == ["x", ""]


def test_label_smoothing_spreads_the_mass() -> None:
    outputs, targets = torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0])
    log_probs = torch.log_softmax(outputs, dim=1)[0]
    expected = -(0.9 * log_probs[0] + 0.1 * log_probs.mean())
    assert float(TEXTS.loss(outputs, targets, recipe=LossRecipe(label_smoothing=0.1)).sum) == pytest.approx(float(expected))


def test_the_loss_is_computed_in_float32() -> None:
    outputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).bfloat16()
    assert TEXTS.loss(outputs, torch.tensor([0, 1, 2, 0])).sum.dtype == torch.float32


@given(st.lists(st.lists(st.floats(-80, 80), min_size=3, max_size=3), min_size=1, max_size=5))
def test_probabilities_are_the_softmax(rows: list[list[float]]) -> None:
    outputs = np.array(rows)
    np.testing.assert_allclose(LABEL.decode(outputs), softmax(outputs, axis=1), rtol=1e-6, atol=1e-12)


def test_a_trained_head_must_start_below_a_fresh_one() -> None:
    fresh, trained = TEXTS.start_loss(STATE, "fresh"), TEXTS.start_loss(STATE, "probe")
    assert fresh is not None
    assert trained is not None
    assert fresh[0] < math.log(3) < fresh[1]
    assert trained[0] == 0
    assert trained[1] < fresh[1]


def test_columns_say_label_and_confidence_and_on_request_every_probability() -> None:
    decoded = np.array([[0.2, 0.7, 0.1], [0.5, 0.3, 0.2]])
    short = LABEL.columns(decoded, STATE, probs=False)
    assert list(short) == ["prediction", "confidence"]
    assert list(short["prediction"]) == ["b", "a"]
    assert np.asarray(short["confidence"]) == pytest.approx([0.7, 0.5])
    long = LABEL.columns(decoded, STATE, probs=True)
    assert list(long)[2:] == ["prob_a", "prob_b", "prob_c"]
    assert np.asarray(long["prob_b"]) == pytest.approx([0.7, 0.3])


def test_groups_are_what_the_bootstrap_resamples() -> None:
    columns = {"text": ["x", "y", "z"], "label": ["a", "b", "z"], "user": [1, 1, 2]}
    dataset = make_dataset(columns, roles={**ROLES, "group": "user"})
    predictions = TEXTS.predictions(dataset.table, np.eye(3), STATE, dataset.schema.roles)
    assert predictions.table.column("group").to_pylist() == ["1", "1", "2"]
    assert predictions.table.column("target").to_pylist() == ["a", "b", "z"]


@pytest.mark.parametrize("task", [TEXTS, IMAGES])
def test_the_baselines_are_majority_classic_pretrained_and_in_time_the_last_answer(task: object) -> None:
    baselines = {baseline.name: baseline for baseline in task.baselines}  # type: ignore[attr-defined]
    assert set(baselines) == {"majority", "classic", "pretrained", "persistence"}
    assert [name for name, baseline in baselines.items() if baseline.needs_features] == ["pretrained"]


def test_the_classic_baseline_reads_words() -> None:
    classic = next(baseline for baseline in TEXTS.baselines if baseline.name == "classic")
    train = ["good fine nice", "great good", "bad awful", "awful terrible bad"] * 5
    state = TaskState(task="text-classification", labels=("good", "bad"))
    known, asked = sample(train, np.array([0, 0, 1, 1] * 5)), sample(["nice and good", "terrible"], np.zeros(2))
    probs = classic.fit_predict(known, asked, state, 0)
    assert probs.argmax(axis=1).tolist() == [0, 1]


def test_the_pretrained_baseline_takes_the_nearest_class_mean() -> None:
    pretrained = next(baseline for baseline in TEXTS.baselines if baseline.needs_features)
    features = np.array([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.2], [-1.0, 0.0]])
    known = sample(["", "", "", ""], np.array([0, 0, 1, 1]), features)
    asked = sample(["", ""], np.zeros(2), np.array([[2.0, 0.5], [-0.3, 0.0]]))
    probs = pretrained.fit_predict(known, asked, TaskState(task="text-classification", labels=("a", "b")), 0)
    assert probs.argmax(axis=1).tolist() == [0, 1]
