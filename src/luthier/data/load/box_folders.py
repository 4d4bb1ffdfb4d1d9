"""Folders in which pictures and their boxes lie as Pascal VOC and COCO lay them out: which files say what of which part."""

import re
from pathlib import Path

from luthier.data.load.layout import PART_NAMES
from luthier.data.load.source import SourceKind
from luthier.data.load.voc import ANNOTATIONS, LISTS, PICTURES

COCO_FOLDER = "annotations"
_COCO_FILE = re.compile(r"(?:instances_)?([a-z]+?)(?:\d{4})?\.json")


def layout_of_boxes(folder: Path) -> tuple[SourceKind, dict[str, list[Path]]] | None:
    """The kind of a folder of boxes, and the files of its parts (`all` if it names none); None if it is no such folder."""
    if (folder / PICTURES).is_dir() and (folder / ANNOTATIONS).is_dir():
        return "voc", _voc_lists(folder)
    if (folder / COCO_FOLDER).is_dir():
        found = _coco_files(folder / COCO_FOLDER)
        return ("table", found) if "train" in found else None
    return None


def _voc_lists(folder: Path) -> dict[str, list[Path]]:
    """Lists named like parts; `trainval` is read where it is not there in two halves. Lists of one class are left alone."""
    lists = {path.stem.lower(): path for path in sorted((folder / LISTS).glob("*.txt"))}
    parts = {}
    for part, names in PART_NAMES.items():
        if named := [lists[name] for name in names if name in lists]:
            parts[part] = named[:1]
    if "train" not in parts and "trainval" in lists:
        parts["train"] = [lists["trainval"]]
    return parts if "train" in parts else {"all": [folder / ANNOTATIONS]}


def _coco_files(folder: Path) -> dict[str, list[Path]]:
    """The files of instances of each part: `instances_train2017.json`, or `train.json`."""
    part_of = {name: part for part, names in PART_NAMES.items() for name in names}
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*.json"), key=lambda path: (not path.name.startswith("instances_"), path.name)):
        match = _COCO_FILE.fullmatch(path.name.lower())
        if match and match[1] in part_of:
            found.setdefault(part_of[match[1]], [path])
    return found
