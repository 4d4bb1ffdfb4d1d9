"""Spaces: what YAML means, what is refused, and that every point drawn lies inside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.errors import SpecError
from luthier.studies.space import (
    Choice,
    Dimension,
    Range,
    as_plain,
    draw,
    every_dimension,
    grid,
    parse_space,
    points,
)

CONDITIONAL = {
    "training.schedule": ["linear", "cosine"],
    "training.method": {
        "choice": {
            "probe": {},
            "full": {"learning_rate": {"log": ["1e-5", "1e-3"]}, "num_epochs": {"int": [1, 4]}, "model.pooling": "mean"},
        }
    },
}


@given(shares=st.lists(st.floats(0, 1), min_size=8, max_size=8))
def test_every_point_drawn_lies_in_the_space_and_has_only_what_exists_there(shares: list[float]) -> None:
    pool = iter(shares)

    def suggest(dimension: Dimension) -> float:
        share, domain = next(pool), dimension.domain
        if isinstance(domain, Choice):
            return min(int(share * len(domain.options)), len(domain.options) - 1)
        value = domain.low + share * (domain.high - domain.low)
        return round(value) if domain.whole else value

    values = draw(parse_space(CONDITIONAL), suggest)
    assert values["training.schedule"] in ("linear", "cosine")
    if values["training.method"] == "probe":
        assert set(values) == {"training.schedule", "training.method"}
    else:
        assert 1e-5 <= float(str(values["training.learning_rate"])) <= 1e-3
        assert values["training.num_epochs"] in (1, 2, 3, 4)
        assert values["model.pooling"] == "mean"


def test_a_space_survives_being_written_out() -> None:
    space = parse_space(CONDITIONAL)
    assert parse_space(as_plain(space)) == space


def test_names_tell_settings_of_different_choices_apart() -> None:
    branches = {"a": {"learning_rate": {"log": [1e-5, 1e-3]}}, "b": {"learning_rate": {"log": [1e-3, 1e-1]}}}
    names = [item.name for item in every_dimension(parse_space({"training.method": {"choice": branches}}))]
    assert len(set(names)) == 3


def test_a_grid_has_every_combination_once_and_nothing_that_does_not_exist() -> None:
    found = grid(parse_space(CONDITIONAL))
    assert len(found) == 2 * (1 + 5 * 4)
    assert len({tuple(sorted(point.items())) for point in found}) == len(found)


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        (Range(low=0, high=1), [0, 0.25, 0.5, 0.75, 1]),
        (Range(low=1, high=3, whole=True), [1, 2, 3]),
        (Range(low=10, high=90, whole=True), [10, 30, 50, 70, 90]),
        (Range(low=1, high=10_000, log=True), [1, 10, 100, 1000, 10_000]),
    ],
)
def test_points_of_a_range_hold_both_ends(domain: Range, expected: list[float]) -> None:
    assert points(domain) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "problem", "remedy"),
    [
        ({"lgo": [1, 2]}, "found lgo. Did you mean 'log'?", "log: [1e-5, 1e-3]"),
        ({"log": [1e-5, 1e-3], "int": [1, 2]}, "found log, int", "log"),
        ({"log": [0, 1]}, "a logarithmic scale begins above 0; found [0, 1]", "log: [1e-5, 1e-3]"),
        ({"log": [1e-3]}, "needs its two ends", "log: [1e-5, 1e-3]"),
        ({"uniform": ["a", 1]}, "needs its two ends, as numbers; found ['a', 1]", "uniform: [0, 0.2]"),
        ({"uniform": [1, 1]}, "goes from a smaller number to a larger one", "uniform: [0, 0.2]"),
        ({"int": [1, 2.5]}, "needs whole numbers; found [1, 2.5]", "int: [1, 4]"),
        ({"choice": []}, "names no value", "choice:"),
        ([1, 1], "names 1 twice", "choice:"),
        ([[1]], "[1] is no single value", "choice: [1, 2]"),
        ({"choice": {"probe": 3}}, "below 'probe' stand the settings that exist only there; found 3", "probe: {}"),
        ({}, "found nothing", "log"),
    ],
)
def test_what_is_no_space_is_refused_with_what_to_write(value: object, problem: str, remedy: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_space({"training.l1": value}, where=lambda path: f"spec.yaml, line 3 ({path}): ")
    assert problem in caught.value.problem
    assert caught.value.problem.startswith("spec.yaml, line 3 (training.l1")
    assert remedy in caught.value.remedy


def test_all_mistakes_of_a_space_are_told_together() -> None:
    with pytest.raises(SpecError, match="2 problems"):
        parse_space({"training.l1": {"log": [0, 1]}, "training.method": {"choice": {"full": {"l2": {"int": [1]}}}}})
