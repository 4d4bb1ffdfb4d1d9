"""Order in time: the oldest rows train, the newest are held out, equal times stay together; what came before what."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int64

from luthier.core.moments import AMBIGUOUS, FORMATS, as_seconds
from luthier.data.dataset import Dataset, Rows
from luthier.data.findings import Finding
from luthier.data.keys import missing_cells
from luthier.data.wording import name_rows, share_of
from luthier.errors import DataError

MAX_UNREADABLE_FRACTION = 0.05


def by_time(
    dataset: Dataset, rows: Rows, *, unit_of_row: Int64[np.ndarray, " rows"], fractions: Sequence[float]
) -> tuple[list[Rows], list[Finding]]:
    """Rows of each part. A unit goes where its newest row belongs, so that no part knows anything newer than its end.

    Raises:
        DataError: more than 5 % of times cannot be read, or all are equal.
    """
    seconds = read_times(dataset, rows)
    unreadable = np.isnan(seconds)
    newest = np.full(int(unit_of_row.max()) + 1, -np.inf)
    np.maximum.at(newest, unit_of_row, np.where(unreadable, -np.inf, seconds))
    time = newest[unit_of_row]
    part = _cut_points(dataset, time, fractions=fractions)
    made = [np.sort(rows[part == number]) for number in range(len(fractions))]
    return made, _report(dataset, rows[unreadable], whole=len(rows))


def _cut_points(
    dataset: Dataset, time: Float[np.ndarray, " rows"], *, fractions: Sequence[float]
) -> Int64[np.ndarray, " rows"]:
    """The part of each row: cut where the cumulated fractions fall, moved to the nearest change of time."""
    ordered = np.sort(time)
    changes = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    parts = len(fractions)
    if len(changes) < parts - 1:
        raise DataError(
            f"Column '{dataset.schema.roles.get('time', 'the order of rows')}' has {len(changes) + 1} different time(s), "
            f"too few for {parts} parts.",
            remedy="leave --time out, or name another column",
        )
    cuts: list[int] = []
    for number, wanted in enumerate(np.cumsum(fractions)[:-1] * len(time)):
        # Every part keeps at least one time of its own: leave enough changes for the parts still to come.
        low = int(np.searchsorted(changes, cuts[-1], side="right")) if cuts else 0
        choice = changes[low : len(changes) - (parts - 2 - number)]
        cuts.append(int(choice[np.argmin(np.abs(choice - wanted))]))
    return np.searchsorted(ordered[np.array(cuts)], time, side="right")


def read_times(dataset: Dataset, rows: Rows) -> Float[np.ndarray, " rows"]:
    """Each row's time as a number (seconds since 1970, or the number itself); NaN where it cannot be read.

    Of rows that stand in order as they are it is their place. Numbers, dates, ISO 8601 text and common formats are read; times
    without a zone count as UTC.

    Raises:
        DataError: nearly nothing can be read, or day and month cannot be told apart.
    """
    if dataset.in_order:
        return np.asarray(rows, dtype=np.float64)
    column = dataset.column("time").take(pa.array(rows))
    name = dataset.schema.roles["time"]
    if pa.types.is_temporal(column.type):
        return _as_float(column.cast(pa.timestamp("us")).cast(pa.int64())) / 1e6
    if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
        return _as_float(column.cast(pa.float64()))
    texts = [(text or "").strip() for text in column.to_pylist()]
    known = ~missing_cells(column)
    for reader in (_numbers, _iso_times, _other_formats):
        seconds = reader(texts, name)
        if known.any() and (~np.isnan(seconds[known])).mean() >= 1 - MAX_UNREADABLE_FRACTION:
            return seconds
    example = next((text for text in texts if text), "")
    raise DataError(
        f"Column '{name}' cannot be read as times ('{example[:40]}'); expected numbers or dates (2024-03-31T18:05).",
        remedy="write the dates as YYYY-MM-DD, or name another column with --time",
    )


def rows_before(moments: Float[np.ndarray, " N"], groups: Int64[np.ndarray, " N"]) -> Int64[np.ndarray, " N"]:
    """The place of the last earlier row of the same group, for each row; -1 where there is none, or no time.

    Rows of one moment do not know each other.

    Example:
        >>> rows_before(np.array([3.0, 1.0, 2.0, 2.0]), np.zeros(4, dtype=np.int64)).tolist()
        [3, -1, 1, 1]
    """
    count = len(moments)
    order = np.lexsort((np.arange(count), moments, groups))
    times, owners = moments[order], groups[order]
    begins = np.ones(count, dtype=bool)
    begins[1:] = (times[1:] != times[:-1]) | (owners[1:] != owners[:-1])
    before = np.maximum.accumulate(np.where(begins, np.arange(count), 0)) - 1
    is_told = (before >= 0) & (owners[before] == owners) & ~np.isnan(times)
    found = np.full(count, -1, dtype=np.int64)
    found[order] = np.where(is_told, order[before], -1)
    return found


def _as_float(column: pa.ChunkedArray) -> Float[np.ndarray, " rows"]:
    return np.asarray(column.cast(pa.float64(), safe=False).fill_null(float("nan")).to_numpy(), dtype=np.float64)


def _numbers(texts: Sequence[str], name: str) -> Float[np.ndarray, " rows"]:
    numbers = np.full(len(texts), np.nan)
    for place, text in enumerate(texts):
        try:
            numbers[place] = float(text)
        except ValueError:
            continue
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _iso_times(texts: Sequence[str], name: str) -> Float[np.ndarray, " rows"]:
    seconds = np.full(len(texts), np.nan)
    for place, text in enumerate(texts):
        try:
            seconds[place] = as_seconds(datetime.fromisoformat(text))
        except ValueError:
            continue
    return seconds


def _other_formats(texts: Sequence[str], name: str) -> Float[np.ndarray, " rows"]:
    """The first format that reads all texts; month and day are told apart by the values above 12, or not at all."""
    for pattern in FORMATS:
        seconds = _parse(texts, pattern)
        if seconds is not None:
            return seconds
    for month_first, day_first in AMBIGUOUS:
        readings = [_parse(texts, month_first), _parse(texts, day_first)]
        if all(reading is not None for reading in readings):
            raise DataError(
                f"Column '{name}' can be read with the day first or with the month first ('{texts[0]}').",
                remedy="write the dates as YYYY-MM-DD",
            )
        for reading in readings:
            if reading is not None:
                return reading
    return np.full(len(texts), np.nan)


def _parse(texts: Sequence[str], pattern: str) -> Float[np.ndarray, " rows"] | None:
    """Seconds of texts that all have one format (empty ones apart); None at the first that does not."""
    seconds = np.full(len(texts), np.nan)
    for place, text in enumerate(texts):
        if text:
            try:
                seconds[place] = as_seconds(datetime.strptime(text, pattern))
            except ValueError:
                return None
    return seconds


def _report(dataset: Dataset, unreadable: Rows, *, whole: int) -> list[Finding]:
    if not len(unreadable):
        return []
    name = dataset.schema.roles["time"]
    return [
        Finding(
            check="split",
            severity="warning",
            problem=f"{share_of(len(unreadable), whole)} {'has' if len(unreadable) == 1 else 'have'} no readable time "
            f"in '{name}'; they count as the oldest and train. {name_rows(dataset, unreadable)}",
            remedy=f"fill '{name}' in as YYYY-MM-DD, or remove these rows",
            count=len(unreadable),
            rows=unreadable,
        )
    ]
