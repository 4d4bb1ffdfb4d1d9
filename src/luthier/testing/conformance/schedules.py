"""What every learning-rate schedule must be."""

from typing import ClassVar

import numpy as np
import pytest

from luthier.training.schedules import SCHEDULES, learning_rate_factor


class ScheduleConformance:
    """A member of `SCHEDULES` is a factor that starts at 1 and stays between 0 and 1.

    Attributes:
        name: Its name in `SCHEDULES`.
        end: Its value at the end.
    """

    name: ClassVar[str]
    end: ClassVar[float]

    def test_it_starts_at_one_and_ends_as_documented(self) -> None:
        """1 when the warm-up is over; `end` at the last step."""
        schedule = SCHEDULES[self.name]
        assert schedule(0.0) == pytest.approx(1.0)
        assert schedule(1.0) == pytest.approx(self.end, abs=1e-12)
        assert schedule.__doc__

    def test_it_stays_between_zero_and_one(self) -> None:
        """No progress gives a negative rate, or one above the peak."""
        values = [SCHEDULES[self.name](progress) for progress in np.linspace(0, 1, 101)]
        assert all(0 <= value <= 1 for value in values)

    def test_the_warm_up_rises_to_the_peak(self) -> None:
        """Whatever the schedule, the first steps rise evenly and no step has rate zero before the end."""
        factors = [
            learning_rate_factor(step, num_steps=20, warmup_steps=4, schedule=SCHEDULES[self.name]) for step in range(20)
        ]
        assert factors[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
        assert max(factors) == pytest.approx(1.0)
        assert all(factor > 0 for factor in factors)
