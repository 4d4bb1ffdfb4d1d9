"""Files that are whole or absent: atomic writes, digests, free space. POSIX-only calls live here and in `process`."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from luthier.core.records import to_json
from luthier.errors import ResourceError, UsageError

LEFTOVER = ".tmp"  # how the hidden names of unfinished writes end


def sha256_of(path: Path) -> str:
    """The file's sha256 as 64 hexadecimal digits, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a power cut (no-op where folders cannot be opened or synced)."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # Windows
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # what file systems say that know nothing of it
            raise
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Have what was written to a file on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` to write to; it takes `path`'s place when the block ends well, else it goes.

    Raises:
        ResourceError: the disk is full or cannot be written to; names the path and the free space.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{LEFTOVER}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        sync_file(temporary)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder`; it becomes `folder` when the block ends well, else nothing is left.

    Every file in it is on the disk before it gets its name, so that a power cut leaves a whole folder or none.

    Raises:
        ResourceError: the disk is full or cannot be written to; names the path and the free space.
    """
    temporary: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=LEFTOVER, dir=folder.parent))
        yield temporary
        temporary.chmod(0o755)
        for path in sorted(temporary.rglob("*")):
            sync_file(path) if path.is_file() else sync_folder(path)
        sync_folder(temporary)
        with _out_of_the_way(folder):
            temporary.replace(folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise cannot_write(folder, error) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _out_of_the_way(folder: Path) -> Iterator[None]:
    """Give a folder that stands in the way a hidden name; it goes when its successor is there, else it comes back."""
    if not folder.exists():
        yield
        return
    old = _hide(folder)
    try:
        yield
    finally:
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.replace(folder)


def remove_folder(folder: Path) -> None:
    """Remove a folder so that nobody ever meets half of it: it loses its name first. What cannot be removed stays."""
    with suppress(OSError):
        shutil.rmtree(_hide(folder), ignore_errors=True)


def _hide(folder: Path) -> Path:
    """Give a folder a hidden name beside its own (needs no space on the disk); returns that."""
    hidden = folder.with_name(f".{folder.name}.{os.getpid()}.old{LEFTOVER}")
    shutil.rmtree(hidden, ignore_errors=True)
    return folder.replace(hidden)


def free_of_leftovers(folder: Path) -> None:
    """Remove what writes that were killed have left below a folder: hidden files of this module, nothing else."""
    for path in sorted(folder.rglob(f".*{LEFTOVER}")):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Keep every other process from writing to a folder; the lock goes with this process, however it ends.

    Raises:
        UsageError: another process holds it.
    """
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise UsageError(
            f"Another process is at work in {folder}.", remedy="wait until it is done, or --out with another folder"
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def taking_turns(path: Path) -> Iterator[None]:
    """Wait for one's turn: of all processes of this machine that come here with the same file, one at a time is inside."""
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def cannot_write(path: Path, error: OSError) -> ResourceError:
    """The error for a write that failed: which path, why, how much space is free."""
    existing = path if path.exists() else next(parent for parent in path.absolute().parents if parent.exists())
    free = shutil.disk_usage(existing).free
    return ResourceError(
        f"Cannot write {path}: {error.strerror or error} ({format_bytes(free)} free there).",
        remedy="free some space, or choose another place with --out",
    )


def reserve_space(path: Path, num_bytes: int) -> None:
    """Make a file of this size whose place on the disk is taken.

    Writing into mapped memory of a file that turns out not to fit ends the process (SIGBUS); a full disk is an OSError here.
    """
    with path.open("wb") as file:
        if num_bytes and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, num_bytes)
        else:
            file.truncate(num_bytes)


def free_bytes(folder: Path) -> int:
    """Bytes free on the disk that holds (or will hold) `folder`."""
    existing = next(parent for parent in [folder.absolute(), *folder.absolute().parents] if parent.exists())
    return shutil.disk_usage(existing).free


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a record, or anything made of records, as indented JSON."""
    write_text(path, to_json(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; NaN and Infinity, which are not JSON, raise ValueError."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{path} holds {constant}, which is not JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def append_line(path: Path, value: Any) -> None:
    """Append one record to a JSON-lines file."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(to_json(value) + "\n")
    except OSError as error:
        raise cannot_write(path, error) from error


def format_bytes(number: float) -> str:
    """A number of bytes for people.

    Example:
        >>> format_bytes(512), format_bytes(3 * 1024**2), format_bytes(21.4 * 1024**3)
        ('512 B', '3.0 MiB', '21.4 GiB')
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(number) < 1024 or unit == "GiB":
            break
        number /= 1024
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
