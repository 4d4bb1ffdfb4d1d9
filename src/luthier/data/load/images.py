"""Folders of pictures: one sub-folder per class. Only names are read here; whether a picture opens is a check's question."""

import os
from collections.abc import Iterator
from pathlib import Path

from luthier.data.load.files import is_image_file, missing
from luthier.errors import DataError

LABEL, IMAGE = "label", "image"
_JUNK = ("thumbs.db", "desktop.ini", "__macosx")


def is_hidden(name: str) -> bool:
    """Whether a name is none of the user's: dot files, and what file managers leave behind."""
    return name.startswith(".") or name.lower() in _JUNK


def walk_files(folder: Path) -> Iterator[Path]:
    """All files below a folder, sorted by path, but hidden ones; links to folders are not followed."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        yield from (Path(place, name) for name in sorted(files) if not is_hidden(name))


def is_readable_name(path: Path) -> bool:
    """Whether the path is text (file names on Linux may be any bytes)."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def class_folders(folder: Path) -> list[Path]:
    """The sub-folders that hold pictures, at any depth, in the order of their names."""
    subfolders = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not is_hidden(entry.name))
    return [entry for entry in subfolders if any(is_image_file(path) for path in walk_files(entry))]


def has_pictures(folder: Path) -> bool:
    """Whether pictures lie directly in this folder."""
    return any(is_image_file(entry) for entry in folder.iterdir() if entry.is_file())


def list_classified(folder: Path) -> tuple[list[tuple[Path, str]], list[Path]]:
    """The pictures of `folder/CLASS/...` with their class, and the files that are none of them."""
    pictures, others = [], []
    for path in walk_files(folder):
        inside = path.relative_to(folder).parts
        if len(inside) > 1 and is_image_file(path) and is_readable_name(path):
            pictures.append((path, inside[0]))
        else:
            others.append(path)
    return pictures, others


def list_images(path: str | Path) -> list[Path]:
    """The pictures below a folder, at any depth and in a fixed order; or the one picture that `path` is.

    Raises:
        DataError: there is no such path, or no picture below it.
    """
    given = Path(path)
    if not given.exists():
        raise missing(given)
    if given.is_file():
        pictures = [given] if is_image_file(given) else []
    else:
        pictures = [file for file in walk_files(given) if is_image_file(file) and is_readable_name(file)]
    if not pictures:
        raise DataError(f"There is no picture in {given}.", remedy="give a folder of JPEG, PNG, WebP, BMP, TIFF or PPM files")
    return pictures
