"""Dates and times as people write them, read as seconds since 1970; times without a zone count as UTC."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from jaxtyping import Float

ISO = "iso"
# Tried in this order when a column is not ISO 8601; a column that two of the ambiguous ones read differently is refused.
FORMATS = ("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m/%d")
AMBIGUOUS = tuple(
    (f"%m/%d/%{year}{time}", f"%d/%m/%{year}{time}") for year in "Yy" for time in (" %H:%M:%S", " %H:%M", "", " %I:%M %p")
)


def read_moments(texts: Sequence[str], pattern: str) -> Float[np.ndarray, " N"]:
    """Seconds since 1970 of texts in one format; NaN where it does not fit, and for empty texts.

    Args:
        pattern: As of `strptime`, or `iso` for whatever ISO 8601 allows.

    Example:
        >>> read_moments(["1970-01-02", "soon"], ISO).tolist(), read_moments(["2.1.1970"], "%d.%m.%Y").tolist()
        ([86400.0, nan], [86400.0])
    """
    seconds = np.full(len(texts), np.nan)
    for place, text in enumerate(texts):
        if text:
            try:
                moment = datetime.fromisoformat(text) if pattern == ISO else datetime.strptime(text, pattern)
                seconds[place] = as_seconds(moment)
            except (ValueError, OverflowError):
                continue
    return seconds


def as_seconds(moment: datetime) -> float:
    """Seconds since 1970."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def find_formats(texts: Sequence[str], *, most_unreadable: float) -> tuple[str, ...]:
    """The format that reads a column; two where day and month cannot be told apart; none where no format reads it.

    Args:
        texts: Values that are not missing.
        most_unreadable: Share of them that a format may leave out.

    Example:
        >>> find_formats(["2024-03-31", "2024-04-01T10:00"], most_unreadable=0.05)
        ('iso',)
        >>> find_formats(["3/4/2024"], most_unreadable=0.05), find_formats(["3/31/2024"], most_unreadable=0.05)
        (('%m/%d/%Y', '%d/%m/%Y'), ('%m/%d/%Y',))
    """

    def unread(pattern: str) -> float:
        return float(np.isnan(read_moments(texts, pattern)).mean()) if len(texts) else 1.0

    for pattern in (ISO, *FORMATS):
        if unread(pattern) <= most_unreadable:
            return (pattern,)
    for both in AMBIGUOUS:
        shares = [unread(pattern) for pattern in both]
        if min(shares) <= most_unreadable:
            best = min(shares)
            return tuple(pattern for pattern, share in zip(both, shares, strict=True) if share == best)
    return ()
