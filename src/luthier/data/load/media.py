"""Folders of pictures or sound: one sub-folder per class. Only names are read; whether a file opens is a check's question."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from luthier.core.sound import is_sound_file
from luthier.data.load.files import is_image_file, missing
from luthier.data.load.source import SourceKind
from luthier.errors import DataError

LABEL = "label"
_JUNK = ("thumbs.db", "desktop.ini", "__macosx")

MediaRole = Literal["image", "audio"]


@dataclass(frozen=True, kw_only=True)
class Media:
    """A kind of file that is an example by itself.

    Attributes:
        role: The column of paths, and its role.
        source: How a folder of such files by class is called.
        noun: One such file, in messages.
        formats: The kinds of file, in messages.
        example: A file's name, in messages.
        is_file: Whether a name is that of such a file.
    """

    role: MediaRole
    source: SourceKind
    noun: str
    formats: str
    example: str
    is_file: Callable[[Path], bool]


MEDIA: Mapping[MediaRole, Media] = {
    "image": Media(
        role="image",
        source="image-folder",
        noun="picture",
        formats="JPEG, PNG, WebP, BMP, TIFF or PPM files",
        example="picture.jpg",
        is_file=is_image_file,
    ),
    "audio": Media(
        role="audio",
        source="audio-folder",
        noun="recording",
        formats="WAV, FLAC, OGG, Opus, MP3 or AIFF files",
        example="recording.wav",
        is_file=is_sound_file,
    ),
}


def is_media_file(path: Path) -> bool:
    """Whether the name is that of a picture or a recording."""
    return any(media.is_file(path) for media in MEDIA.values())


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
    """The sub-folders that hold pictures or recordings, at any depth, in the order of their names."""
    subfolders = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not is_hidden(entry.name))
    return [entry for entry in subfolders if any(is_media_file(path) for path in walk_files(entry))]


def has_media(folder: Path) -> bool:
    """Whether pictures or recordings lie directly in this folder."""
    return any(is_media_file(entry) for entry in folder.iterdir() if entry.is_file())


def media_in(*folders: Path) -> Media:
    """What some folders hold most of."""
    counts = {
        role: sum(media.is_file(path) for folder in folders for path in walk_files(folder)) for role, media in MEDIA.items()
    }
    return MEDIA[max(MEDIA, key=lambda role: counts[role])]


def media_of(source: SourceKind) -> Media:
    """What a kind of folder holds."""
    return next(media for media in MEDIA.values() if media.source == source)


def list_classified(folder: Path, media: Media) -> tuple[list[tuple[Path, str]], list[Path]]:
    """The files of one kind in `folder/CLASS/...` with their class, and the files that are none of them."""
    found, others = [], []
    for path in walk_files(folder):
        inside = path.relative_to(folder).parts
        if len(inside) > 1 and media.is_file(path) and is_readable_name(path):
            found.append((path, inside[0]))
        else:
            others.append(path)
    return found, others


def list_media(path: str | Path, media: Media) -> list[Path]:
    """The files of one kind below a folder, at any depth and in a fixed order; or the one file that `path` is.

    Raises:
        DataError: there is no such path, or no such file below it.
    """
    given = Path(path)
    if not given.exists():
        raise missing(given)
    if given.is_file():
        found = [given] if media.is_file(given) else []
    else:
        found = [file for file in walk_files(given) if media.is_file(file) and is_readable_name(file)]
    if not found:
        raise DataError(f"There is no {media.noun} in {given}.", remedy=f"give a folder of {media.formats}")
    return found
