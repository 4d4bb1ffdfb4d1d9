"""The axis of the interval plot."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from luthier.evaluation.records import Interval
from luthier.report.axis import build_axis, round_ticks

SCORES = st.dictionaries(
    st.text("abc", min_size=1), st.floats(0, 1).map(lambda v: Interval(value=v, low=v - 0.01, high=v + 0.01))
)


@given(SCORES.filter(bool))
def test_the_best_model_is_always_on_the_axis_and_places_are_inside(intervals: dict[str, Interval]) -> None:
    axis = build_axis(intervals, "higher")
    best = max(intervals.values(), key=lambda item: item.value)
    assert axis.holds(best.low)
    assert axis.holds(best.high)
    assert all(0 <= axis.place(item.value) <= 100 for item in intervals.values())
    assert all(axis.holds(tick) for tick in axis.ticks)


def test_a_model_far_behind_is_left_off_but_two_models_never_are() -> None:
    far, near = Interval(value=0.1, low=0.09, high=0.11), Interval(value=0.9, low=0.89, high=0.91)
    close = Interval(value=0.92, low=0.91, high=0.93)
    assert not build_axis({"far": far, "near": near, "close": close}, "higher").holds(far.value)
    assert build_axis({"far": far, "near": near}, "higher").holds(far.value)


def test_where_lower_is_better_the_highest_is_left_off() -> None:
    values = {"a": 0.3, "b": 0.31, "c": 4.0}
    axis = build_axis({name: Interval(value=v, low=v - 0.01, high=v + 0.01) for name, v in values.items()}, "lower")
    assert axis.holds(0.3)
    assert not axis.holds(4.0)


def test_equal_scores_without_an_interval_still_have_an_axis() -> None:
    axis = build_axis({"a": Interval(value=1.0, low=1.0, high=1.0)}, "higher")
    assert axis.low < 1.0 < axis.high


@given(st.floats(0, 1), st.floats(0.001, 1))
def test_ticks_are_round_few_and_evenly_spaced(low: float, width: float) -> None:
    ticks = round_ticks(low, low + width)
    assert 1 <= len(ticks) <= 7
    steps = {round(b - a, 9) for a, b in pairwise(ticks)}
    assert len(steps) <= 1
