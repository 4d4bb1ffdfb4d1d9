"""What a folder holds, with digests: written last, so that a folder with a manifest is a whole one."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.core.records import to_json
from luthier.core.storage import sha256_of, write_text

MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class Damage:
    """One difference between a folder and its manifest."""

    path: str
    what: str


def write_manifest(folder: Path, *, leave_out: Collection[str] = ()) -> None:
    """Write `manifest.json`: sha256 and size of every file below `folder` but itself.

    Args:
        leave_out: Folders at the top whose files are not named, because they are about to go.
    """
    files = {
        path.relative_to(folder).as_posix(): {"sha256": sha256_of(path), "bytes": path.stat().st_size}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / MANIFEST and path.relative_to(folder).parts[0] not in leave_out
    }
    write_text(folder / MANIFEST, _text_of(files))


def _text_of(files: Mapping[str, Any]) -> str:
    return to_json({"schema_version": 1, "files": files}, indent=2) + "\n"


def verify_manifest(folder: Path) -> list[Damage]:
    """Compare a folder with its manifest; an empty list means that it is whole and unchanged."""
    if not (folder / MANIFEST).is_file():
        return [Damage(path=MANIFEST, what="missing: the run did not finish, or this is not a run folder")]
    files = _read_files(folder / MANIFEST)
    if files is None:
        return [Damage(path=MANIFEST, what="unreadable")]
    damages = [damage for name, entry in files.items() if (damage := _compare(folder, name, entry))]
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {MANIFEST}
    return damages + [Damage(path=name, what="not in the manifest") for name in sorted(found - set(files))]


def _read_files(path: Path) -> dict[str, dict[str, object]] | None:
    """The entries of a manifest; None if one of its bytes is not as it was written."""
    try:
        text = path.read_text(encoding="utf-8")
        files = json.loads(text)["files"]
        is_as_written = text == _text_of(files) and all(set(entry) == {"sha256", "bytes"} for entry in files.values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return files if is_as_written else None


def _compare(folder: Path, name: str, entry: dict[str, object]) -> Damage | None:
    path = folder / name
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            return Damage(path=name, what="points outside the folder")
        if not path.is_file():
            return Damage(path=name, what="missing")
        if path.stat().st_size != entry["bytes"]:
            return Damage(path=name, what=f"{path.stat().st_size} bytes instead of {entry['bytes']}")
        if sha256_of(path) != entry["sha256"]:
            return Damage(path=name, what="changed (sha256 differs)")
    except (OSError, ValueError) as error:  # a disk that cannot read it, a name that is none
        return Damage(path=name, what=f"cannot be read ({error})")
    return None
