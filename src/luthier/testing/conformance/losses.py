"""What every loss of labels must be."""

import sys
from collections.abc import Sequence
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from luthier.errors import SpecError
from luthier.tasks.losses import LOSSES, build_loss

NUM_LABELS = 4


class LossConformance:
    """A member of `LOSSES` adds up over rows, is what it says at chance, and falls as the true label becomes likelier.

    Attributes:
        name: Its name in `LOSSES`.
        good: Arguments it takes.
        bad: Arguments it refuses.
    """

    name: ClassVar[str]
    good: ClassVar[Sequence[str]] = ("",)
    bad: ClassVar[Sequence[str]] = ("x",)

    def _written(self, argument: str) -> str:
        return f"{self.name}:{argument}" if argument else self.name

    def _rows(self) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(0)
        return 2 * torch.randn(7, NUM_LABELS, generator=generator), torch.arange(7) % NUM_LABELS

    @pytest.mark.parametrize("smoothing", [0.0, 0.2])
    @pytest.mark.parametrize("weights", [None, (0.5, 2.0, 1.0, 0.1)])
    def test_parts_add_up_to_the_whole(self, smoothing: float, weights: tuple[float, ...] | None) -> None:
        """However a batch is cut, its sum is the same, and so is the gradient."""
        balance = None if weights is None else torch.tensor(weights)
        for argument in self.good:
            loss = build_loss(self._written(argument))
            logits, labels = self._rows()
            logits.requires_grad_(True)
            whole = loss.total(logits, labels, balance, smoothing)
            parts = [loss.total(logits[part], labels[part], balance, smoothing) for part in (slice(0, 3), slice(3, None))]
            torch.testing.assert_close(parts[0] + parts[1], whole)
            gradients = [torch.autograd.grad(total, logits)[0] for total in (whole, parts[0] + parts[1])]
            torch.testing.assert_close(*gradients)

    def test_at_chance_it_is_what_it_says(self) -> None:
        """Equal logits give `at_chance` for each row, which tells a fresh head from a broken one."""
        for argument in self.good:
            loss = build_loss(self._written(argument))
            total = float(loss.total(torch.zeros(3, NUM_LABELS), torch.tensor([0, 1, 3]), None, 0.0))
            assert total == pytest.approx(3 * loss.at_chance(NUM_LABELS), rel=1e-5)

    def test_it_falls_as_the_true_label_becomes_likelier(self) -> None:
        """And is zero where nothing is left to learn."""
        for argument in self.good:
            loss = build_loss(self._written(argument))
            logits = [torch.tensor([[score, 0.0, 0.0, 0.0]]) for score in (-3.0, 0.0, 1.0, 4.0, 60.0)]
            totals = [float(loss.total(row, torch.tensor([0]), None, 0.0)) for row in logits]
            assert totals == sorted(totals, reverse=True)
            assert totals[-1] == pytest.approx(0.0, abs=1e-6)

    def test_weights_multiply_the_rows_of_their_class(self) -> None:
        """A class of weight two counts like the same rows twice."""
        for argument in self.good:
            loss = build_loss(self._written(argument))
            logits, labels = self._rows()
            weighted = loss.total(logits, labels, torch.tensor([1.0, 2.0, 1.0, 0.0]), 0.0)
            rows = torch.tensor([*range(7), *(place for place in range(7) if labels[place] == 1)])
            rows = rows[labels[rows] != 3]
            torch.testing.assert_close(weighted, loss.total(logits[rows], labels[rows], None, 0.0))

    def test_extreme_logits_have_gradients(self) -> None:
        """Numbers that overflow an exponential are numbers still."""
        for argument in self.good:
            logits = torch.tensor([[200.0, -200.0, 0.0, 0.0], [-200.0, 200.0, 0.0, 0.0]], requires_grad=True)
            total = build_loss(self._written(argument)).total(logits, torch.tensor([0, 0]), None, 0.1)
            total.backward()  # type: ignore[no-untyped-call]
            assert logits.grad is not None
            assert torch.isfinite(logits.grad).all()

    def test_it_refuses_arguments_that_mean_nothing(self) -> None:
        """The error names the loss and something to paste."""
        for argument in self.bad:
            with pytest.raises(SpecError) as caught:
                build_loss(self._written(argument))
            assert self.name in caught.value.problem
            assert caught.value.remedy.startswith("--loss")

    def test_its_card_says_when_to_use_it(self) -> None:
        """The module's docstring is its card."""
        card = sys.modules[LOSSES[self.name].__module__].__doc__ or ""
        assert all(f"{word}:" in card for word in ("Use when", "Cost", "Suggested values", "Source"))
