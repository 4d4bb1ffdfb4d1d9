"""How much each setting mattered: which share of the differences between trials it explains (fANOVA, by Optuna).

Settings that exist only below a choice are judged among the trials that made it. With few trials this is a rough picture, and
it is about the space that was searched: a setting whose range held only good values looks unimportant.

Source: Hutter et al. 2014, "An efficient approach for assessing hyperparameter importance".
"""

import math
from collections.abc import Mapping, Sequence

import optuna
from optuna.importance import FanovaImportanceEvaluator

from luthier.studies.database import quiet_optuna
from luthier.studies.records import Importance, TrialRecord
from luthier.studies.space import Choice, Dimension, Option, Range, Space

FEWEST_TRIALS = 6
SEED = 0


def importances(space: Space, trials: Sequence[TrialRecord]) -> list[Importance]:
    """The importance of each setting, largest first within its group; groups with too few trials are left out.

    Args:
        space: What varied.
        trials: All trials; those that ran to their end count, repetitions do not.
    """
    complete = [trial for trial in trials if trial.state == "complete" and trial.repeats is None]
    return _group(space, complete, within="")


def _group(space: Space, trials: Sequence[TrialRecord], *, within: str) -> list[Importance]:
    found = _evaluate(space, trials, within=within)
    for dimension in space:
        for option in _options(dimension):
            chose = [trial for trial in trials if trial.values.get(dimension.path) == option.value]
            found += _group(option.space, chose, within=f"{dimension.path}={option.value}") if option.space else []
    return found


def _options(dimension: Dimension) -> tuple[Option, ...]:
    return dimension.domain.options if isinstance(dimension.domain, Choice) else ()


def _evaluate(space: Space, trials: Sequence[TrialRecord], *, within: str) -> list[Importance]:
    varied = [item for item in space if len({repr(trial.values.get(item.path)) for trial in trials}) > 1]
    scores = {trial.score for trial in trials}
    if len(trials) < FEWEST_TRIALS or not varied or len(scores) < 2:
        return []
    with quiet_optuna():
        study = optuna.create_study(direction="maximize")
        study.add_trials([_as_optuna(varied, trial) for trial in trials])
        evaluator = FanovaImportanceEvaluator(seed=SEED)
        shares: Mapping[str, float] = evaluator.evaluate(study, params=[item.path for item in varied])
    total = sum(value for value in shares.values() if math.isfinite(value)) or 1.0
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    return [Importance(path=path, within=within, share=float(share / total), num_trials=len(trials)) for path, share in ranked]


def _as_optuna(varied: Sequence[Dimension], trial: TrialRecord) -> optuna.trial.FrozenTrial:
    values = {item.path: trial.values[item.path] for item in varied}
    return optuna.create_trial(
        value=trial.score, params=values, distributions={item.path: _distribution(item.domain) for item in varied}
    )


def _distribution(domain: Range | Choice) -> optuna.distributions.BaseDistribution:
    if isinstance(domain, Choice):
        return optuna.distributions.CategoricalDistribution([option.value for option in domain.options])
    if domain.whole:
        return optuna.distributions.IntDistribution(int(domain.low), int(domain.high))
    return optuna.distributions.FloatDistribution(domain.low, domain.high, log=domain.log)
