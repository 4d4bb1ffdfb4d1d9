"""What a user is told when a run ends before its time: what is kept, and what to type to go on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from luthier.core.process import StopRequest
from luthier.errors import ResourceError, Stopped
from luthier.pipeline.run_folder import CHECKPOINTS


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
        ResourceError: disk or memory was short; also says how to go on once it is not.
    """
    kept = Kept()
    try:
        yield kept
    except KeyboardInterrupt:
        raise _stopped(kept, f"Stopped by {stop.signal_name or 'SIGINT'}.") from None
    except Stopped as error:
        raise _stopped(kept, error.problem) from None
    except ResourceError as error:
        if kept.folder is None or not list(kept.folder.glob(f"{CHECKPOINTS}/*/*/")):
            raise
        raise ResourceError(error.problem, remedy=f"{error.remedy}; then luthier tune --resume {kept.folder}") from error


def _stopped(kept: Kept, what: str) -> Stopped:
    if kept.folder is None:
        return Stopped(f"{what} Nothing was written.", remedy="the same command begins again")
    problem = f"{what} {kept.folder} holds the records of an unfinished run: no model, no manifest.json."
    if kept.has_features:
        problem += " What the frozen model computed is kept, and the state of the training with it."
    return Stopped(problem, remedy=f"luthier tune --resume {kept.folder}")
