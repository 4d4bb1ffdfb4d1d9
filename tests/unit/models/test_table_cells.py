"""Cells of a table: scaling learnt from train, categories with a place for what is rare, dates in parts."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, RobustScaler, StandardScaler

from luthier.models.table_cells import (
    MISSING,
    RARE,
    Scaling,
    binned,
    bins_of,
    fit_category,
    fit_number,
    parts_of_moments,
    read_categories,
    read_numbers,
)

VALUES = np.random.default_rng(0).gamma(2.0, 10.0, 500)
OTHERS = np.random.default_rng(1).gamma(2.0, 10.0, 50)


@pytest.mark.parametrize(
    ("scaling", "scaler"), [("standard", StandardScaler()), ("min-max", MinMaxScaler())], ids=["standard", "min-max"]
)
def test_plain_scalings_are_those_of_scikit_learn(scaling: Scaling, scaler: StandardScaler) -> None:
    expected = scaler.fit(VALUES[:, None]).transform(OTHERS[:, None])[:, 0]
    assert np.allclose(fit_number("x", "x", VALUES, scaling=scaling).scaled(OTHERS), expected)


def test_robust_scaling_is_that_of_scikit_learn_with_unit_variance() -> None:
    expected = RobustScaler(unit_variance=True).fit(VALUES[:, None]).transform(OTHERS[:, None])[:, 0]
    assert np.allclose(fit_number("x", "x", VALUES, scaling="robust").scaled(OTHERS), expected, rtol=1e-3)


def test_quantile_scaling_goes_to_a_normal_distribution_like_scikit_learns() -> None:
    transformer = QuantileTransformer(n_quantiles=500, output_distribution="normal").fit(VALUES[:, None])
    inside = OTHERS[(np.quantile(VALUES, 0.02) < OTHERS) & (np.quantile(VALUES, 0.98) > OTHERS)]
    found = fit_number("x", "x", VALUES, scaling="quantile").scaled(inside)
    assert np.abs(found - transformer.transform(inside[:, None])[:, 0]).max() < 0.1


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60), st.sampled_from(["standard", "min-max", "robust", "quantile"]))
def test_scaling_keeps_the_order_and_missing_stays_missing(values: list[float], scaling: Scaling) -> None:
    cell = fit_number("x", "x", np.array(values), scaling=scaling)
    found = cell.scaled(np.array([*sorted(values), np.nan]))
    assert np.isnan(found[-1])
    assert np.isfinite(found[:-1]).all()
    assert (np.diff(found[:-1]) >= -1e-9).all()


def test_a_wild_value_is_cut() -> None:
    assert fit_number("x", "x", VALUES, scaling="standard").scaled(np.array([1e12])).tolist() == [10.0]


def test_bins_are_filled_up_to_a_number() -> None:
    cells = [
        fit_number("x", "x", np.arange(17.0), scaling="min-max"),
        fit_number("y", "y", np.full(9, 2.0), scaling="standard"),
    ]
    lower, width = bins_of(cells)
    encoded = binned(np.array([[0.5, 0.0]]), lower, width)
    assert encoded.shape == (1, 2, 17)
    assert encoded[0, 0].tolist() == [0.5, *[1.0] * 8, *[0.0] * 8]
    assert encoded[0, 1].tolist() == [0.0] * 17


def test_rare_and_unseen_categories_share_a_place_and_missing_has_its_own() -> None:
    values = ["a"] * 80 + ["b"] * 20 + ["c"] * 4 + [""]
    cell = fit_category("x", "x", values)
    assert cell.values == ("a", "b")
    assert cell.codes(["a", "b", "c", "never", ""]).tolist() == [RARE + 1, RARE + 2, RARE, RARE, MISSING]
    assert cell.size == RARE + 3


def test_of_few_rows_every_category_has_a_place() -> None:
    assert fit_category("x", "x", ["a", "b", "b"]).values == ("b", "a")


@pytest.mark.parametrize(
    "values", [["2", "2.0", " 2"], [2, 2, 2], [2.0, 2.0, 2.0]], ids=["texts", "whole numbers", "real numbers"]
)
def test_a_number_that_is_a_category_is_the_same_in_every_form(values: list[object]) -> None:
    assert read_categories(pa.chunked_array([values])) == ["2", "2", "2"]


def test_numbers_that_are_texts_are_repaired_and_others_are_told() -> None:
    values, wrong = read_numbers(pa.chunked_array([["29.85", " ", "", None, "1e3", "-.5", "12 EUR", "inf", "nan"]]))
    assert np.nan_to_num(values, nan=-1).tolist() == [29.85, -1, -1, -1, 1000, -0.5, -1, -1, -1]
    assert np.flatnonzero(wrong).tolist() == [6, 7, 8]


def test_infinite_numbers_of_typed_columns_are_told() -> None:
    values, wrong = read_numbers(pa.chunked_array([[1.0, float("inf"), None]]))
    assert np.nan_to_num(values, nan=-1).tolist() == [1.0, -1.0, -1.0]
    assert wrong.tolist() == [False, True, False]


def test_a_moment_has_parts() -> None:
    seconds = np.array([np.datetime64("2024-02-29T13:45:00").astype("datetime64[s]").astype(np.int64), np.nan])
    found = {part: parts_of_moments(seconds, part).tolist() for part in ("year", "month", "weekday", "hour")}
    assert {part: values[0] for part, values in found.items()} == {"year": 2024, "month": 2, "weekday": 4, "hour": 13}
    assert all(np.isnan(values[1]) for values in found.values())
