"""What every learning-rate schedule must be."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest

from luthier.errors import SpecError
from luthier.training.schedules import SCHEDULES, build_schedule, learning_rate_factor


class ScheduleConformance:
    """A member of `SCHEDULES` makes factors between 0 and 1, and says when to use it.

    Attributes:
        name: Its name in `SCHEDULES`.
        start, end: Its values when the warm-up is over, and at the end.
        good, bad: Arguments that it takes, and refuses.
    """

    name: ClassVar[str]
    start: ClassVar[float] = 1.0
    end: ClassVar[float] = 0.0
    good: ClassVar[Sequence[str]] = ("",)
    bad: ClassVar[Sequence[str]] = ("x",)

    def test_it_starts_and_ends_as_documented(self) -> None:
        """Without an argument."""
        schedule = build_schedule(self.name)
        assert schedule(0.0, ()) == pytest.approx(self.start)
        assert schedule(1.0, ()) == pytest.approx(self.end, abs=1e-12)

    def test_it_stays_between_zero_and_one_and_reaches_the_peak(self) -> None:
        """No progress gives a negative rate, or one above the peak."""
        for argument in self.good:
            schedule = build_schedule(f"{self.name}:{argument}" if argument else self.name)
            values = [schedule(progress, ()) for progress in np.linspace(0, 1, 1001)]
            assert all(0 <= value <= 1 for value in values)
            assert max(values) == pytest.approx(1.0, abs=1e-2)

    def test_the_warm_up_rises_to_where_it_starts(self) -> None:
        """Whatever the schedule, the first steps rise evenly and no step has rate zero before the end."""
        schedule = build_schedule(self.name)
        factors = [learning_rate_factor(step, num_steps=20, warmup_steps=4, schedule=schedule) for step in range(20)]
        assert factors[:4] == pytest.approx([self.start * share for share in (0.25, 0.5, 0.75, 1.0)])
        assert all(factor > 0 for factor in factors)

    def test_it_refuses_arguments_that_make_no_sense(self) -> None:
        """The error names the schedule and something to paste."""
        for argument in self.bad:
            with pytest.raises(SpecError) as caught:
                build_schedule(f"{self.name}:{argument}")
            assert self.name in caught.value.problem
            assert caught.value.remedy.startswith(f"--schedule {self.name}")

    def test_its_card_says_when_to_use_it(self) -> None:
        """The docstring of its maker is its card."""
        card = SCHEDULES[self.name].__doc__ or ""
        assert card.startswith(f"`{self.name}")
        assert "Use when:" in card
