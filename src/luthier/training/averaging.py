"""Averages of weights over the steps of a training (EMA): what is evaluated and kept instead of the last weights.

Use when: the schedule does not end near zero (`constant`, cyclical), or validation jumps from evaluation to evaluation.
Cost: a copy of the trained weights, and one pass over them a step. An average undoes the exact zeros of an L1 penalty.
Suggested values: 0.99 to 0.9999; the average looks back over about 1 / (1 - decay) steps.
Source: Polyak & Juditsky 1992, "Acceleration of stochastic approximation by averaging"; the rising decay of the first steps is
that of TensorFlow's ExponentialMovingAverage.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

UPDATES = "number of updates"


class AveragedWeights:
    """An exponential moving average of what trains; with decay 0 nothing is kept and nothing done.

    Args:
        trainable: What trains, by name.
        decay: Share of the old average in the new one; smaller in the first steps, so that the start is soon forgotten.

    Example:
        >>> weight = nn.Parameter(torch.zeros(1))
        >>> averaged = AveragedWeights({"weight": weight}, decay=0.5)
        >>> for value in (1.0, 2.0):
        ...     _ = weight.data.fill_(value)
        ...     averaged.update()
        >>> with averaged.applied():
        ...     inside = round(weight.item(), 3)
        >>> inside, weight.item()
        (1.705, 2.0)
    """

    def __init__(self, trainable: Mapping[str, nn.Parameter], *, decay: float) -> None:
        self.decay = decay
        self._trainable = trainable if decay else {}
        self._average = {name: item.detach().clone() for name, item in self._trainable.items()}
        self._updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights of one step in."""
        self._updates += 1
        decay = min(self.decay, (1 + self._updates) / (10 + self._updates))
        for name, item in self._trainable.items():
            self._average[name].lerp_(item, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside the block the model has the averaged weights; afterwards its own again."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def keep(self) -> None:
        """Make the average the model's weights, for good."""
        for name, item in self._trainable.items():
            item.copy_(self._average[name])

    def tensors(self) -> dict[str, Tensor]:
        """The average, and the count of what it was taken over; empty if nothing is averaged."""
        return {**self._average, UPDATES: torch.tensor(self._updates)} if self._average else {}

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `tensors` gave."""
        for name, item in self._average.items():
            item.copy_(tensors[name])
        self._updates = int(tensors[UPDATES]) if self._average else 0

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, item in self._trainable.items():
            own: Tensor = item.detach().clone()
            item.copy_(self._average[name])
            self._average[name].copy_(own)
