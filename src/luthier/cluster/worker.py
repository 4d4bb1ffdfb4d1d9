"""What one worker of a training does: takes its seat, meets the others, and runs the same pipeline as anywhere else.

A worker that begins again after a node was lost goes on from the newest whole state in the run folder.
"""

import os
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from luthier.cluster.relay import Mouth, described
from luthier.core.manifest import MANIFEST
from luthier.core.process import wait_without_spinning
from luthier.core.progress import Observer, Quiet
from luthier.core.seat import MEETING_FILE, taken_seat
from luthier.errors import LostProcessError, LuthierError
from luthier.pipeline.run_folder import is_run_folder
from luthier.spec import parse_spec


def work(job: Mapping[str, Any]) -> None:
    """Tune, as one of the workers that Ray Train has started.

    Args:
        job: As `training.tune_on_cluster` makes it.
    """
    import ray

    os.environ.update(job["environment"])
    os.chdir(job["directory"])
    wait_without_spinning()
    what = _take_seat(job)
    ear = job["ear"]
    observer = Mouth(lambda told: ear.hear.remote(told)) if taken_seat().is_main else Quiet()
    try:
        _tune(what, job, observer)
    except LostProcessError:
        # Ray is to begin again if a worker was lost, but not if the main one has said what is wrong and gone.
        if ray.get(ear.failure.remote()) is None:
            raise
    except LuthierError as error:
        ray.get(ear.fail.remote(described(error)))


def _take_seat(job: Mapping[str, Any]) -> str:
    """Set what launchers set, and where the processes meet; returns what the main worker has seen that there is to do."""
    from ray import train, util
    from ray.train.collective import broadcast_from_rank_zero

    context = train.get_context()
    seat = {
        "RANK": context.get_world_rank(),
        "WORLD_SIZE": context.get_world_size(),
        "LOCAL_RANK": context.get_local_rank(),
        "LOCAL_WORLD_SIZE": context.get_local_world_size(),
    }
    os.environ.update({name: str(value) for name, value in seat.items()})
    told = None
    if taken_seat().is_main:
        # Where nobody else can come, the processes meet at a file: at a port anybody could knock.
        meeting = {MEETING_FILE: str(Path(job["aside"]) / uuid4().hex)}
        if not job["is_local"]:
            meeting = {"MASTER_ADDR": util.get_node_ip_address(), "MASTER_PORT": str(_free_port())}
        told = (meeting, _what_to_do(job))
    meeting, what = broadcast_from_rank_zero(told)
    os.environ.update(meeting)
    return str(what)


def _what_to_do(job: Mapping[str, Any]) -> str:
    """`begin`, `go on`, or `nothing`: a worker group that Ray has started again goes on with what the one before has left."""
    folder, begun = Path(job["folder"]), Path(job["aside"]) / "begun"
    is_again = begun.exists()
    begun.touch()
    if is_again and (folder / MANIFEST).is_file():
        return "nothing"
    if job["resumes"] or (is_again and is_run_folder(folder)):
        return "go on"
    if is_again and folder.is_dir():
        shutil.rmtree(folder)  # made by the group before, and left without any record
    return "begin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def _tune(what: str, job: Mapping[str, Any], observer: Observer) -> None:
    from luthier import pipeline

    if what == "go on":
        pipeline.resume(Path(job["folder"]), observer=observer)
    elif what == "begin":
        spec = parse_spec(job["spec"])
        threads = spec.training.threads or job["threads"] * taken_seat().local_count
        pipeline.tune(spec.with_values({"training.threads": threads}), observer=observer)
