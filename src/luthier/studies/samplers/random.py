"""Random: every trial but the defaults is drawn from the space, whatever the others gave.

Use when: many machines work at once, or the trials are to say something about the whole space and not only its best corner.
Cost: nothing. Suggested values: as many trials as you can pay for.
Source: Bergstra & Bengio 2012, "Random search for hyper-parameter optimization".
"""

from collections.abc import Sequence

from optuna.samplers import BaseSampler, RandomSampler

from luthier.studies.samplers.by_trial import SamplerByTrial
from luthier.studies.samplers.opening import Opening
from luthier.studies.space import Point, Space


def make_sampler(space: Space, seed: int, first: Sequence[Point] = ()) -> BaseSampler:
    """Nothing is learnt."""
    return Opening(SamplerByTrial(lambda own: RandomSampler(seed=own), seed=seed), first)
