"""COCO's JSON of instances: a list of pictures, a list of boxes, a list of categories. One row for each picture.

Columns: `image` (its `file_name`), `boxes` (as `data/boxes.py` writes them; `iscrowd` is kept), `width` and `height` as the
file gives them. A box whose category is not listed has no label, and one whose picture is not listed is a bad row of its own:
both are named.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from luthier.data.boxes import MOST_BOXES, boxes_of, write_boxes
from luthier.data.load.json_documents import Entry, Form


def is_coco(document: Any) -> bool:
    """Whether it has pictures, annotations and categories.

    Example:
        >>> is_coco({"images": [], "annotations": [], "categories": []}), is_coco({"images": []})
        (True, False)
    """
    return isinstance(document, dict) and all(
        isinstance(document.get(key), list) for key in ("images", "annotations", "categories")
    )


def read_pictures(document: Any) -> Iterator[Entry]:
    """One row for each picture, in order; then one bad row for each annotation of a picture that is not listed."""
    names = {item["id"]: str(item.get("name", item["id"])) for item in _objects(document["categories"]) if "id" in item}
    by_picture: dict[Any, list[Mapping[str, Any]]] = {}
    for item in document["annotations"]:
        picture = item.get("image_id") if isinstance(item, dict) else None
        by_picture.setdefault(picture if isinstance(picture, int | str) else None, []).append(item)
    for picture in document["images"]:
        yield _row(picture, by_picture, names)
    for lost in by_picture.values():
        yield from (Entry(cells={}, fault="bad_entry") for _ in lost)


def _objects(items: Sequence[Any]) -> list[Mapping[str, Any]]:
    return [item for item in items if isinstance(item, dict)]


def _row(picture: Any, by_picture: dict[Any, list[Mapping[str, Any]]], names: Mapping[Any, str]) -> Entry:
    if not isinstance(picture, dict) or not isinstance(picture.get("file_name"), str):
        return Entry(cells={}, fault="bad_entry")
    own = by_picture.pop(picture.get("id"), [])
    cells = {
        "image": picture["file_name"],
        "boxes": None,
        "width": _text(picture.get("width")),
        "height": _text(picture.get("height")),
    }
    try:
        return Entry(cells={**cells, "boxes": write_boxes(boxes_of(_box(item, names) for item in own[: MOST_BOXES + 1]))})
    except (TypeError, ValueError):
        return Entry(cells=cells, fault="bad_entry")


def _box(item: Any, names: Mapping[Any, str]) -> tuple[str, list[float], bool, bool]:
    if not isinstance(item, dict):
        raise ValueError("an annotation is no object")
    place = item.get("bbox")
    if not isinstance(place, list) or len(place) != 4:
        raise ValueError("a box has no four numbers")
    return names.get(item.get("category_id"), ""), [float(value) for value in place], item.get("iscrowd") in (1, True), False


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


COCO = Form(
    name="COCO instances", fits=is_coco, entries=read_pictures, roles=lambda entries: {"image": "image", "target": "boxes"}
)
