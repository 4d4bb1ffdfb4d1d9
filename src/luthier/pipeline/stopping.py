"""What a user is told after Ctrl-C: what is kept, and what to type to go on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from luthier.core.process import StopRequest
from luthier.errors import Stopped


@dataclass
class Kept:
    """What a run has left on disk so far; filled in as it goes on.

    Attributes:
        folder: The run folder, once there is one.
        has_features: Whether the pass of the frozen model is over and stored.
    """

    folder: Path | None = None
    has_features: bool = False


@contextmanager
def explain_stop(stop: StopRequest) -> Iterator[Kept]:
    """Turn Ctrl-C inside the block into `Stopped`, with what is kept and how to go on.

    Raises:
        Stopped: the user asked to stop.
    """
    kept = Kept()
    try:
        yield kept
    except KeyboardInterrupt:
        raise _stopped(kept, f"Stopped by {stop.signal_name or 'SIGINT'}.") from None
    except Stopped as error:
        raise _stopped(kept, error.problem) from None


def _stopped(kept: Kept, what: str) -> Stopped:
    if kept.folder is None:
        return Stopped(f"{what} Nothing was written.", remedy="the same command begins again")
    problem = f"{what} {kept.folder} holds the records of an unfinished run: no model, no manifest.json."
    if kept.has_features:
        problem += " What the frozen model computed is kept, and the state of the training with it."
    return Stopped(problem, remedy=f"luthier tune --resume {kept.folder}")
