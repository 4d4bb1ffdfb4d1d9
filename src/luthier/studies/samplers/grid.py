"""Grid: every combination of some values of each setting, in an order that the seed shuffles.

Use when: two or three settings have a few values each, and a table of all of them is wanted.
Cost: the product of the numbers of values; ranges are tried at five points.
Source: the oldest way there is; Bergstra & Bengio 2012 show why random is better with more than three settings.
"""

from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from luthier.core.seeding import generator_for
from luthier.studies.space import Space, grid


class GridByTrial(BaseSampler):
    """Trial number k gets point number k of the shuffled grid (Optuna's own grid knows no conditions).

    Args:
        space: The space.
        seed: Of the order, so that a search that ends early has seen all corners.
    """

    def __init__(self, space: Space, *, seed: int) -> None:
        points = grid(space)
        self._points = [points[place] for place in generator_for(seed, "search/grid").permutation(len(points))]

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Each setting is looked up on its own."""
        return {}

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """Nothing is proposed together."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The trial's point has it."""
        value = self._points[trial.number % len(self._points)][param_name]
        return param_distribution.to_external_repr(value)


def make_sampler(space: Space, seed: int) -> BaseSampler:
    """All combinations."""
    return GridByTrial(space, seed=seed)
