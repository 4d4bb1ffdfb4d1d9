"""Pruners: the median rule decides as Optuna's does; Hyperband keeps the best third of a bracket; none keeps all."""

import warnings

import numpy as np
import optuna
import pytest

from luthier.studies.database import quiet_optuna
from luthier.studies.pruners import PRUNERS, Curve
from luthier.studies.pruners.hyperband import BRACKETS


def curves_of(seed: int, number: int) -> list[Curve]:
    generator = np.random.default_rng(seed)
    made = []
    for place in range(number):
        scores = np.maximum.accumulate(generator.random(10))
        made.append(Curve(number=place, scores=dict(enumerate(scores.tolist(), 1)), is_complete=place % 4 != 3))
    return made


@pytest.mark.parametrize("seed", range(8))
def test_the_median_rule_is_optunas(seed: int) -> None:
    *others, own = curves_of(seed, 14)
    with quiet_optuna(), warnings.catch_warnings():
        study = optuna.create_study(direction="maximize")
        for curve in others:
            state = optuna.trial.TrialState.COMPLETE if curve.is_complete else optuna.trial.TrialState.PRUNED
            values = dict(curve.scores)
            study.add_trial(optuna.create_trial(state=state, value=values[10], intermediate_values=values))
        pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=3)
        for tenth in range(3, 10):
            reported = {step: score for step, score in own.scores.items() if step <= tenth}
            trial = optuna.create_trial(state=optuna.trial.TrialState.RUNNING, intermediate_values=reported)
            assert PRUNERS["median"](own, tenth, others) == pruner.prune(study, trial), tenth


def test_the_median_rule_waits_for_some_completed_trials_and_some_steps() -> None:
    bad = Curve(number=9, scores=dict.fromkeys(range(1, 11), 0.0))
    good = [Curve(number=place, scores=dict.fromkeys(range(1, 11), 1.0), is_complete=True) for place in range(5)]
    assert PRUNERS["median"](bad, 3, good)
    assert not PRUNERS["median"](bad, 2, good)
    assert not PRUNERS["median"](bad, 3, good[:4])


def test_hyperband_keeps_the_best_third_of_each_bracket_and_one_bracket_whole() -> None:
    generator = np.random.default_rng(0)
    seen: list[Curve] = []
    ended: dict[int, list[bool]] = {bracket: [] for bracket in range(BRACKETS)}
    for number in range(180):
        own = Curve(number=number, scores=dict.fromkeys(range(1, 11), float(generator.random())))
        ended[number % BRACKETS].append(PRUNERS["hyperband"](own, 1, seen))
        seen.append(own)
    shares = [float(np.mean(ended[bracket])) for bracket in range(BRACKETS)]
    assert shares[0] == pytest.approx(2 / 3, abs=0.12)
    assert shares[1:] == [0, 0]
    own = Curve(number=181, scores=dict.fromkeys(range(1, 11), -1.0))
    assert PRUNERS["hyperband"](own, 3, seen) and not PRUNERS["hyperband"](own, 2, seen)


def test_none_ends_nothing() -> None:
    *others, own = curves_of(0, 12)
    assert not any(PRUNERS["none"](own, tenth, others) for tenth in range(1, 11))
