"""Cells that hold several labels: JSON lists, as JSONL has them, or labels with a delimiter between them."""

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def label_set(cell: object) -> list[str]:
    """The labels of a cell that holds a JSON list, sorted, each once; a missing cell has none.

    A cell that is no list is one label.

    Example:
        >>> label_set('["new", "card", "new"]'), label_set("[]"), label_set(None), label_set("card"), label_set("[3, true]")
        (['card', 'new'], [], [], ['card'], ['3', 'true'])
    """
    text = "" if cell is None else str(cell).strip()
    if not text:
        return []
    items = parse_list(text)
    return [text] if items is None else sorted(set(items))


def parse_list(text: str) -> list[str] | None:
    """The labels of a JSON list of texts, numbers or truth values, without empty ones; None if the text is something else.

    Example:
        >>> parse_list('["a", 1]'), parse_list('["a", null, " "]'), parse_list('[["a"]]'), parse_list("a")
        (['a', '1'], ['a'], None, None)
    """
    if not (text.startswith("[") and text.endswith("]")):
        return None
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if any(isinstance(item, dict | list) for item in items):
        return None
    labels = [item.strip() if isinstance(item, str) else json.dumps(item) for item in items if item is not None]
    return [label for label in labels if label]


def label_sets(column: "pa.ChunkedArray") -> list[list[str]]:
    """The labels of each row; every distinct cell is read once."""
    known: dict[object, list[str]] = {}
    found = []
    for cell in column.to_pylist():
        if cell not in known:
            known[cell] = label_set(cell)
        found.append(known[cell])
    return found


def split_cells(column: "pa.ChunkedArray", delimiter: str) -> "pa.ChunkedArray":
    """Cells of labels with a delimiter between them, as JSON lists; missing cells stay missing.

    Example:
        >>> import pyarrow as pa
        >>> split_cells(pa.chunked_array([["red; blue", "red", None]]), ";").to_pylist()
        ['["red", "blue"]', '["red"]', None]
    """
    import pyarrow as pa

    def as_list(cell: object) -> str | None:
        if cell is None or not str(cell).strip():
            return None
        pieces = [piece.strip() for piece in str(cell).split(delimiter)]
        return json.dumps([piece for piece in pieces if piece], ensure_ascii=False)

    return pa.chunked_array([pa.array([as_list(cell) for cell in column.to_pylist()], pa.string())])
