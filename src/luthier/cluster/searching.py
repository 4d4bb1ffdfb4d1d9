"""Search on a Ray cluster: Ray Tune starts workers that take trials from one study, and starts them again if they are lost.

The study's database is the one truth about trials, as it is for processes without a cluster; Ray Tune only runs workers.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from typing import Any

from luthier.cluster.connection import connected, import_ray
from luthier.cluster.training import MOST_FAILURES, machines, nodes_of
from luthier.core.names import count_of
from luthier.core.process import StopRequest, wait_without_spinning
from luthier.core.progress import Observer, counted
from luthier.errors import LostProcessError, Stopped, UsageError
from luthier.pipeline.records import Search
from luthier.pipeline.search_result import trial_line
from luthier.pipeline.search_spec import SearchSpec
from luthier.pipeline.searching import Opened, search, study_url, work_on_study

LOOK_SECONDS = 0.5


def search_on_cluster(
    asked: SearchSpec, address: str, *, workers: int | None = None, observer: Observer | None = None, resumes: bool = False
) -> Search:
    """Search with the trials spread over a Ray cluster; the records are those of a search on one machine.

    Sources, models and the search's folder must be on disks that all nodes see at the same paths. The best values are trained
    once more where the command was typed.

    Args:
        asked: The search.
        address: `auto` for a cluster of our own on this machine, or HOST:PORT of one that is running.
        workers: How many take trials at the same time; by default one on each node.
        observer: Is told what happens.
        resumes: Whether the folder holds this search already.

    Raises:
        UsageError: the nodes are several machines, and the study is in a file.
        LostProcessError: more workers were lost than can be chance.
    """
    with connected(address):

        def through_tune(opened: Opened, stop: StopRequest, observer: Observer) -> int:
            return _work(opened, stop, observer, workers=workers)

        return search(asked, observer=observer, resumes=resumes, working=through_tune)


def work(job: Mapping[str, Any]) -> None:
    """What one worker does: takes trials until the budget of the study is spent.

    Args:
        job: `folder` of the search, `url` of its study, `directory` to work in, `environment`.
    """
    os.environ.update(job["environment"])
    os.chdir(job["directory"])
    wait_without_spinning()
    work_on_study(Path(job["folder"]), url=job["url"])


def _work(opened: Opened, stop: StopRequest, observer: Observer, *, workers: int | None) -> int:
    """Let workers run the trials, and tell of each that is over; returns how many they have run."""
    url = study_url(opened.asked.settings, opened.folder)
    if url.startswith("sqlite") and len(machines()) > 1:
        raise UsageError(
            "Several machines cannot write to a study in a file.",
            remedy="--study postgresql://USER@HOST/DATABASE --cluster ...",
        )
    number = workers or len(nodes_of())
    job = {
        "folder": str(opened.folder.absolute()),
        "url": url,
        "directory": os.getcwd(),
        "environment": {name: value for name, value in os.environ.items() if name.startswith("LUTHIER_")},
    }
    failures: list[str] = []
    thread = Thread(target=lambda: failures.extend(_run_workers(job, number)), daemon=True)
    done = {record.number for record in opened.study.records() if record.is_over}
    before = len(done)
    measure = opened.trials.prepared.task.primary_measure
    observer.note(f"a Ray cluster of {count_of(len(nodes_of()), 'node')}; {count_of(number, 'worker')}")
    thread.start()
    with counted(observer, "search", opened.study.limit, "trials") as watched:
        watched.advance(before)
        is_running = True
        while is_running:
            is_running = thread.is_alive()
            time.sleep(LOOK_SECONDS)
            records = opened.study.records()
            for record in [record for record in records if record.is_over and record.number not in done]:
                done.add(record.number)
                watched.advance(1)
                observer.note(trial_line(record, records, measure))
            if stop:
                raise Stopped(
                    f"Stopped by {stop.signal_name}.", remedy=f"luthier search --resume {opened.folder} --cluster auto"
                )
    if failures:
        raise LostProcessError(
            f"{count_of(len(failures), 'worker')} failed on the cluster, the last with: {failures[-1]}",
            remedy=f"luthier search --resume {opened.folder}, once the cause is mended",
        )
    return len(done) - before


def _run_workers(job: Mapping[str, Any], number: int) -> list[str]:
    """Start the workers and wait for them; returns what those said that failed for good."""
    ray = import_ray()
    aside = tempfile.mkdtemp(prefix="luthier-tune-")
    try:
        tuner = ray.tune.Tuner(
            ray.tune.with_resources(work, {"CPU": 1}),
            param_space={**job, "worker": ray.tune.grid_search(list(range(number)))},
            tune_config=ray.tune.TuneConfig(max_concurrent_trials=number),
            run_config=ray.tune.RunConfig(
                name="search",
                storage_path=aside,
                verbose=0,
                failure_config=ray.tune.FailureConfig(max_failures=MOST_FAILURES),
            ),
        )
        return [str(error).strip().splitlines()[-1][:300] for error in tuner.fit().errors]
    finally:
        shutil.rmtree(aside, ignore_errors=True)
