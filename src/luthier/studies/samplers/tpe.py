"""TPE: learns which values good trials have in common, and proposes more of them; the first ten trials are random.

Use when: you do not know better; it copes with choices, conditions and trials that were ended early.
Cost: nothing to speak of. Suggested values: 30 trials or more, since ten are spent on looking around.
Source: Bergstra et al. 2011, "Algorithms for hyper-parameter optimization"; Watanabe 2023, arXiv 2304.11127.
"""

from optuna.samplers import BaseSampler, TPESampler

from luthier.studies.samplers.by_trial import SamplerByTrial
from luthier.studies.space import Space

FIRST_RANDOM = 10


def make_sampler(space: Space, seed: int) -> BaseSampler:
    """Each setting on its own, as conditions need it; running trials count as bad ones, so that workers do not agree."""
    return SamplerByTrial(
        lambda own: TPESampler(seed=own, n_startup_trials=FIRST_RANDOM, multivariate=False, constant_liar=True), seed=seed
    )
