"""Boxes on pictures, as cells of a table hold them, and what can be wrong with them.

A cell is a JSON list of objects, one for each box: its label, and where it is, in pixels of the picture from its upper left
corner. Read are `{"label": ..., "x": ..., "y": ..., "width": ..., "height": ...}`, a list `"bbox": [x, y, width, height]`
instead of the four, or `xmin`, `ymin`, `xmax`, `ymax`; and one object of lists, `{"bbox": [...], "category": [...]}`, as data
sets on the hub have it. A box may be a `crowd` of things or `difficult`: such boxes are neither learnt nor counted.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

LABEL_KEYS = ("label", "category", "class", "name", "category_name")
PLACE_KEYS = ("bbox", "box")
CORNERS = ("xmin", "ymin", "xmax", "ymax")
CROWD_KEYS = ("crowd", "iscrowd")
MOST_BOXES = 10_000  # of one picture; more is no annotation


@dataclass(frozen=True, kw_only=True)
class Boxes:
    """The boxes of one picture.

    Attributes:
        labels: Of each box; empty where it has none.
        places: x, y, width and height of each, in pixels of the picture.
        crowd: Which are around many things at once.
        difficult: Which need not be found, as whoever drew them said.
    """

    labels: tuple[str, ...]
    places: Float[np.ndarray, "n 4"]
    crowd: Bool[np.ndarray, " n"]
    difficult: Bool[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def counted(self) -> Bool[np.ndarray, " n"]:
        """Which are to be found."""
        return np.asarray(~(self.crowd | self.difficult))

    def take(self, chosen: Bool[np.ndarray, " n"]) -> "Boxes":
        """Some of them."""
        labels = tuple(label for label, kept in zip(self.labels, chosen.tolist(), strict=True) if kept)
        return Boxes(labels=labels, places=self.places[chosen], crowd=self.crowd[chosen], difficult=self.difficult[chosen])


NO_BOXES = Boxes(labels=(), places=np.zeros((0, 4)), crowd=np.zeros(0, dtype=bool), difficult=np.zeros(0, dtype=bool))


def read_boxes(cell: str | None) -> Boxes:
    """The boxes of a cell; of an empty list, and of an empty cell, none.

    Raises:
        ValueError: the cell holds something else; says what.

    Example:
        >>> read_boxes('[{"label": "cat", "bbox": [4, 8, 20, 10]}]').places.tolist()
        [[4.0, 8.0, 20.0, 10.0]]
        >>> read_boxes('{"bbox": [[4, 8, 20, 10]], "category": ["cat"]}').labels
        ('cat',)
    """
    if cell is None or not cell.strip():
        return NO_BOXES
    try:
        content = json.loads(cell)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is no JSON") from error
    items = _from_lists(content) if isinstance(content, dict) else content
    if not isinstance(items, list):
        raise ValueError("it is no list of boxes")
    if len(items) > MOST_BOXES:
        raise ValueError(f"it has {len(items):,} boxes; at most {MOST_BOXES:,} are read")
    return boxes_of(_box(item) for item in items)


def boxes_of(read: Iterable[tuple[str, Sequence[float], bool, bool]]) -> Boxes:
    """Boxes from (label, place, crowd, difficult) of each."""
    rows = list(read)
    if not rows:
        return NO_BOXES
    labels, places, crowd, difficult = zip(*rows, strict=True)
    return Boxes(
        labels=labels,
        places=np.array(places, dtype=np.float64).reshape(-1, 4),
        crowd=np.array(crowd, dtype=bool),
        difficult=np.array(difficult, dtype=bool),
    )


def _from_lists(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One object of lists as a list of objects."""
    if not any(isinstance(content.get(key), list) for key in PLACE_KEYS):
        raise ValueError("it is no list of boxes")
    lengths = {len(value) for value in content.values() if isinstance(value, list)}
    if len(lengths) != 1:
        raise ValueError("its lists have different lengths")
    names = {**{f"{key}s": key for key in LABEL_KEYS}, "categories": "category", "classes": "class"}
    lists = {names.get(key, key): value for key, value in content.items() if isinstance(value, list)}
    return [{key: value[place] for key, value in lists.items()} for place in range(lengths.pop())]


def _box(item: Any) -> tuple[str, list[float], bool, bool]:
    if not isinstance(item, dict):
        raise ValueError("a box is no object")
    label = next((item[key] for key in LABEL_KEYS if item.get(key) is not None), "")
    if not isinstance(label, str | int) or isinstance(label, bool):
        raise ValueError("a label is neither a text nor a number")
    crowd = any(_is_set(item.get(key)) for key in CROWD_KEYS)
    return str(label).strip(), _place(item), crowd, _is_set(item.get("difficult"))


def _is_set(value: Any) -> bool:
    return value in (1, True, "1")


def _place(item: Mapping[str, Any]) -> list[float]:
    given = next((item[key] for key in PLACE_KEYS if key in item), None)
    if given is None and all(key in item for key in CORNERS):
        left, top, right, bottom = (_number(item[key]) for key in CORNERS)
        return [left, top, right - left, bottom - top]
    if given is None:
        given = [item.get("x"), item.get("y"), item.get("width", item.get("w")), item.get("height", item.get("h"))]
    if not isinstance(given, list) or len(given) != 4:
        raise ValueError("a box has no four numbers")
    return [_number(value) for value in given]


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > 1e7:
        raise ValueError("a box has no four numbers")
    return float(value)


def write_boxes(boxes: Boxes) -> str:
    """A cell that `read_boxes` reads."""
    rows = []
    flags = zip(boxes.crowd.tolist(), boxes.difficult.tolist(), strict=True)
    for label, place, (crowd, difficult) in zip(boxes.labels, boxes.places.tolist(), flags, strict=True):
        x, y, width, height = (round(value, 3) for value in place)
        row: dict[str, Any] = {"label": label, "x": x, "y": y, "width": width, "height": height}
        rows.append(row | ({"crowd": True} if crowd else {}) | ({"difficult": True} if difficult else {}))
    return json.dumps(rows, ensure_ascii=False)


def looks_like_boxes(cell: str) -> bool:
    """Whether a cell holds at least one box and nothing that is none.

    Example:
        >>> looks_like_boxes('[{"label": "cat", "x": 1, "y": 2, "w": 3, "h": 4}]'), looks_like_boxes("[]")
        (True, False)
    """
    if '"' not in cell:
        return False
    try:
        return len(read_boxes(cell)) > 0
    except ValueError:
        return False


def faults_of_boxes(boxes: Boxes, size: tuple[int, int] | None) -> dict[str, Bool[np.ndarray, " n"]]:
    """By the kind of fault, which boxes have it; all but `over_border` are left out.

    Args:
        boxes: Of one picture.
        size: Width and height of the picture; None where it cannot be read: then no box is outside of it.
    """
    x, y, width, height = boxes.places.T
    no_area = (width <= 0) | (height <= 0)
    nothing = np.zeros(len(boxes), dtype=bool)
    outside = over = nothing
    if size is not None:
        inside_x = np.minimum(x + width, size[0]) - np.maximum(x, 0)
        inside_y = np.minimum(y + height, size[1]) - np.maximum(y, 0)
        outside = ~no_area & ((inside_x <= 0) | (inside_y <= 0))
        past = np.maximum.reduce([-x, -y, x + width - size[0], y + height - size[1]])
        over = ~no_area & ~outside & (past > 1)
    rows = [(label, *place) for label, place in zip(boxes.labels, boxes.places.tolist(), strict=True)]
    first = {row: place for place, row in reversed(list(enumerate(rows)))}
    repeated = np.array([first[row] != place for place, row in enumerate(rows)], dtype=bool)
    no_label = np.array([not label for label in boxes.labels], dtype=bool)
    return {
        "no_area": no_area,
        "outside": outside,
        "no_label": no_label & ~no_area & ~outside,
        "repeated": repeated & ~no_area & ~outside & ~no_label,
        "over_border": over & ~repeated,
    }


def usable_boxes(boxes: Boxes, size: tuple[int, int] | None) -> Boxes:
    """The boxes without those that have a fault, cut at the borders of the picture."""
    faults = faults_of_boxes(boxes, size)
    lost = np.logical_or.reduce([mask for fault, mask in faults.items() if fault != "over_border"])
    kept = boxes.take(~lost)
    if size is None or not len(kept):
        return kept
    corners = np.concatenate([kept.places[:, :2], kept.places[:, :2] + kept.places[:, 2:]], axis=1)
    corners = np.clip(corners, 0, [size[0], size[1], size[0], size[1]])
    places = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    return Boxes(labels=kept.labels, places=places, crowd=kept.crowd, difficult=kept.difficult)
