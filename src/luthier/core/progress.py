"""Who is told what is going on. Steps report to an observer; the terminal shows it, tests and servers keep quiet."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from luthier.core.decision import Decision


class Observer(Protocol):
    """Receives what happens; can change nothing."""

    def stage(self, name: str, detail: str = "") -> None:
        """A step of the story begins."""

    def note(self, message: str, *, level: str = "info") -> None:
        """One line for the user; `level` is info, warning or error."""

    def decided(self, decision: Decision[Any]) -> None:
        """An automatic choice was made."""

    def start(self, label: str, total: int, unit: str) -> None:
        """Countable work begins."""

    def advance(self, amount: int, detail: str = "") -> None:
        """Some of it is done."""

    def finish(self) -> None:
        """Countable work is over."""


class Quiet:
    """An observer that keeps silent."""

    def stage(self, name: str, detail: str = "") -> None:
        """Say nothing."""

    def note(self, message: str, *, level: str = "info") -> None:
        """Say nothing."""

    def decided(self, decision: Decision[Any]) -> None:
        """Say nothing."""

    def start(self, label: str, total: int, unit: str) -> None:
        """Say nothing."""

    def advance(self, amount: int, detail: str = "") -> None:
        """Say nothing."""

    def finish(self) -> None:
        """Say nothing."""


@contextmanager
def counted(observer: Observer, label: str, total: int, unit: str) -> Iterator[Observer]:
    """Countable work as a block: `finish` is called however the block ends."""
    observer.start(label, total, unit)
    try:
        yield observer
    finally:
        observer.finish()
