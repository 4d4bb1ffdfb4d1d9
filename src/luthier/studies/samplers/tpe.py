"""TPE: learns which values good trials have in common, and proposes more of them, once it has seen some of each method.

Use when: you do not know better; it copes with choices, conditions and trials that were ended early.
Cost: nothing to speak of. Suggested values: 30 trials or more, since the first ten, or four of each method if those are more,
are spent on looking around: each method's defaults, then random values of the methods in turn. Without the turns a method whose
few draws were bad, or that costs more to look as good, is not looked at again.
Source: Bergstra et al. 2011, "Algorithms for hyper-parameter optimization"; Watanabe 2023, arXiv 2304.11127.
"""

from collections.abc import Sequence

from optuna.samplers import BaseSampler, TPESampler

from luthier.studies.samplers.by_trial import SamplerByTrial
from luthier.studies.samplers.opening import Opening, opening_of
from luthier.studies.space import Point, Space


def make_sampler(space: Space, seed: int, first: Sequence[Point] = ()) -> BaseSampler:
    """Each setting on its own, as conditions need it; running trials count as bad ones, so that workers do not agree."""
    settled = opening_of(space, first)
    learning = SamplerByTrial(
        lambda own: TPESampler(seed=own, n_startup_trials=len(settled), multivariate=False, constant_liar=True), seed=seed
    )
    return Opening(learning, settled)
