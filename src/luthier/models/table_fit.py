"""What train teaches about the columns of a table: scales, codes, how dates are written; and which are texts and pictures."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from luthier.core.moments import find_formats, read_moments
from luthier.errors import DataError, LuthierError, raise_together
from luthier.models.table_cells import (
    CategoryCell,
    NumberCell,
    Scaling,
    fit_category,
    fit_number,
    parts_of_moments,
    read_categories,
    read_numbers,
    read_texts,
)
from luthier.models.table_processor import TableContent

if TYPE_CHECKING:
    import pyarrow as pa

MOST_UNREADABLE = 0.05
ORDERED_NUMBERS = 3  # a category of so many whole numbers is a number: its order says something


def fit_table(table: "pa.Table", columns: Sequence[tuple[str, str]], *, scaling: Scaling) -> TableContent:
    """What train teaches about its columns; what reads texts and pictures is for the caller to fill in.

    Args:
        table: Rows of train.
        columns: Name and kind (`number`, `category`, `datetime`, `text`, `image`) of each column that is read.
        scaling: Of numbers.

    Raises:
        DataError: dates that can be read in two ways or in none; all such columns together.

    Example:
        >>> import pyarrow as pa
        >>> train = pa.table({"age": ["31", "", "58"], "plan": ["gold", "basic", "gold"]})
        >>> found = fit_table(train, [("age", "number"), ("plan", "category")], scaling="standard")
        >>> found.columns, found.categories[0].values
        (('age', 'plan'), ('gold', 'basic'))
    """
    numbers: list[NumberCell] = []
    categories: list[CategoryCell] = []
    texts: list[str] = []
    images: list[str] = []
    dates: dict[str, str] = {}
    problems: list[LuthierError] = []
    for name, kind in columns:
        if kind == "text":
            texts.append(name)
        elif kind == "image":
            images.append(name)
        elif kind == "datetime":
            try:
                dates[name] = _date_format(name, read_texts(table.column(name)))
            except DataError as error:
                problems.append(error)
                continue
            found = _fit_date(name, read_moments(read_texts(table.column(name)), dates[name]), scaling=scaling)
            numbers += found[0]
            categories += found[1]
        else:
            cell = _fit_plain(name, kind, table.column(name), scaling=scaling)
            numbers += [cell] if isinstance(cell, NumberCell) else []
            categories += [cell] if isinstance(cell, CategoryCell) else []
    raise_together(problems)
    return TableContent(
        numbers=tuple(numbers),
        categories=tuple(categories),
        texts=tuple(texts),
        images=tuple(images),
        dates=dates,
        scaling=scaling,
    )


def _fit_plain(name: str, kind: str, column: "pa.ChunkedArray", *, scaling: Scaling) -> NumberCell | CategoryCell | None:
    """A number or a category; None where train has no value at all."""
    values, wrong = read_numbers(column)
    known = values[~np.isnan(values)]
    is_ordered = not wrong.any() and len(np.unique(known)) >= ORDERED_NUMBERS
    if kind == "number" or is_ordered:
        return fit_number(name, name, values, scaling=scaling) if len(known) else None
    names = read_categories(column)
    return fit_category(name, name, names) if any(names) else None


def _fit_date(name: str, seconds: Float[np.ndarray, " N"], *, scaling: Scaling) -> tuple[list[NumberCell], list[CategoryCell]]:
    """The parts of a date that differ from row to row."""
    numbers: list[NumberCell] = []
    categories: list[CategoryCell] = []
    for part in ("days", "year", "month", "weekday", "hour"):
        values = parts_of_moments(seconds, part)
        if len(np.unique(values[~np.isnan(values)])) < 2:
            continue
        if part in ("month", "weekday"):
            names = ["" if np.isnan(value) else str(int(value)) for value in values]
            categories.append(fit_category(f"{name}.{part}", name, names, part=part))
        else:
            numbers.append(fit_number(f"{name}.{part}", name, values, scaling=scaling, part=part))
    return numbers, categories


def _date_format(name: str, texts: Sequence[str]) -> str:
    present = [text for text in texts if text]
    formats = find_formats(present, most_unreadable=MOST_UNREADABLE)
    if len(formats) == 1:
        return formats[0]
    example = present[0] if present else ""
    if formats:
        problem = f"The dates of column '{name}' can be read with the day first or with the month first ('{example}')."
    else:
        problem = f"The dates of column '{name}' are written in several ways, or in one that nothing here reads ('{example}')."
    raise DataError(problem, remedy=f"write them as YYYY-MM-DD, or --ignore '{name}'")
