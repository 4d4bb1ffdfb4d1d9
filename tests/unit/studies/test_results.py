"""What is said about a search: optimism against a simulation whose truth is known, importance where one setting matters."""

import numpy as np
import pytest

from luthier.studies.importance import importances
from luthier.studies.optimism import estimate_optimism
from luthier.studies.records import TrialRecord
from luthier.studies.space import parse_space


def mean_of(sums: np.ndarray) -> np.ndarray:
    return np.asarray(sums[..., 0] / sums[..., 1])


def trials_of(generator: np.random.Generator, truths: list[float], rows: int) -> dict[int, np.ndarray]:
    return {
        number: np.stack([generator.random(rows) < truth, np.ones(rows)], axis=1).astype(float)
        for number, truth in enumerate(truths)
    }


def test_the_optimism_of_equal_trials_is_what_the_simulation_says() -> None:
    """Thirty trials that are truly worth 80 %: the best looks better, and the estimate takes nearly all of that back."""
    best, corrected = [], []
    for seed in range(20):
        stats = trials_of(np.random.default_rng(seed), [0.8] * 30, 300)
        found = estimate_optimism(stats, mean_of, direction="higher", seed=seed, num_samples=100)
        assert found is not None
        best.append(found.best)
        corrected.append(found.corrected)
    assert np.mean(best) > 0.84
    assert np.mean(corrected) == pytest.approx(0.8, abs=0.015)


def test_one_trial_that_is_clearly_best_has_hardly_any_optimism() -> None:
    stats = trials_of(np.random.default_rng(0), [0.5] * 10 + [0.9], 500)
    found = estimate_optimism(stats, mean_of, direction="higher", seed=0)
    assert found is not None and abs(found.amount) < 0.01
    assert found.low < 0.9 < found.high


def test_the_lower_the_better_is_told_the_same_way() -> None:
    stats = {
        number: np.concatenate([1 - rows[:, :1], rows[:, 1:]], axis=1)
        for number, rows in trials_of(np.random.default_rng(3), [0.8] * 20, 200).items()
    }
    found = estimate_optimism(stats, mean_of, direction="lower", seed=0)
    assert found is not None and found.amount > 0 and found.corrected > found.best


def test_rows_that_belong_together_are_drawn_together() -> None:
    base = trials_of(np.random.default_rng(1), [0.8] * 20, 60)
    stats = {number: np.repeat(rows, 10, axis=0) for number, rows in base.items()}
    apart = estimate_optimism(stats, mean_of, direction="higher", seed=0)
    together = estimate_optimism(stats, mean_of, direction="higher", seed=0, units=np.repeat(np.arange(60), 10).tolist())
    assert apart is not None and together is not None and together.amount > apart.amount


@pytest.mark.parametrize(("trials", "rows"), [(1, 100), (5, 5)])
def test_too_little_to_resample_gives_none(trials: int, rows: int) -> None:
    stats = trials_of(np.random.default_rng(0), [0.8] * trials, rows)
    assert estimate_optimism(stats, mean_of, direction="higher", seed=0) is None


def test_the_setting_that_alone_matters_gets_the_importance() -> None:
    space = parse_space(
        {"training.l1": {"uniform": [0, 1]}, "training.l2": {"uniform": [0, 1]}, "training.refit": [True, False]}
    )
    generator = np.random.default_rng(0)
    trials = []
    for number in range(40):
        values = {
            "training.l1": float(generator.random()),
            "training.l2": float(generator.random()),
            "training.refit": bool(number % 2),
        }
        trials.append(TrialRecord(number=number, values=values, state="complete", score=values["training.l1"] ** 2))
    found = importances(space, trials)
    assert found[0].path == "training.l1" and found[0].share > 0.8
    assert sum(item.share for item in found) == pytest.approx(1)


def test_settings_below_a_choice_are_judged_among_the_trials_that_made_it() -> None:
    space = parse_space({"training.method": {"choice": {"probe": {}, "full": {"l1": {"uniform": [0, 1]}}}}})
    generator = np.random.default_rng(0)
    trials = []
    for number in range(30):
        l1 = float(generator.random())
        values = {"training.method": "full", "training.l1": l1} if number % 2 else {"training.method": "probe"}
        trials.append(TrialRecord(number=number, values=values, state="complete", score=l1 if number % 2 else 0.1))
    found = {item.path: item for item in importances(space, trials)}
    assert found["training.l1"].within == "training.method=full"
    assert found["training.l1"].num_trials == 15


def test_few_trials_say_nothing_about_importance() -> None:
    space = parse_space({"training.l1": {"uniform": [0, 1]}})
    assert importances(space, [TrialRecord(number=0, values={"training.l1": 0.5}, state="complete", score=1.0)]) == []
