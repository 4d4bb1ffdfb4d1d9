import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.evaluation.bootstrap import Resampled, bootstrap_weights, resample
from luthier.evaluation.intervals import interval_of, score
from luthier.evaluation.measures import MEASURES
from luthier.evaluation.predictions import classification_predictions
from luthier.evaluation.records import Predictions


def made_predictions(
    num_rows: int, num_labels: int, *, share_right: float = 0.8, groups: list[str] | None = None
) -> Predictions:
    generator = np.random.default_rng(0)
    targets = generator.integers(0, num_labels, num_rows)
    said = np.where(generator.random(num_rows) < share_right, targets, (targets + 1) % num_labels)
    labels = [f"label {place}" for place in range(num_labels)]
    return classification_predictions(
        example_ids=[str(place) for place in range(num_rows)],
        targets=[labels[target] for target in targets],
        probs=np.eye(num_labels, dtype=np.float32)[said],
        labels=labels,
        groups=groups,
    )


@given(num_units=st.integers(1, 60), samples=st.integers(1, 50), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_each_resample_has_as_many_units_as_there_are(num_units: int, samples: int, seed: int) -> None:
    weights = np.concatenate(list(bootstrap_weights(num_units, samples=samples, seed=seed)), axis=1)
    assert weights.shape == (num_units, samples)
    assert (weights.sum(axis=0) == num_units).all()
    assert (weights >= 0).all()


def test_units_are_drawn_with_equal_chances() -> None:
    drawn = np.concatenate(list(bootstrap_weights(10, samples=4000, seed=0)), axis=1)
    # 40,000 draws: the mean count of a unit has a standard error of 0.015.
    assert drawn.mean(axis=1) == pytest.approx(np.ones(10), abs=0.06)


def test_the_same_seed_gives_the_same_intervals() -> None:
    said = made_predictions(50, 3)
    measures = [MEASURES["macro_f1"]]
    assert score(said, measures, samples=200, seed=1) == score(said, measures, samples=200, seed=1)
    assert score(said, measures, samples=200, seed=1) != score(said, measures, samples=200, seed=2)


def test_each_draw_is_the_measure_of_the_drawn_rows() -> None:
    said = made_predictions(30, 3, groups=[f"g{place % 12}" for place in range(30)])
    measure = MEASURES["macro_f1"]
    found = resample({"m": said}, [measure], samples=5, seed=0)["m"]["macro_f1"]
    weights = np.concatenate(list(bootstrap_weights(12, samples=5, seed=0)), axis=1)
    for draw, column in zip(found.draws, weights.T, strict=True):
        rows = np.repeat(np.arange(30), column[np.arange(30) % 12].astype(int))
        drawn = Predictions(table=said.table.take(rows), labels=said.labels)
        assert draw == pytest.approx(measure.value(measure.stats(drawn).sum(axis=0)))


def test_leaving_out_a_group_leaves_out_its_rows() -> None:
    said = made_predictions(30, 3, groups=[f"g{place % 12}" for place in range(30)])
    measure = MEASURES["macro_f1"]
    left_out = resample({"m": said}, [measure], samples=5, seed=0)["m"]["macro_f1"].left_out
    rest = Predictions(table=said.table.take(np.flatnonzero(np.arange(30) % 12 != 4)), labels=said.labels)
    assert left_out is not None
    assert left_out[4] == pytest.approx(measure.value(measure.stats(rest).sum(axis=0)))


def test_differences_are_paired_draw_by_draw() -> None:
    said = made_predictions(50, 3)
    found = resample({"a": said, "b": said}, [MEASURES["accuracy"], MEASURES["roc_auc"]], samples=20, seed=0)
    for name in ("accuracy", "roc_auc"):
        difference = found["a"][name] - found["b"][name]
        assert difference.value == 0
        assert not difference.draws.any()


def test_perfect_scores_are_no_proof_of_perfection() -> None:
    found = score(made_predictions(50, 2, share_right=1.0), [MEASURES["accuracy"], MEASURES["macro_f1"]], samples=200)
    for interval in found.values():
        # Clopper and Pearson: none of 50 wrong still allows 1 - 0.025 ** (1 / 50) = 7.1 % wrong.
        assert (interval.low, interval.high) == (pytest.approx(1 - 0.0711, abs=1e-4), 1.0)


def test_no_right_answer_is_no_proof_of_hopelessness() -> None:
    interval = score(made_predictions(50, 2, share_right=0.0), [MEASURES["accuracy"]], samples=200)["accuracy"]
    assert (interval.low, interval.high) == (0.0, pytest.approx(0.0711, abs=1e-4))


def test_the_interval_of_symmetric_draws_is_their_percentiles() -> None:
    draws = np.linspace(-1, 1, 2001)
    found = interval_of(Resampled(value=0.0, draws=draws, left_out=None, num_units=9), confidence=0.9)
    assert (found.low, found.high) == (pytest.approx(-0.9), pytest.approx(0.9))


@pytest.mark.parametrize(("num_rows", "num_labels"), [(5_500, 150), (50_000, 20)])
def test_large_test_sets_take_seconds_and_little_memory(num_rows: int, num_labels: int) -> None:
    said = made_predictions(num_rows, num_labels)
    began = time.process_time()
    score(said, [MEASURES["macro_f1"]], samples=2000)
    assert time.process_time() - began < 5
    tracemalloc.start()
    score(said, [MEASURES["macro_f1"]], samples=200)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300 * 2**20
