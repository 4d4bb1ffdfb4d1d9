"""Grid: every combination of some values of each setting, in an order that the seed shuffles; the defaults before it.

Use when: two or three settings have a few values each, and a table of all of them is wanted.
Cost: the product of the numbers of values; ranges are tried at five points. The grid stays whole: defaults that are none of its
points are trials on top of it, those that are come first.
Source: the oldest way there is; Bergstra & Bengio 2012 show why random is better with more than three settings.
"""

from collections.abc import Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from luthier.core.seeding import generator_for
from luthier.studies.space import Point, Space, grid


class GridByTrial(BaseSampler):
    """Trial number k gets point number k (Optuna's own grid knows no conditions).

    Args:
        points: In their order; one that leaves a setting out gets the first value that another has.
    """

    def __init__(self, points: Sequence[Point]) -> None:
        self._points = points

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
        own = self._points[trial.number % len(self._points)]
        value = own[param_name] if param_name in own else next(it[param_name] for it in self._points if param_name in it)
        return param_distribution.to_external_repr(value)


def make_sampler(space: Space, seed: int, first: Sequence[Point] = ()) -> BaseSampler:
    """All combinations; shuffled, so that a search that ends early has seen all corners."""
    points = points_beyond(space, first)
    return GridByTrial([*first, *(points[place] for place in generator_for(seed, "search/grid").permutation(len(points)))])


def points_beyond(space: Space, first: Sequence[Point]) -> list[dict[str, float]]:
    """The points of the grid without those that are tried first anyway."""
    return [point for point in grid(space) if not any(_is_at(given, point) for given in first)]


def _is_at(given: Point, point: Point) -> bool:
    # What is given for branches that are not taken does not matter.
    return all(given.get(name) == value for name, value in point.items())
