"""A horizontal axis for dots and whiskers, as percentages of its width: which scores it spans, where its ticks stand."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from luthier.evaluation.records import Direction, Interval

# Room at both ends, in percent of the width, so that whiskers and tick labels are not cut off.
MARGIN = 6.0


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A linear axis.

    Attributes:
        low, high: The scores at its margins.
        ticks: Round scores between them.
    """

    low: float
    high: float
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Where a score stands, in percent of the width; outside scores stay at the edge.

        Example:
            >>> Axis(low=0.0, high=1.0, ticks=()).place(0.5)
            50.0
        """
        share = (value - self.low) / (self.high - self.low)
        return round(MARGIN + min(max(share, 0), 1) * (100 - 2 * MARGIN), 2)

    def holds(self, value: float) -> bool:
        """Whether a score lies on the axis."""
        return self.low - 1e-12 <= value <= self.high + 1e-12


def build_axis(intervals: Mapping[str, Interval], direction: Direction) -> Axis:
    """An axis for a card: models so far behind that they would squeeze the others together are left off it.

    Example:
        >>> far = Interval(value=0.02, low=0.01, high=0.03)
        >>> near = {name: Interval(value=v, low=v - 0.01, high=v + 0.01) for name, v in (("a", 0.92), ("b", 0.94))}
        >>> build_axis({"far": far, **near}, "higher").holds(far.value)
        False
    """
    best_first = sorted(intervals.values(), key=lambda item: item.value, reverse=direction == "higher")
    while len(best_first) > 2 and _span(best_first[:-1]) < 0.5 * _span(best_first):
        best_first.pop()
    low, high = min(item.low for item in best_first), max(item.high for item in best_first)
    if high - low < 1e-9:
        low, high = low - 0.01, high + 0.01
    return Axis(low=low, high=high, ticks=round_ticks(low, high))


def _span(intervals: list[Interval]) -> float:
    return max(item.high for item in intervals) - min(item.low for item in intervals)


def round_ticks(low: float, high: float, *, most: int = 6) -> tuple[float, ...]:
    """Round numbers between two others, at most `most` of them.

    Example:
        >>> round_ticks(0.871, 0.949)
        (0.88, 0.9, 0.92, 0.94)
    """
    power = 10 ** math.floor(math.log10((high - low) / most))
    step = next(factor * power for factor in (1, 2, 5, 10) if (high - low) / (factor * power) <= most)
    first = math.ceil(low / step - 1e-9)
    return tuple(round(number * step, 10) for number in range(first, math.floor(high / step + 1e-9) + 1))
