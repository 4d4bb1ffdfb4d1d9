"""Gaussian process: fits a smooth model to the scores so far, and tries where it expects most; the first ten trials are random.

Use when: few trials can be paid for, and the space is a handful of numbers without conditions.
Cost: a second or so for each proposal. Suggested values: 20 to 50 trials; settings below a choice are drawn at random.
Source: Snoek et al. 2012, "Practical Bayesian optimization of machine learning algorithms".
"""

from optuna.samplers import BaseSampler, GPSampler, RandomSampler

from luthier.studies.samplers.by_trial import SamplerByTrial
from luthier.studies.space import Space

FIRST_RANDOM = 10


def make_sampler(space: Space, seed: int) -> BaseSampler:
    """Settings that every trial has are proposed together; the others at random."""
    return SamplerByTrial(
        lambda own: GPSampler(
            seed=own,
            independent_sampler=RandomSampler(seed=own),
            n_startup_trials=FIRST_RANDOM,
            warn_independent_sampling=False,
        ),
        seed=seed,
    )
