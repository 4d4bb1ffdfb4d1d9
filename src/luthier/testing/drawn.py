"""Pictures drawn by code, with the boxes of what was drawn: for tests of detection and its loaders."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

COLOURS: Mapping[str, tuple[int, int, int]] = {"disc": (200, 60, 50), "block": (40, 80, 200)}


def draw_pictures(
    folder: Path, number: int, *, seed: int, size: tuple[int, int] = (96, 64), most: int = 3
) -> list[tuple[str, list[dict[str, Any]]]]:
    """Write PNG files with up to `most` discs and blocks each on noise; returns name and boxes of each, as a cell has them.

    Args:
        size: Width and height.
    """
    from PIL import Image, ImageDraw

    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    found = []
    for place in range(number):
        noise = generator.integers(150, 190, (size[1], size[0], 3), dtype=np.uint8)
        picture = Image.fromarray(noise)
        draw = ImageDraw.Draw(picture)
        boxes = []
        for _ in range(int(generator.integers(0 if place % 5 == 4 else 1, most + 1))):
            label = str(generator.choice(list(COLOURS)))
            width, height = generator.integers(14, 28, 2).tolist()
            x, y = int(generator.integers(0, size[0] - width)), int(generator.integers(0, size[1] - height))
            shape = draw.ellipse if label == "disc" else draw.rectangle
            shape((x, y, x + width - 1, y + height - 1), fill=COLOURS[label])
            boxes.append({"label": label, "x": x, "y": y, "width": width, "height": height})
        name = f"drawn-{seed}-{place:03}.png"
        picture.save(folder / name)
        found.append((name, boxes))
    return found


def write_box_table(path: Path, rows: Sequence[tuple[str, list[dict[str, Any]]]]) -> Path:
    """A JSONL file of pictures and boxes."""
    lines = [json.dumps({"image": name, "boxes": boxes}) for name, boxes in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def write_coco(path: Path, rows: Sequence[tuple[str, list[dict[str, Any]]]]) -> Path:
    """A JSON document as COCO has it; category ids have gaps, as there."""
    labels = list(COLOURS)
    images = [{"id": 10 * number, "file_name": name, "width": 96, "height": 64} for number, (name, _) in enumerate(rows)]
    annotations = [
        {
            "image_id": 10 * number,
            "category_id": 3 * labels.index(box["label"]) + 1,
            "bbox": [box["x"], box["y"], box["width"], box["height"]],
            "area": box["width"] * box["height"],
            "iscrowd": 0,
        }
        for number, (_, boxes) in enumerate(rows)
        for box in boxes
    ]
    document = {
        "images": images,
        "annotations": [{"id": number, **item} for number, item in enumerate(annotations, 1)],
        "categories": [{"id": 3 * place + 1, "name": label} for place, label in enumerate(labels)],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def write_voc(
    folder: Path, rows: Sequence[tuple[str, list[dict[str, Any]]]], *, parts: Mapping[str, Sequence[int]] | None = None
) -> Path:
    """Annotations as Pascal VOC has them, beside pictures that were drawn into `JPEGImages`; and lists of parts, if any."""
    (folder / "Annotations").mkdir(parents=True, exist_ok=True)
    for name, boxes in rows:
        objects = "".join(
            f"<object><name>{box['label']}</name><difficult>0</difficult><bndbox><xmin>{box['x']}</xmin><ymin>{box['y']}</ymin>"
            f"<xmax>{box['x'] + box['width']}</xmax><ymax>{box['y'] + box['height']}</ymax></bndbox></object>"
            for box in boxes
        )
        size = "<size><width>96</width><height>64</height><depth>3</depth></size>"
        content = f"<annotation><filename>{name}</filename>{size}{objects}</annotation>"
        (folder / "Annotations" / f"{Path(name).stem}.xml").write_text(content, encoding="utf-8")
    lists = folder / "ImageSets" / "Main"
    for part, numbers in (parts or {}).items():
        lists.mkdir(parents=True, exist_ok=True)
        (lists / f"{part}.txt").write_text("".join(f"{Path(rows[number][0]).stem}\n" for number in numbers), encoding="utf-8")
    return folder
