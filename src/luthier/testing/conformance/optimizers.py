"""What every optimizer must be."""

from collections.abc import Sequence
from typing import ClassVar

import pytest
import torch
from torch import nn

from luthier.errors import SpecError
from luthier.training.optimizer import OPTIMIZERS, build_groups, build_optimizer, build_recipe, set_learning_rate


class OptimizerConformance:
    """A member of `OPTIMIZERS` lowers a loss, stands still at rate zero, and says when to use it.

    Attributes:
        name: Its name in `OPTIMIZERS`.
        learning_rate: Under which a sum of squares falls to a tenth in a hundred steps.
        good, bad: Arguments that it takes, and refuses.
    """

    name: ClassVar[str]
    learning_rate: ClassVar[float] = 0.05
    good: ClassVar[Sequence[str]] = ("",)
    bad: ClassVar[Sequence[str]] = ("x",)

    def test_it_lowers_a_loss(self) -> None:
        """With every argument that it takes."""
        for argument in self.good:
            written = f"{self.name}:{argument}" if argument else self.name
            weight = nn.Parameter(torch.tensor([[1.0, -2.0], [3.0, 0.5]]))
            groups = build_groups([("weight", weight)], learning_rate=self.learning_rate, weight_decay=0.0)
            optimizer = build_optimizer(groups, device="cpu", name=written)
            first = float(weight.detach().square().sum())
            for _ in range(100):
                optimizer.zero_grad()
                weight.square().sum().backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            assert float(weight.detach().square().sum()) < 0.1 * first

    def test_it_stands_still_at_rate_zero(self) -> None:
        """The end of a schedule moves nothing, whatever the decay."""
        weight = nn.Parameter(torch.ones(2, 2))
        optimizer = build_optimizer(
            build_groups([("weight", weight)], learning_rate=1.0, weight_decay=0.5), device="cpu", name=self.name
        )
        set_learning_rate(optimizer, 0.0)
        weight.grad = torch.ones(2, 2)
        optimizer.step()
        assert torch.equal(weight.detach(), torch.ones(2, 2))

    def test_it_refuses_arguments_that_make_no_sense(self) -> None:
        """The error names the optimizer and something to paste."""
        for argument in self.bad:
            with pytest.raises(SpecError) as caught:
                build_recipe(f"{self.name}:{argument}")
            assert self.name in caught.value.problem
            assert caught.value.remedy.startswith(f"--optimizer {self.name}")

    def test_its_written_name_makes_it_again(self) -> None:
        """So that a spec can be run again."""
        for argument in self.good:
            name = build_recipe(f"{self.name}:{argument}" if argument else self.name).name
            assert build_recipe(name).name == name

    def test_its_card_says_when_to_use_it(self) -> None:
        """The docstring of its maker is its card."""
        card = OPTIMIZERS[self.name].__doc__ or ""
        assert card.startswith(f"`{self.name}")
        assert all(f"{word}:" in " ".join(card.split()) for word in ("Use when", "Cost", "Weight decay", "Source"))
