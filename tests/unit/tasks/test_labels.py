"""Any number of labels per row."""

import math

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from luthier.data.schema import Kind
from luthier.evaluation.display import is_share
from luthier.evaluation.measures import MEASURES
from luthier.tasks.answers.labels import LABELS
from luthier.tasks.image_multi_label import TASK as PICTURES
from luthier.tasks.protocol import TaskState
from luthier.tasks.text_multi_label import TASK as TEXTS
from luthier.testing.tables import make_dataset

STATE = TaskState(task="text-multi-label", labels=("a", "b", "c"), values={"threshold": 0.5})
ROLES = {"text": "text", "target": "label"}
CELLS = ['["b", "a"]', "[]", None, '["z", "c"]']


def table(cells: list[str | None]) -> pa.Table:
    columns = {"text": ["x"] * len(cells), "label": cells}
    return make_dataset(columns, roles=ROLES, kinds={"label": Kind.LIST}).table


def test_labels_are_those_of_train_and_each_is_a_target_of_its_own() -> None:
    state = LABELS.fit_state("text-multi-label", table(CELLS[:3]), "label")
    assert state.labels == ("a", "b")
    targets = LABELS.targets(table(CELLS), state, "label")
    assert targets.dtype == np.float32
    assert targets.tolist() == [[1, 1], [0, 0], [0, 0], [0, 0]]
    assert LABELS.known(targets).all()


def test_the_loss_is_the_sum_over_labels_and_weighs_by_rows() -> None:
    outputs, targets = torch.tensor([[2.0, -1.0, 0.0], [0.5, 0.5, 0.5]]), torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    found = TEXTS.loss(outputs, targets)
    probs = torch.sigmoid(outputs)
    expected = -(targets * probs.log() + (1 - targets) * (1 - probs).log()).sum()
    assert float(found.sum) == pytest.approx(float(expected))
    assert found.weight == 2


def test_a_fresh_head_starts_near_a_coin_for_each_label() -> None:
    fresh = TEXTS.start_loss(STATE, "fresh")
    assert fresh is not None
    assert fresh[0] < 3 * math.log(2) < fresh[1]


@given(st.lists(st.floats(-500, 500), min_size=1, max_size=6))
def test_probabilities_are_the_sigmoid_and_never_overflow(row: list[float]) -> None:
    np.testing.assert_allclose(LABELS.decode(np.array([row])), expit(np.array([row])), rtol=1e-9, atol=1e-12)


def test_columns_say_the_labels_the_most_probable_first() -> None:
    decoded = np.array([[0.6, 0.2, 0.9], [0.1, 0.1, 0.1], [0.5, 0.49, 0.0]])
    assert LABELS.columns(decoded, STATE, probs=False) == {"prediction": [["c", "a"], [], ["a"]]}
    long = LABELS.columns(decoded, STATE, probs=True)
    assert list(long)[1:] == ["prob_a", "prob_b", "prob_c"]
    assert np.asarray(long["prob_c"]) == pytest.approx([0.9, 0.1, 0.0])


def test_what_is_predicted_is_what_is_scored() -> None:
    """At the threshold itself too, whatever the precision of the probabilities."""
    decoded = np.array([[0.5, np.nextafter(0.5, 0), 0.1]])
    said = LABELS.predictions(table(['["a"]']), decoded, STATE, ROLES)
    assert set(said.table["prediction"].to_pylist()[0]) == set(LABELS.columns(decoded, STATE, probs=False)["prediction"][0])


def test_the_baselines_say_what_they_are() -> None:
    baselines = {baseline.name: baseline for baseline in TEXTS.baselines}
    assert set(baselines) == {"majority", "classic", "pretrained", "persistence"}
    assert "TF-IDF" in baselines["classic"].about
    assert baselines["majority"].title == "Most frequent labels"


def test_the_majority_is_the_most_frequent_set() -> None:
    targets = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0], [0, 0, 1]], dtype=np.float32)
    assert LABELS.majority(targets, 2, STATE).tolist() == [[1, 1, 0], [1, 1, 0]]


def test_the_classic_has_a_model_for_each_label_also_for_one_that_is_always_there() -> None:
    features = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]] * 5)
    targets = np.stack([features[:, 0], features[:, 1], np.ones(20)], axis=1).astype(np.float32)
    found = LABELS.linear(features, targets, np.array([[1.0, 0.0], [0.0, 1.0]]), STATE, strength=100.0, seed=0)
    assert (found >= 0.5).tolist() == [[True, False, True], [False, True, True]]


def test_the_last_labels_come_again_and_the_usual_ones_where_none_were() -> None:
    targets = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=np.float32)
    last = np.array([[0, 0, 1], [np.nan] * 3], dtype=np.float32)
    assert LABELS.persist(last, (targets, targets), STATE).tolist() == [[0, 0, 1], [1, 1, 0]]


def test_neighbours_vote_for_each_label() -> None:
    features = np.array([[1.0, 0.0]] * 3 + [[-1.0, 0.0]] * 3)
    targets = np.array([[1, 0]] * 2 + [[1, 1]] + [[0, 1]] * 3, dtype=np.float32)
    found = LABELS.nearest(features, targets, np.array([[2.0, 0.1], [-3.0, 0.1]]), STATE)
    assert found == pytest.approx(np.array([[1.0, 1 / 3], [0.0, 1.0]]))


def test_pictures_are_ranked_too() -> None:
    assert "mean_average_precision" in PICTURES.measures
    assert all(is_share(name) and MEASURES[name].direction == "higher" for name in PICTURES.measures)
