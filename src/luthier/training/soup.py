"""Greedy soup: the mean of the best few states of one training, where that is no worse than the best of them.

Use when: several evaluations are about as good as the best; it costs no time when the model is used.
Cost: so many copies of the weights that train in memory (and in each saved state), and up to so many more looks at validation
at the end. Choosing on validation once more makes its score a little too good; test decides. A refit has no validation left to
choose by, and averages nothing.
Suggested values: 3 to 5.
Source: Wortsman et al. 2022, "Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing
inference time" (there of several trainings, here of the states of one).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

Tasted = TypeVar("Tasted")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A state that was evaluated.

    Attributes:
        signed: The score that decides, with the sign that makes more of it better.
        weights: Copies of everything that trains.
    """

    step: int
    signed: float
    weights: Mapping[str, Tensor]


class Larder:
    """The best states so far, at most `size` of them, best first; with size 0 nothing is kept.

    Example:
        >>> larder = Larder(2)
        >>> for step, score in ((10, 0.5), (20, 0.9), (30, 0.7)):
        ...     larder.offer(step, score, {"w": torch.ones(1)})
        >>> [candidate.step for candidate in larder.candidates]
        [20, 30]
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.candidates: list[Candidate] = []

    def offer(self, step: int, signed: float, weights: Mapping[str, Tensor]) -> None:
        """Keep a copy of a state if it is among the best; of equal ones the earlier goes first."""
        if len(self.candidates) == self.size and (not self.size or signed <= self.candidates[-1].signed):
            return
        copies = {name: item.detach().clone() for name, item in weights.items()}
        found = [*self.candidates, Candidate(step=step, signed=signed, weights=copies)]
        self.candidates = sorted(found, key=lambda one: (-one.signed, one.step))[: self.size]

    def tensors(self) -> dict[str, Tensor]:
        """All copies, for a saved state."""
        return {f"{one.step}/{name}": item for one in self.candidates for name, item in one.weights.items()}

    def state(self) -> list[dict[str, Any]]:
        """What else `load` puts back."""
        return [{"step": one.step, "signed": one.signed} for one in self.candidates]

    def load(self, tensors: Mapping[str, Tensor], state: Sequence[Mapping[str, Any]]) -> None:
        """Put back what `tensors` and `state` gave."""
        self.candidates = []
        for one in state:
            prefix = f"{one['step']}/"
            weights = {name.removeprefix(prefix): item for name, item in tensors.items() if name.startswith(prefix)}
            self.candidates.append(Candidate(step=int(one["step"]), signed=float(one["signed"]), weights=weights))


def mean_weights(candidates: Sequence[Candidate]) -> dict[str, Tensor]:
    """The plain mean of some states, in the precision of the weights.

    Example:
        >>> values = enumerate((1.0, 4.0))
        >>> states = [Candidate(step=step, signed=0.0, weights={"w": torch.tensor([value])}) for step, value in values]
        >>> mean_weights(states)["w"].item()
        2.5
    """
    return {name: torch.stack([one.weights[name] for one in candidates]).mean(0) for name in candidates[0].weights}


def stir(
    candidates: Sequence[Candidate], best: Tasted, taste: Callable[[Mapping[str, Tensor]], tuple[float, Tasted] | None]
) -> tuple[list[Candidate], Tasted] | None:
    """Which states to average: the best, then each next one if the mean with it is not worse than the mean without.

    Args:
        candidates: Best first.
        best: What is known of the first alone.
        taste: The signed score of some weights, and what else is to be known of them; None if it is to end.

    Returns:
        The states chosen, and what is known of their mean; None if it was ended.

    Example:
        >>> values = enumerate((1.0, 9.0, 3.0))
        >>> states = [Candidate(step=step, signed=-1.0, weights={"w": torch.tensor([value])}) for step, value in values]
        >>> chosen, mean = stir(states, 1.0, lambda weights: (-abs(weights["w"].item() - 2), weights["w"].item()))
        >>> [one.step for one in chosen], mean
        ([0, 2], 2.0)
    """
    chosen, signed = list(candidates[:1]), candidates[0].signed
    for one in candidates[1:]:
        tasted = taste(mean_weights([*chosen, one]))
        if tasted is None:
            return None
        if tasted[0] >= signed:
            chosen, (signed, best) = [*chosen, one], tasted
    return chosen, best
