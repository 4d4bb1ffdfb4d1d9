"""Where the trainings of one run save themselves: a folder for each, with its states or with what it gave.

checkpoints/top-blocks-2/finished/         the result of a rung that came to its end
checkpoints/full/step-00000150/            states of the one that is going on
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luthier.core.progress import Observer
from luthier.core.storage import free_of_leftovers
from luthier.errors import ResourceError
from luthier.training.checkpoint import Checkpoints, Saved, Tensors, read_state, write_state

FINISHED = "finished"


class Shelf:
    """The states of all trainings of one run.

    Args:
        folder: Theirs alone.
        journal: The file that events are written to; each state remembers how long it was.
        seconds: Between two states; None chooses.
        observer: Is told of damage.
    """

    def __init__(self, folder: Path, *, journal: Path, seconds: float | None, observer: Observer) -> None:
        self.folder, self._journal, self._seconds, self._observer = folder, journal, seconds, observer

    def checkpoints(self, name: str) -> Checkpoints:
        """The states of the training of one rung."""
        return Checkpoints(self._folder_of(name), seconds=self._seconds, observer=self._observer, context=self._journal_length)

    def finish(self, name: str, tensors: Tensors, state: Mapping[str, Any]) -> None:
        """Keep what a training gave; the states on the way to it go. A full disk is a warning: only a resume would miss it."""
        folder = self._folder_of(name)
        try:
            write_state(folder / FINISHED, tensors, {**state, **self._journal_length()})
        except ResourceError as error:
            self._observer.note(f"The result of {name} is not saved: {error.problem}", level="warning")
            return
        for path in folder.glob("step-*"):
            shutil.rmtree(path, ignore_errors=True)

    def finished(self, name: str) -> Saved | None:
        """What a training gave, if it came to its end and every byte is whole."""
        folder = self._folder_of(name) / FINISHED
        return read_state(folder, observer=self._observer) if folder.is_dir() else None

    def rewind_journal(self) -> int:
        """Cut the journal back to where the furthest whole state was written; returns its length in bytes.

        What stands behind that was done by steps that are done again. With no whole state everything is done again.
        """
        if not self._journal.is_file():
            return 0
        free_of_leftovers(self.folder)
        found = [read_state(path.parent, observer=self._observer) for path in self.folder.glob("*/*/state.json")]
        length = max((saved.state["journal_bytes"] for saved in found if saved is not None), default=0)
        with self._journal.open("rb+") as file:
            file.truncate(min(length, self._journal.stat().st_size))
        return int(length)

    def clear(self) -> None:
        """Remove everything: the run is whole, and there is nothing left to go on from."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _folder_of(self, name: str) -> Path:
        return self.folder / re.sub(r"[^a-zA-Z0-9.]+", "-", name)

    def _journal_length(self) -> dict[str, int]:
        return {"journal_bytes": self._journal.stat().st_size if self._journal.is_file() else 0}
