"""What every penalty must be."""

import sys
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from luthier.training.penalties import PENALTIES
from luthier.training.penalties.penalty import Weight


class PenaltyConformance:
    """A member of `PENALTIES` goes down its own cost, for the weights it concerns.

    Attributes:
        name: Its name in `PENALTIES`, and in the settings.
        is_smooth: Whether it has a gradient everywhere; else it has a proximal step.
    """

    name: ClassVar[str]
    is_smooth: ClassVar[bool] = True

    def cost(self, weight: Tensor, pretrained: Tensor, importance: Tensor) -> Tensor:
        """What it costs, at strength 1, written out plainly."""
        raise NotImplementedError

    def _weights(self) -> list[Weight]:
        """A matrix and a vector of a backbone, the same of a head."""
        generator = torch.Generator().manual_seed(0)
        made = []
        for name, shape in {"backbone.a": (3, 4), "backbone.b": (4,), "head.a": (2, 3), "head.b": (3,)}.items():
            item = nn.Parameter(torch.randn(shape, generator=generator))
            known = torch.randn(shape, generator=generator) if name.startswith("backbone.") else None
            made.append(Weight(name=name, item=item, pretrained=known, importance=torch.rand(shape, generator=generator)))
        return made

    def _own(self) -> list[Weight]:
        own = [weight for weight in self._weights() if PENALTIES[self.name].concerns(weight)]
        assert own
        return own

    def _cost_of(self, weight: Weight, values: Tensor) -> Tensor:
        pretrained = torch.zeros_like(values) if weight.pretrained is None else weight.pretrained
        assert weight.importance is not None
        return self.cost(values, pretrained, weight.importance)

    def test_its_gradient_is_that_of_its_cost(self) -> None:
        """Added to what is there, and in proportion to its strength; nothing, where it has a proximal step instead."""
        for weight in self._own():
            (slope,) = torch.autograd.grad(self._cost_of(weight, weight.item), weight.item)
            gradient = torch.ones_like(weight.item)
            with torch.no_grad():
                PENALTIES[self.name].add_gradient(weight, gradient, 0.7)
            torch.testing.assert_close(gradient, 1 + 0.7 * slope if self.is_smooth else torch.ones_like(gradient))

    def test_its_proximal_step_is_the_minimiser(self) -> None:
        """Of half the squared distance plus the cost, found by looking everywhere; a smooth one leaves weights alone."""
        grid = torch.linspace(-4, 4, 16_001)
        for weight in self._own():
            before = weight.item.detach().clone()
            with torch.no_grad():
                PENALTIES[self.name].shrink(weight, 0.4)
            if self.is_smooth:
                assert torch.equal(weight.item, before)
                continue
            for found, value in zip(weight.item.flatten().tolist(), before.flatten().tolist(), strict=True):
                costs = [float(self._cost_of(weight, point[None])) for point in grid]
                best = grid[np.argmin(0.5 * (grid.numpy() - value) ** 2 + 0.4 * np.array(costs))]
                assert found == pytest.approx(float(best), abs=1e-3)

    def test_whom_it_concerns_does_not_depend_on_the_values(self) -> None:
        """It is decided before the first step."""
        for weight in self._weights():
            moved = replace(weight, item=nn.Parameter(weight.item * 0))
            assert PENALTIES[self.name].concerns(weight) == PENALTIES[self.name].concerns(moved)

    def test_its_card_says_when_to_use_it(self) -> None:
        """The module's docstring is its card."""
        card = sys.modules[type(PENALTIES[self.name]).__module__].__doc__ or ""
        assert all(f"{word}:" in card for word in ("Use when", "Cost", "Suggested values", "Source"))
