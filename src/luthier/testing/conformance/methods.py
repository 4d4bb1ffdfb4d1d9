"""What every method must be."""

import sys
from collections.abc import Sequence
from typing import ClassVar

import pytest

from luthier.errors import SpecError
from luthier.training.methods import METHODS, build_rung


class MethodConformance:
    """A member of `METHODS` makes rungs that fit a model, and says when to use it.

    Attributes:
        name: Its name in `METHODS`.
        good: Arguments it takes for a model of six blocks, each with its boundary.
        bad: Arguments it refuses.
    """

    name: ClassVar[str]
    good: ClassVar[Sequence[tuple[str, int]]] = (("", 0),)
    bad: ClassVar[Sequence[str]] = ("7x",)

    def test_it_makes_rungs_that_fit_the_model(self) -> None:
        """The boundary is as documented, and the rung's name makes the same rung again."""
        for argument, boundary in self.good:
            written = f"{self.name}:{argument}" if argument else self.name
            rung = build_rung(written, num_blocks=6)
            assert rung.boundary == boundary
            assert build_rung(rung.name, num_blocks=6) == rung
            assert rung.num_epochs >= 0
            moves = rung.boundary < 6
            assert (rung.learning_rate > 0) == moves
            assert (rung.head_learning_rate > 0) == moves

    def test_it_refuses_arguments_that_do_not_fit(self) -> None:
        """The error names the method and something to paste."""
        for argument in self.bad:
            with pytest.raises(SpecError) as caught:
                build_rung(f"{self.name}:{argument}", num_blocks=6)
            assert self.name in str(caught.value)
            assert caught.value.remedy.startswith("--method")

    def test_its_card_says_when_to_use_it(self) -> None:
        """The module's docstring is the method's card."""
        card = sys.modules[METHODS[self.name].__module__].__doc__ or ""
        assert all(f"{word}:" in card for word in ("Use when", "Cost", "Source"))
