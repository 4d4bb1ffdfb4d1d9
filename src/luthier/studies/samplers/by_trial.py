"""A sampler without a memory of its own: its random numbers follow from the seed, the trial's number and the setting's name."""

from collections.abc import Callable
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from luthier.core.seeding import seed_for

MOST = 2**32  # Optuna takes seeds of 32 bits


class SamplerByTrial(BaseSampler):
    """Makes a fresh sampler for each draw, so that a proposal can be repeated by any process at any time.

    Args:
        make: Seed -> sampler.
        seed: Of the search.
    """

    def __init__(self, make: Callable[[int], BaseSampler], *, seed: int) -> None:
        self._make, self._seed = make, seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The settings that are proposed together."""
        return self._for(trial, "").infer_relative_search_space(study, trial)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """Values of those settings."""
        return self._for(trial, "").sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The value of one setting; by its name, so that it does not matter which others were drawn before a kill."""
        return self._for(trial, param_name).sample_independent(study, trial, param_name, param_distribution)

    def _for(self, trial: FrozenTrial, name: str) -> BaseSampler:
        return self._make(seed_for(self._seed, f"search/{trial.number}/{name}") % MOST)
