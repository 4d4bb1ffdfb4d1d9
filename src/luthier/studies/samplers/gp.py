"""Gaussian process: fits a smooth model to the scores so far, and tries where it expects most,
once it has seen some of each method.

Use when: few trials can be paid for, and the space is a handful of numbers without conditions.
Cost: a second or so for each proposal. Suggested values: 20 to 50 trials; settings below a choice are drawn at random.
Source: Snoek et al. 2012, "Practical Bayesian optimization of machine learning algorithms".
"""

from collections.abc import Sequence

from optuna.samplers import BaseSampler, GPSampler, RandomSampler

from luthier.studies.samplers.by_trial import SamplerByTrial
from luthier.studies.samplers.opening import Opening, opening_of
from luthier.studies.space import Point, Space


def make_sampler(space: Space, seed: int, first: Sequence[Point] = ()) -> BaseSampler:
    """Settings that every trial has are proposed together; the others at random."""
    settled = opening_of(space, first)
    learning = SamplerByTrial(
        lambda own: GPSampler(
            seed=own,
            independent_sampler=RandomSampler(seed=own),
            n_startup_trials=len(settled),
            warn_independent_sampling=False,
        ),
        seed=seed,
    )
    return Opening(learning, settled)
