"""How a study opens: some trials whose values, or some of them, are settled before any sampler is asked.

First each method with its defaults, then, for samplers that learn, the branches of the space in turn: a method that is cheap
and soon looks good must not be all that the sampler gets to see.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from luthier.studies.space import Choice, Point, Space

FEWEST, FEWEST_OF_A_BRANCH = 10, 4  # trials before a sampler may learn: in all, and of each option with a space of its own


class Opening(BaseSampler):
    """Trial number k gets what is settled for it, whichever process makes it and however often; the rest comes from a sampler.

    Args:
        inner: Proposes what is not settled.
        settled: Of the first trials: name of the dimension -> what `Suggest` gives.
    """

    def __init__(self, inner: BaseSampler, settled: Sequence[Point]) -> None:
        self._inner, self._settled = inner, settled

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """In the opening each setting is drawn on its own."""
        return {} if trial.number < len(self._settled) else self._inner.infer_relative_search_space(study, trial)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """After the opening, what the sampler proposes together."""
        return {} if trial.number < len(self._settled) else self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """What is settled, or else what the sampler proposes."""
        settled: Mapping[str, float] = self._settled[trial.number] if trial.number < len(self._settled) else {}
        if param_name in settled:
            return param_distribution.to_external_repr(settled[param_name])
        return self._inner.sample_independent(study, trial, param_name, param_distribution)


def opening_of(space: Space, first: Sequence[Point]) -> list[Point]:
    """What is settled before a sampler learns: the first points, then only which branch is taken, in turn.

    Args:
        space: What varies.
        first: The points that are tried first.

    Example:
        >>> from luthier.studies.space import parse_space
        >>> branches = {"probe": {}, "full": {"learning_rate": {"log": [1e-5, 1e-3]}}}
        >>> space = parse_space({"training.method": {"choice": branches}})
        >>> [point.get("training.method") for point in opening_of(space, [{"training.method": 1.0}])]
        [1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]
    """
    choices = {item.name: item.domain.options for item in space if isinstance(item.domain, Choice)}
    branching = {name: len(options) for name, options in choices.items() if any(option.space for option in options)}
    num_trials = max(FEWEST, FEWEST_OF_A_BRANCH * max(branching.values(), default=0), len(first))
    turns = [{name: float(number % count) for name, count in branching.items()} for number in range(len(first), num_trials)]
    return [*first, *turns]
