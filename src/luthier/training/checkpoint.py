"""States of a training on disk, from which it goes on to the bit: whole or absent, and never trusted unread.

    checkpoints/top-blocks-2/step-00000150/
        weights.safetensors  optimizer.safetensors  average.safetensors  best.safetensors  generators.safetensors
        state.json           step, losses, early stopping, micro-batch, how far the journal was
        manifest.json        sha256 of every file, written last

A state is written to a temporary folder, synced and renamed; two are kept, so that a damaged newest one costs an interval and
not the training. Reading begins with the newest and takes the first whose every byte is what the manifest says.

Source: the order of write, sync, rename is that of Pillai et al. 2014, "All file systems are not created equal".
"""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from luthier.core.manifest import verify_manifest, write_manifest
from luthier.core.progress import Observer
from luthier.core.storage import atomic_folder, read_json, write_json
from luthier.errors import ResourceError
from luthier.training.processes import Processes

FORMAT_VERSION = 1
KEPT = 2
MOST_SHARE = 0.02  # of the time that training takes
LEAST_SECONDS = 15.0
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
        ...     states.save(7, {"weights": {"w": torch.ones(2)}}, {"step": 7})
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
        self._interval = LEAST_SECONDS if seconds is None else seconds
        self._last = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self._last >= self._interval

    @property
    def has_any(self) -> bool:
        """Whether there is a state that is whole."""
        return any(not verify_manifest(path) for path in self._found())

    def try_to_save(self, step: int, tensors: Tensors, state: Mapping[str, Any]) -> None:
        """Save; a disk that is full is a warning, and costs no training: the state before is still there."""
        try:
            self.save(step, tensors, state)
        except ResourceError as error:
            self._observer.note(f"Not saved at step {step:,}: {error.problem}", level="warning")
            self._last = time.monotonic()

    def save(self, step: int, tensors: Tensors, state: Mapping[str, Any]) -> None:
        """Write the state after a step, and let older ones go.

        Raises:
            ResourceError: the disk is full or cannot be written to; the states before are as they were.
        """
        begin = time.monotonic()
        write_state(self.folder / f"step-{step:08}", tensors, {**state, **self._context()})
        for path in self._found()[KEPT:]:
            shutil.rmtree(path, ignore_errors=True)
        self._last = time.monotonic()
        if self._seconds is None:
            self._interval = max(LEAST_SECONDS, (self._last - begin) / MOST_SHARE)

    def newest(self) -> Saved | None:
        """The newest state that is whole; damaged ones are named and passed over."""
        for path in self._found():
            saved = read_state(path, observer=self._observer)
            if saved is not None:
                return saved
        return None

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
        write_json(temporary / STATE, {"format_version": FORMAT_VERSION, "files": sorted(tensors), **state})
        write_manifest(temporary)


def _save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    try:
        save_file(tensors, path)
    except SafetensorError as error:  # what the system said, in words of the library
        raise OSError(str(error).removeprefix("Error while serializing: ").removeprefix("I/O error: ")) from error


def read_state(folder: Path, *, observer: Observer) -> Saved | None:
    """A state whose every byte is as written; a damaged one is named and None."""
    if damages := verify_manifest(folder):
        what = f"{damages[0].path}: {damages[0].what}"
        observer.note(f"{folder} is damaged and is passed over ({what}).", level="warning")
        return None
    try:
        state = read_json(folder / STATE)
        if state["format_version"] != FORMAT_VERSION:
            observer.note(f"{folder} has format {state['format_version']} and is passed over.", level="warning")
            return None
        files = {name: folder / f"{name}.safetensors" for name in state["files"]}
        tensors = {name: load_file(path) if path.is_file() else {} for name, path in files.items()}
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        observer.note(f"{folder} cannot be read and is passed over ({error}).", level="warning")
        return None
    return Saved(tensors=tensors, state=state)
