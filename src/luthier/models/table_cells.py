"""How a column of a table becomes numbers: learnt from train once, kept as plain records, applied anywhere. No torch.

A **cell** is one number or one category of a row. A column of numbers or categories gives one cell, a date several (days,
year, month, weekday, hour). What is missing stays known as missing: a number that is not there is 0 with its state `MISSING`,
and a category has a code for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

if TYPE_CHECKING:
    import pyarrow as pa

Scaling = Literal["standard", "min-max", "robust", "quantile"]
PRESENT, MISSING, MASKED = 0, 1, 2  # states of numbers; of categories 1 and 2 are codes too
RARE = 3  # the code of categories that train has too seldom, or never; common ones follow
NUM_BINS = 16
NUM_KNOTS = 100
FARTHEST = 10.0  # scaled numbers beyond it are cut: one wild value must not drown a row
MIN_COUNT = 5
MOST_CATEGORIES = 500
NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"


@dataclass(frozen=True, kw_only=True)
class NumberCell:
    """A number, scaled, and where it lies among those of train.

    Attributes:
        name: Of the cell: its column, or `column.year` of a date.
        column: Where it is read.
        part: Of a date: `days`, `year` or `hour`; empty for a number.
        centre, spread: Scaled is (number - centre) / spread.
        knots, heights: Under quantile scaling instead: between two knots the height is interpolated, outside it stays.
        edges: Borders of bins that each hold about as many rows of train, of scaled numbers.
    """

    name: str
    column: str
    part: str = ""
    centre: float = 0.0
    spread: float = 1.0
    knots: tuple[float, ...] = field(default=())
    heights: tuple[float, ...] = field(default=())
    edges: tuple[float, ...] = field(default=())

    def scaled(self, values: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """Scaled numbers; NaN stays."""
        if self.knots:
            found = np.where(np.isnan(values), np.nan, np.interp(np.nan_to_num(values), self.knots, self.heights))
        else:
            found = (values - self.centre) / self.spread
        return np.asarray(np.clip(found, -FARTHEST, FARTHEST))


@dataclass(frozen=True, kw_only=True)
class CategoryCell:
    """A category as a code.

    Attributes:
        name: Of the cell: its column, or `column.month` of a date.
        column: Where it is read.
        part: Of a date: `month` or `weekday`; empty for a category.
        values: Those with a code of their own, the most frequent first; all others share `RARE`.
    """

    name: str
    column: str
    part: str = ""
    values: tuple[str, ...]

    @property
    def size(self) -> int:
        """Number of codes."""
        return RARE + 1 + len(self.values)

    def codes(self, values: Sequence[str]) -> Int[np.ndarray, " N"]:
        """The code of each value; empty ones are missing.

        Example:
            >>> CategoryCell(name="plan", column="plan", values=("basic", "gold")).codes(["gold", "", "never seen"]).tolist()
            [5, 1, 3]
        """
        known = {value: RARE + 1 + place for place, value in enumerate(self.values)} | {"": MISSING}
        return np.array([known.get(value, RARE) for value in values], dtype=np.int64)


def fit_number(name: str, column: str, values: Float[np.ndarray, " N"], *, scaling: Scaling, part: str = "") -> NumberCell:
    """What scales a number, from those of train.

    Args:
        values: Of train, NaN where missing; with a number at least.
        scaling: `standard`: mean and deviation; `min-max`: to 0 to 1; `robust`: median and quartiles, which outliers do not
            move; `quantile`: by rank, to a normal distribution.

    Example:
        >>> fit_number("x", "x", np.array([1.0, 2.0, 3.0]), scaling="min-max").scaled(np.array([2.0, np.nan])).tolist()
        [0.5, nan]
    """
    known = values[~np.isnan(values)]
    knots: tuple[float, ...] = ()
    heights: tuple[float, ...] = ()
    centre, spread = 0.0, 1.0
    if scaling == "standard":
        centre, spread = float(known.mean()), float(known.std())
    elif scaling == "min-max":
        centre, spread = float(known.min()), float(known.max() - known.min())
    elif scaling == "robust":
        low, centre, high = (float(value) for value in np.quantile(known, (0.25, 0.5, 0.75)))
        spread = (high - low) / 1.349 or float(known.std())  # so that of normal numbers it is the deviation
    else:
        knots, heights = _to_normal(known)
    cell = NumberCell(name=name, column=column, part=part, centre=centre, spread=spread or 1.0, knots=knots, heights=heights)
    edges = np.unique(np.quantile(cell.scaled(known), np.linspace(0, 1, NUM_BINS + 1)))
    return NumberCell(**{**vars(cell), "edges": tuple(edges.tolist()) if len(edges) > 1 else ()})


def _to_normal(known: Float[np.ndarray, " n"]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Knots at quantiles, and the normal distribution's at the same ranks; equal numbers have the mean of their ranks."""
    from scipy.stats import norm

    ordered = np.sort(known)
    knots = np.unique(np.quantile(ordered, np.linspace(0, 1, NUM_KNOTS), method="inverted_cdf"))
    ranks = (np.searchsorted(ordered, knots, side="left") + np.searchsorted(ordered, knots, side="right")) / 2 / len(ordered)
    half = 0.5 / len(ordered)
    return tuple(knots.tolist()), tuple(norm.ppf(np.clip(ranks, half, 1 - half)).tolist())


def fit_category(name: str, column: str, values: Sequence[str], *, part: str = "") -> CategoryCell:
    """The categories of train that are frequent enough to have a code of their own, or all where all are few."""
    names, counts = np.unique(np.array([value for value in values if value], dtype=object), return_counts=True)
    order = sorted(range(len(names)), key=lambda place: (-counts[place], names[place]))
    floor = MIN_COUNT if len(values) > 20 * MIN_COUNT else 1
    kept = tuple(str(names[place]) for place in order if counts[place] >= floor)[:MOST_CATEGORIES]
    return CategoryCell(name=name, column=column, part=part, values=kept)


def binned(
    scaled: Float[np.ndarray, "B n"], lower: Float[np.ndarray, "n T"], width: Float[np.ndarray, "n T"]
) -> Float[np.ndarray, "B n T1"]:
    """Each number itself, then how far it fills each of its bins: 0 below, 1 above, the share in between.

    Source: Gorishniy et al. 2022, "On embeddings for numerical features in tabular deep learning" (piecewise linear encoding).

    Example:
        >>> binned(np.array([[0.5]]), np.array([[0.0, 1.0]]), np.array([[1.0, 1.0]])).tolist()
        [[[0.5, 0.5, 0.0]]]
    """
    filled = np.clip((scaled[..., None] - lower) / width, 0, 1)
    return np.concatenate([scaled[..., None], filled], axis=-1).astype(np.float32)


def bins_of(cells: Sequence[NumberCell]) -> tuple[Float[np.ndarray, "n T"], Float[np.ndarray, "n T"]]:
    """Lower border and width of the bins of each number; those that a number does not have are never filled."""
    lower = np.full((len(cells), NUM_BINS), np.inf)
    width = np.ones((len(cells), NUM_BINS))
    for place, cell in enumerate(cells):
        edges = np.array(cell.edges)
        lower[place, : max(0, len(edges) - 1)] = edges[:-1]
        width[place, : max(0, len(edges) - 1)] = np.diff(edges)
    return lower, width


def read_numbers(column: "pa.ChunkedArray") -> tuple[Float[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
    """The numbers of a column, NaN where there is none; and which cells hold something that is no finite number.

    Example:
        >>> import pyarrow as pa
        >>> values, wrong = read_numbers(pa.chunked_array([["1.5", " ", "n/a", None, "inf"]]))
        >>> values.tolist(), wrong.tolist()
        ([1.5, nan, nan, nan, nan], [False, False, True, False, True])
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        values = np.asarray(column.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy(), dtype=np.float64)
        wrong = np.isinf(values)
        return np.where(wrong, np.nan, values), wrong
    texts = pc.utf8_trim_whitespace(column.cast(pa.string()))
    looks = pc.fill_null(pc.match_substring_regex(texts, f"^{NUMBER}$"), False)
    numbers = pc.if_else(looks, texts, pa.scalar(None, pa.string())).cast(pa.float64())
    values = np.asarray(numbers.fill_null(np.nan).to_numpy(), dtype=np.float64)
    there = np.asarray(pc.fill_null(pc.not_equal(texts, ""), False).to_numpy(zero_copy_only=False), dtype=bool)
    wrong = there & ~np.isfinite(values)
    return np.where(np.isfinite(values), values, np.nan), wrong


def read_categories(column: "pa.ChunkedArray") -> list[str]:
    """The categories of a column as texts; numbers in one form, so that `2.0` of one file is `2` of another.

    Example:
        >>> import pyarrow as pa
        >>> read_categories(pa.chunked_array([["2.0", " yes ", None]]))
        ['2', 'yes', '']
    """
    import pyarrow as pa

    encoded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    names = [_plain(value) for value in encoded.dictionary.to_pylist()]
    return [names[code] if code is not None else "" for code in encoded.indices.to_pylist()]


def _plain(value: str) -> str:
    value = value.strip()
    try:
        number = float(value)
    except ValueError:
        return value
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 and "_" not in value else value


def read_texts(column: "pa.ChunkedArray") -> list[str]:
    """Values as stripped texts; moments of typed columns in ISO 8601."""
    import pyarrow as pa

    if pa.types.is_temporal(column.type):
        return ["" if value is None else value.isoformat() for value in column.to_pylist()]
    return ["" if value is None else str(value).strip() for value in column.to_pylist()]


def parts_of_moments(seconds: Float[np.ndarray, " N"], part: str) -> Float[np.ndarray, " N"]:
    """One part of each moment, NaN where there is none: days since 1970, year, month (1 to 12), weekday (Monday is 1), hour.

    Example:
        >>> [parts_of_moments(np.array([86400.0 * 31 + 3600]), part).item() for part in ("days", "month", "weekday", "hour")]
        [31.041666666666668, 2.0, 7.0, 1.0]
    """
    known = ~np.isnan(seconds)
    moments = np.where(known, seconds, 0).astype("datetime64[s]")
    days = moments.astype("datetime64[D]").astype(np.int64)
    found = {
        "days": np.where(known, seconds, 0) / 86400,
        "year": moments.astype("datetime64[Y]").astype(np.int64) + 1970.0,
        "month": moments.astype("datetime64[M]").astype(np.int64) % 12 + 1.0,
        "weekday": (days + 3) % 7 + 1.0,
        "hour": (moments.astype(np.int64) % 86400) // 3600 + 0.0,
    }[part]
    return np.where(known, found, np.nan)
