"""What a folder holds, with digests: written last, so that a folder with a manifest is a whole one."""

from dataclasses import dataclass
from pathlib import Path

from luthier.core.storage import read_json, sha256_of, write_json

MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class Damage:
    """One difference between a folder and its manifest."""

    path: str
    what: str


def write_manifest(folder: Path) -> None:
    """Write `manifest.json`: sha256 and size of every file below `folder` but itself."""
    files = {
        path.relative_to(folder).as_posix(): {"sha256": sha256_of(path), "bytes": path.stat().st_size}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / MANIFEST
    }
    write_json(folder / MANIFEST, {"schema_version": 1, "files": files})


def verify_manifest(folder: Path) -> list[Damage]:
    """Compare a folder with its manifest; an empty list means that it is whole and unchanged."""
    if not (folder / MANIFEST).is_file():
        return [Damage(path=MANIFEST, what="missing: the run did not finish, or this is not a run folder")]
    try:
        files = read_json(folder / MANIFEST)["files"]
    except (ValueError, KeyError, TypeError):
        return [Damage(path=MANIFEST, what="unreadable")]
    damages = [damage for name, entry in files.items() if (damage := _compare(folder, name, entry))]
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {MANIFEST}
    return damages + [Damage(path=name, what="not in the manifest") for name in sorted(found - set(files))]


def _compare(folder: Path, name: str, entry: dict[str, object]) -> Damage | None:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        return Damage(path=name, what="points outside the folder")
    if not path.is_file():
        return Damage(path=name, what="missing")
    if path.stat().st_size != entry["bytes"]:
        return Damage(path=name, what=f"{path.stat().st_size} bytes instead of {entry['bytes']}")
    if sha256_of(path) != entry["sha256"]:
        return Damage(path=name, what="changed (sha256 differs)")
    return None
