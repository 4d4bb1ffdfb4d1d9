"""Where the trainings of one run save themselves: a folder for each, with its states or with what it gave.

checkpoints/top-blocks-2/finished/         the result of a rung that came to its end
checkpoints/full/step-00000150/            states of the one that is going on
"""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.core.progress import Observer
from luthier.core.storage import free_of_leftovers, remove_folder, sync_file
from luthier.errors import ResourceError
from luthier.training.checkpoint import Checkpoints, Saved, Tensors, read_facts, read_state, write_state

FINISHED = "finished"


@dataclass(frozen=True, kw_only=True)
class GoingOn:
    """From where a run goes on.

    Attributes:
        journal_bytes: How long the journal is now.
        origin: What the run was made from when that state was saved.
    """

    journal_bytes: int
    origin: Mapping[str, Any]


class Shelf:
    """The states of all trainings of one run.

    Args:
        folder: Theirs alone.
        journal: The file that events are written to; each state remembers how long it was.
        seconds: Between two states; None chooses.
        observer: Is told of damage.
        origin: What the run is made from (data, weights, versions); kept with each state.
    """

    def __init__(
        self, folder: Path, *, journal: Path, seconds: float | None, observer: Observer, origin: Mapping[str, Any]
    ) -> None:
        self.folder, self._journal, self._seconds, self._observer = folder, journal, seconds, observer
        self._origin = origin

    def checkpoints(self, name: str) -> Checkpoints:
        """The states of the training of one rung."""
        return Checkpoints(self._folder_of(name), seconds=self._seconds, observer=self._observer, context=self._context)

    def finish(self, name: str, tensors: Tensors, state: Mapping[str, Any]) -> None:
        """Keep what a training gave; the states on the way to it go. A full disk is a warning: only a resume would miss it."""
        folder = self._folder_of(name)
        try:
            write_state(folder / FINISHED, tensors, {**state, **self._context()})
        except ResourceError as error:
            self._observer.note(f"The result of {name} is not saved: {error.problem}", level="warning")
            return
        for path in folder.glob("step-*"):
            remove_folder(path)

    def finished(self, name: str) -> Saved | None:
        """What a training gave, if it came to its end and every byte is whole."""
        folder = self._folder_of(name) / FINISHED
        return read_state(folder, observer=self._observer) if folder.is_dir() else None

    def rewind(self) -> GoingOn | None:
        """Take the run back to the furthest moment that is whole on disk; None if there is none: everything begins again.

        That is the newest whole state of the first training that is not finished; trainings after one that has to be done
        again are done again too. The journal is cut back to where it was then, so that it tells of every step exactly once.
        """
        if not self._journal.is_file():
            self.clear()
            return None
        free_of_leftovers(self.folder)
        reached: dict[str, Any] | None = None
        names = self._trainings()
        while names:
            facts, is_finished = self._furthest(names[0])
            reached = facts or reached
            if not is_finished:
                break
            names.pop(0)
        for name in names[1:]:
            remove_folder(self._folder_of(name))
        length = _cut(self._journal, 0 if reached is None else int(reached["journal_bytes"]))
        return None if reached is None else GoingOn(journal_bytes=length, origin=reached["origin"])

    def _furthest(self, name: str) -> tuple[dict[str, Any] | None, bool]:
        """Facts of the furthest whole state of a training, and whether that is its end."""
        finished = self._folder_of(name) / FINISHED
        facts = read_facts(finished, observer=self._observer) if finished.is_dir() else None
        return (facts, True) if facts is not None else (self.checkpoints(name).newest_facts(), False)

    def _trainings(self) -> list[str]:
        """The names of trainings that have taken steps, in the order in which the journal tells of them."""
        names: dict[str, None] = {}
        for line in self._journal.read_bytes().splitlines():
            try:
                event = json.loads(line)
            except ValueError:  # the last line, cut off by a crash
                continue
            if event["event"] in ("rung_started", "refit_step"):
                names[str(event["rung"])] = None
        return list(names)

    def clear(self) -> None:
        """Remove everything: the run is whole, and there is nothing left to go on from."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _folder_of(self, name: str) -> Path:
        return self.folder / re.sub(r"[^a-zA-Z0-9.]+", "-", name)

    def _context(self) -> dict[str, Any]:
        return {"journal_bytes": _sync(self._journal), "origin": self._origin}


def _sync(journal: Path) -> int:
    """Have the journal on the disk before a state that counts on it; returns its length in bytes."""
    if not journal.is_file():
        return 0
    sync_file(journal)
    return journal.stat().st_size


def _cut(journal: Path, length: int) -> int:
    """Cut the journal back, and to whole lines where it has lost some of them; returns its length."""
    text = journal.read_bytes()[:length]
    whole = len(text) if text.endswith(b"\n") else text.rfind(b"\n") + 1
    with journal.open("rb+") as file:
        file.truncate(whole)
    return whole
