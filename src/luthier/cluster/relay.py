"""What the main worker tells, heard where the command was typed: the terminal looks as if the work were done there."""

import time
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

from luthier import errors
from luthier.core.decision import Decision
from luthier.core.progress import Observer
from luthier.core.records import from_plain, to_plain
from luthier.errors import LuthierError, ResourceError

POLL_SECONDS = 0.2


class Ear:
    """Lives in the cluster, and keeps what was told until it is asked for. Everything in it is JSON."""

    def __init__(self) -> None:
        self._told: list[list[Any]] = []
        self._failure: list[str] | None = None

    def hear(self, told: list[Any]) -> None:
        """Keep one event: the observer's method, and its arguments."""
        self._told.append(told)

    def take(self) -> list[list[Any]]:
        """Everything that was told since the last time."""
        taken, self._told = self._told, []
        return taken

    def fail(self, failure: list[str]) -> None:
        """Keep why the work ended: the kind of error, problem, remedy. The first one counts."""
        self._failure = self._failure or failure

    def failure(self) -> list[str] | None:
        """Why the work ended, if it did."""
        return self._failure


class Mouth:
    """An observer that passes everything on. It never waits for an answer: a listener that is gone costs no training.

    Args:
        tell: Takes the name of an observer's method and its arguments.
    """

    def __init__(self, tell: Callable[[list[Any]], object]) -> None:
        self._tell = tell
        self._amount, self._last = 0, 0.0

    def stage(self, name: str, detail: str = "") -> None:
        """Pass on."""
        self._tell(["stage", name, detail])

    def note(self, message: str, *, level: str = "info") -> None:
        """Pass on."""
        self._tell(["note", message, level])

    def decided(self, decision: Decision[Any]) -> None:
        """Pass on."""
        self._tell(["decided", to_plain(decision)])

    def start(self, label: str, total: int, unit: str) -> None:
        """Pass on."""
        self._amount = 0
        self._tell(["start", label, total, unit])

    def advance(self, amount: int, detail: str = "") -> None:
        """Pass on, together with what has come in quick succession before."""
        self._amount += amount
        if time.monotonic() - self._last >= POLL_SECONDS:
            self._tell(["advance", self._amount, detail])
            self._amount, self._last = 0, time.monotonic()

    def finish(self) -> None:
        """Pass on."""
        self._tell(["advance", self._amount, ""])
        self._tell(["finish"])


def repeat(told: list[Any], observer: Observer) -> None:
    """Tell an observer one event that a `Mouth` has passed on."""
    match told:
        case ["stage", name, detail]:
            observer.stage(name, detail)
        case ["note", message, level]:
            observer.note(message, level=level)
        case ["decided", decision]:
            observer.decided(from_plain(Decision[Any], decision))
        case ["start", label, total, unit]:
            observer.start(label, total, unit)
        case ["advance", amount, detail]:
            observer.advance(amount, detail)
        case ["finish"]:
            observer.finish()


class Listener:
    """Asks an ear again and again, and tells an observer what it has heard.

    Args:
        take: Gives what was told since it was last asked.
        observer: Is told.
    """

    def __init__(self, take: Callable[[], list[list[Any]]], observer: Observer) -> None:
        self._take, self._observer = take, observer
        self._over = Event()
        self._thread = Thread(target=self._listen, daemon=True)

    def __enter__(self) -> "Listener":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _listen(self) -> None:
        while True:
            is_over = self._over.wait(POLL_SECONDS)
            for told in self._take():
                repeat(told, self._observer)
            if is_over:
                return


def described(error: LuthierError) -> list[str]:
    """An error as JSON."""
    return [type(error).__name__, error.problem, error.remedy]


def error_of(failure: list[str]) -> LuthierError:
    """The error that was described.

    Example:
        >>> error_of(["DataError", "There are no rows.", "add rows"])
        DataError('There are no rows.\\n  Try: add rows')
    """
    kind, problem, remedy = failure
    found = getattr(errors, kind, ResourceError)
    error: LuthierError = found.__new__(found)
    LuthierError.__init__(error, problem, remedy=remedy)
    return error
