"""States of a training on disk, from which it goes on to the bit: whole or absent, and never trusted unread.

    checkpoints/top-blocks-2/step-00000150/
        weights.safetensors  optimizer.safetensors  average.safetensors  best.safetensors  generators.safetensors
        state.json           step, losses, early stopping, micro-batch, how far the journal was
        manifest.json        sha256 of every file, written last

A state is written to a temporary folder, synced and renamed; two are kept, so that a damaged newest one costs an interval and
not the training. Reading begins with the newest and takes the first whose every byte is what the manifest says; damaged ones
are named and set aside as `passed-over-step-...`.

Source: the order of write, sync, rename is that of Pillai et al. 2014, "All file systems are not created equal".
"""

import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from luthier.core.manifest import verify_manifest, write_manifest
from luthier.core.progress import Observer
from luthier.core.storage import atomic_folder, read_json, remove_folder, write_json
from luthier.errors import ResourceError
from luthier.training.processes import Processes

FORMAT_VERSION = 1
KEPT = 2
MOST_SHARE = 0.02  # of the time that training takes
LEAST_SECONDS = 15.0
BYTES_PER_SECOND = 200e6  # of a slow disk, for the first state, before one has been timed
STATE = "state.json"
Tensors = Mapping[str, Mapping[str, Tensor]]


@dataclass(frozen=True, kw_only=True)
class Saved:
    """One state, read and verified.

    Attributes:
        tensors: By file and name.
        state: Everything that is no tensor.
    """

    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Any]


def shared_state(saved: Saved | None, processes: Processes) -> Saved | None:
    """The state that the main process has read, on every process; None if it has none."""
    if processes.count == 1:
        return saved
    tensors, state = processes.share(saved.tensors if saved else {}, saved.state if saved else None)
    return None if state is None else Saved(tensors=tensors, state=state)


class Checkpoints:
    """The states of one training.

    Args:
        folder: Theirs alone.
        seconds: Between two of them; None chooses so that saving takes no more than `MOST_SHARE` of the time.
        observer: Is told of states that are damaged, and of disks that are full.
        context: What else is kept with each state.

    Example:
        >>> import tempfile, torch
        >>> from luthier.core.progress import Quiet
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     states = Checkpoints(Path(folder), seconds=None, observer=Quiet())
        ...     states.save("step-00000007", {"weights": {"w": torch.ones(2)}}, {"step": 7})
        ...     states.newest().state["step"]
        7
    """

    def __init__(
        self,
        folder: Path,
        *,
        seconds: float | None,
        observer: Observer,
        context: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self.folder = folder
        self._context = context
        self._seconds = seconds
        self._observer = observer
        self._interval = seconds
        self._last = time.monotonic()

    def is_due(self, num_bytes: Callable[[], int]) -> bool:
        """Whether it is time to save.

        Args:
            num_bytes: Tells the size of a state; asked once, before anything has been saved.
        """
        if self._interval is None:
            self._interval = max(LEAST_SECONDS, num_bytes() / BYTES_PER_SECOND / MOST_SHARE)
        return time.monotonic() - self._last >= self._interval

    @property
    def has_any(self) -> bool:
        """Whether there is a state that has not been found damaged."""
        return bool(self._found())

    def try_to_save(self, name: str, tensors: Tensors, state: Mapping[str, Any]) -> None:
        """Save; a disk that is full is a warning, and costs no training: the state before is still there."""
        try:
            self.save(name, tensors, state)
        except ResourceError as error:
            self._observer.note(f"{name} is not saved: {error.problem}", level="warning")
            self._last = time.monotonic()

    def save(self, name: str, tensors: Tensors, state: Mapping[str, Any]) -> None:
        """Write a state, and let older ones go.

        Args:
            name: `step-00000150`; later states have names that sort later.

        Raises:
            ResourceError: the disk is full or cannot be written to; the states before are as they were.
        """
        begin = time.monotonic()
        write_state(self.folder / name, tensors, {**state, **self._context()})
        for path in self._found()[KEPT:]:
            remove_folder(path)
        self._last = time.monotonic()
        if self._seconds is None:
            self._interval = max(LEAST_SECONDS, (self._last - begin) / MOST_SHARE)

    def newest(self) -> Saved | None:
        """The newest state that is whole; damaged ones are named and set aside."""
        for path in self._found():
            if (saved := read_state(path, observer=self._observer)) is not None:
                return saved
        return None

    def newest_facts(self) -> dict[str, Any] | None:
        """What `newest` has that is no tensor: everything is verified, but the tensors are not loaded."""
        return next((facts for path in self._found() if (facts := read_facts(path, observer=self._observer))), None)

    def _found(self) -> list[Path]:
        return sorted(self.folder.glob("step-*"), reverse=True)


def write_state(folder: Path, tensors: Tensors, state: Mapping[str, Any]) -> None:
    """Write one state, whole or not at all.

    Raises:
        ResourceError: the disk is full or cannot be written to.
    """
    with atomic_folder(folder) as temporary:
        for name, values in tensors.items():
            if values:
                _save_tensors({key: value.contiguous() for key, value in values.items()}, temporary / f"{name}.safetensors")
        facts = {"format_version": FORMAT_VERSION, "place": _place(folder), "files": sorted(tensors)}
        write_json(temporary / STATE, {**facts, **state})
        write_manifest(temporary)


def _place(folder: Path) -> str:
    """Which state of which training this is, so that one that was put in another's place is noticed."""
    return f"{folder.parent.name}/{folder.name}"


def _save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    try:
        save_file(tensors, path)
    except SafetensorError as error:  # what the system said, in words of the library
        raise OSError(str(error).removeprefix("Error while serializing: ").removeprefix("I/O error: ")) from error


def read_state(folder: Path, *, observer: Observer) -> Saved | None:
    """A state whose every byte is as written; a damaged one is named and None."""
    facts = read_facts(folder, observer=observer)
    if facts is None:
        return None
    files = {name: folder / f"{name}.safetensors" for name in facts["files"]}
    try:
        tensors = {name: load_file(path) if path.is_file() else {} for name, path in files.items()}
    except (OSError, SafetensorError) as error:
        _set_aside(folder, str(error), observer)
        return None
    return Saved(tensors=tensors, state=facts)


def read_facts(folder: Path, *, observer: Observer) -> dict[str, Any] | None:
    """What a state has that is no tensor, once every byte is found as written; a damaged one is named and None."""
    if damages := verify_manifest(folder):
        _set_aside(folder, f"{damages[0].path}: {damages[0].what}", observer)
        return None
    facts: dict[str, Any] = read_json(folder / STATE)
    if facts["format_version"] != FORMAT_VERSION:
        _set_aside(folder, f"format {facts['format_version']} instead of {FORMAT_VERSION}", observer)
        return None
    if facts["place"] != _place(folder):
        _set_aside(folder, f"it was written as {facts['place']}", observer)
        return None
    return facts


def _set_aside(folder: Path, what: str, observer: Observer) -> None:
    """Name a state that cannot be used, and give it a name under which nobody looks for one."""
    observer.note(f"{folder} is damaged and is passed over ({what}).", level="warning")
    aside = folder.with_name(f"passed-over-{folder.name}")
    with suppress(OSError):
        shutil.rmtree(aside, ignore_errors=True)
        folder.replace(aside)
