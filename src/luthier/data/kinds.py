"""What the columns of a table hold, judged from their values; nothing here looks at roles (`infer` does).

Kinds are judged from a sample of the rows, spread evenly; missing values are counted exactly.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from luthier.data.boxes import looks_like_boxes
from luthier.data.conversations import looks_like_messages
from luthier.data.dataset import EXAMPLE_ID
from luthier.data.lists import parse_list
from luthier.data.relevance import read_relevance
from luthier.data.schema import Column, Kind
from luthier.data.spans import looks_like
from luthier.data.words import is_entity_tag, read_list, read_spans

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLED_ROWS = 5_000
COUNTED_ROWS = 100_000
MAX_CLASS_NUMBERS = 20
MAX_CATEGORIES = 1_000
LEAST_SENTENCE_WORDS = 6  # on average, or items of lists are labels
SHOWN_CHARACTERS = 40
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WHOLE = re.compile(r"[+-]?\d+(\.0+)?")
_DAY = r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2}))"
_DATETIME = re.compile(_DAY + r"([T ]\d{1,2}:\d{2}.*)?")
_MOSTLY = 0.95
_HALF = 0.5
_FILES_TRIED = 20


def infer_columns(table: "pa.Table") -> tuple[Column, ...]:
    """The columns of a table, without `example_id`, as they were found."""
    return tuple(_infer_column(name, table.column(name)) for name in table.column_names if name != EXAMPLE_ID)


def _infer_column(name: str, values: "pa.ChunkedArray") -> Column:
    text, missing = _present_text(values)
    present = len(values) - missing
    distinct = _count_distinct(text) if present else 0
    sample = [str(value).strip() for value in _spread(text, SAMPLED_ROWS).to_pylist()] if present else []
    mean_words = float(np.mean([len(value.split()) for value in sample])) if sample else 0.0
    return Column(
        name=name,
        kind=judge_kind(sample, present=present, distinct=distinct, mean_words=mean_words),
        missing=missing,
        distinct=distinct,
        mean_words=round(mean_words, 2),
        examples=tuple(_shorten(value) for value in dict.fromkeys(sample[:20]))[:3],
    )


def _present_text(values: "pa.ChunkedArray") -> tuple["pa.ChunkedArray", int]:
    """The values that are neither null nor white space, as text; and how many are."""
    import pyarrow as pa
    from pyarrow import compute

    text = values if pa.types.is_string(values.type) else values.cast(pa.string())
    present = compute.fill_null(compute.not_equal(compute.utf8_trim_whitespace(text), ""), False)
    number = int(compute.sum(present).as_py() or 0)
    return (text if number == len(values) else text.filter(present)), len(values) - number


def _spread(values: "pa.ChunkedArray", most: int) -> "pa.ChunkedArray":
    """At most `most` of the values, evenly spaced: files are often sorted by label."""
    if len(values) <= most:
        return values
    return values.take(np.linspace(0, len(values) - 1, most).astype(np.int64))


def _count_distinct(text: "pa.ChunkedArray") -> int:
    """Exact up to a hundred thousand rows, or where values repeat much; else extrapolated from that many rows."""
    from pyarrow import compute

    counted = _spread(text, COUNTED_ROWS)
    distinct = int(compute.count_distinct(counted).as_py())
    if len(counted) == len(text):
        return distinct
    if distinct * 10 <= len(counted):
        return int(compute.count_distinct(text).as_py())
    return round(distinct / len(counted) * len(text))


def judge_kind(sample: Sequence[str], *, present: int, distinct: int, mean_words: float) -> Kind:
    """What a column holds.

    Args:
        sample: Some of its non-missing values, stripped.
        present: How many rows have a value.
        distinct: How many different values there are.
        mean_words: Mean number of words of the values.

    Example:
        >>> judge_kind(["spam", "ham"] * 10, present=20, distinct=2, mean_words=1.0)
        <Kind.CATEGORY: 'category'>
    """
    if not present:
        return Kind.EMPTY
    if marked := _marked_kind(sample):
        return marked
    if marks := _judge_marks(sample):
        return marks
    if distinct == 1:
        return Kind.CONSTANT
    if _are_lists(sample):
        return Kind.TEXTS if _are_texts(sample) else Kind.LIST
    if _share(_DATETIME, sample) >= _MOSTLY:
        return Kind.DATETIME
    if _share(_NUMBER, sample) >= _MOSTLY:
        return _judge_numbers(sample, present=present, distinct=distinct)
    if kind := _kind_of_files(sample):
        return kind
    return _judge_words(present=present, distinct=distinct, mean_words=mean_words)


def _marked_kind(sample: Sequence[str]) -> Kind | None:
    """Cells of conversations, or that say in JSON where boxes, answers or slots are (some are empty), or what is relevant."""
    if sum(map(looks_like_messages, sample)) >= _HALF * len(sample):
        return Kind.MESSAGES
    if sample[0][0] not in "[{":
        return None
    if sum(read_relevance(value) is not None for value in sample) >= _MOSTLY * len(sample):
        return Kind.RELEVANCE
    filled = [value for value in sample if value != "[]"]
    if filled and sum(map(looks_like_boxes, filled)) >= _MOSTLY * len(filled):
        return Kind.BOXES
    forms = [looks_like(value) for value in sample]
    for kind in (Kind.ANSWERS, Kind.SLOTS):
        if kind in forms and sum(form in (kind, "empty") for form in forms) >= _MOSTLY * len(sample):
            return kind
    return None


def _judge_marks(sample: Sequence[str]) -> Kind | None:
    """Whether nearly all values are JSON lists of tags that mark entities, or of spans; empty lists may be of either."""
    if sum(value.startswith("[") for value in sample) < _MOSTLY * len(sample):
        return None
    enough, filled = _MOSTLY * len(sample), [value for value in sample if value != "[]"]
    empty = len(sample) - len(filled)
    if filled and sum(map(_are_spans, filled)) + empty >= enough:
        return Kind.SPANS
    lists = [words for value in filled if (words := read_list(value)) is not None]
    tags = [item for words in lists for item in words]
    is_tags = len(lists) + empty >= enough and sum(map(is_entity_tag, tags)) >= _MOSTLY * len(tags)
    return Kind.TAGS if tags and is_tags else None


def _are_spans(value: str) -> bool:
    try:
        return bool(read_spans(value))
    except ValueError:
        return False


def _judge_numbers(sample: Sequence[str], *, present: int, distinct: int) -> Kind:
    """Few whole numbers that repeat name classes; whole numbers that count the rows identify them."""
    if _share(_WHOLE, sample) < 1:
        return Kind.NUMBER
    if distinct <= min(MAX_CLASS_NUMBERS, present / 2):
        return Kind.CATEGORY
    numbers = [float(value) for value in sample]
    counts_rows = distinct == present > MAX_CLASS_NUMBERS and max(numbers) - min(numbers) <= 2 * present
    return Kind.IDENTIFIER if counts_rows else Kind.NUMBER


def _judge_words(*, present: int, distinct: int, mean_words: float) -> Kind:
    repeats = present / distinct
    if repeats >= 2 and (mean_words <= 3 or (mean_words <= 8 and distinct <= MAX_CATEGORIES)):
        return Kind.CATEGORY
    if mean_words <= 1.2 and distinct >= _MOSTLY * present:
        return Kind.IDENTIFIER
    return Kind.TEXT


def _share(pattern: re.Pattern[str], sample: Sequence[str]) -> float:
    return sum(pattern.fullmatch(value) is not None for value in sample) / len(sample)


def _are_lists(sample: Sequence[str]) -> bool:
    """Lists of labels, some of which hold something; whoever writes lists may write single labels as they are."""
    found = [parse_list(value) for value in sample]
    return sum(items is not None for items in found) >= _HALF * len(sample) and any(found)


def _are_texts(sample: Sequence[str]) -> bool:
    """Whether lists hold sentences: labels are shorter, and come again. Empty lists say nothing."""
    filled = [(value, items) for value in sample if (items := parse_list(value))]
    items = [item for _, found in filled for item in found]
    is_varied = len({value for value, _ in filled}) > _HALF * len(filled)
    return is_varied and sum(len(item.split()) for item in items) >= LEAST_SENTENCE_WORDS * len(items)


def _kind_of_files(sample: Sequence[str]) -> Kind | None:
    """Pictures or recordings, if that is what the values name and some of them are there."""
    from luthier.data.load.media import MEDIA

    for role, media in MEDIA.items():
        if sum(media.is_file(Path(value)) for value in sample) >= _MOSTLY * len(sample):
            return Kind(role) if _any_is_there(sample) else None
    return None


def _any_is_there(sample: Sequence[str]) -> bool:
    return any(_is_file(value) for value in sample[:: max(1, len(sample) // _FILES_TRIED)])


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def _shorten(value: str) -> str:
    line = " ".join(value.split())
    return line if len(line) <= SHOWN_CHARACTERS else line[: SHOWN_CHARACTERS - 1] + "…"
