"""Tune on a Ray cluster: Ray Train starts the workers, and starts them again where a node is lost."""

import math
import os
import shutil
import time
from pathlib import Path
from typing import Any

from luthier.cluster.connection import connected, import_ray
from luthier.cluster.relay import Ear, Listener, error_of
from luthier.cluster.worker import work
from luthier.core.names import count_of
from luthier.core.progress import Observer, Quiet
from luthier.errors import LostProcessError, Stopped, UsageError
from luthier.evaluation.card import EvidenceCard, read_metrics
from luthier.pipeline.records import Run
from luthier.pipeline.run_folder import refuse_taken_folder, unfinished_spec
from luthier.spec import TuneSpec

MOST_FAILURES = 8  # workers or nodes that may be lost in one run


def tune_on_cluster(
    spec: TuneSpec, address: str, *, workers: int | None = None, observer: Observer | None = None, resumes: bool = False
) -> Run:
    """Run the whole story on a Ray cluster: the same records in the same run folder as on one machine.

    Sources, the model's folder and the run folder must be on disks that all nodes see at the same paths.

    Args:
        spec: What was asked for.
        address: `auto` for a cluster of our own on this machine, or HOST:PORT of one that is running.
        workers: How many processes share every step; by default one on each node, or one on each GPU.
        observer: Is told what happens.
        resumes: Whether to go on with the unfinished run in `spec.output.out`.

    Raises:
        LostProcessError: more workers were lost than can be chance.
        Stopped: Ctrl-C; the run can be gone on with.
    """
    if not resumes:
        refuse_taken_folder(spec)
    folder = Path(spec.output.out or _new_path(spec)).absolute()
    spec = spec.with_values({"output.out": str(folder)})
    aside = folder.with_name(f".{folder.name}.ray")  # what Ray writes, and where the workers meet
    shutil.rmtree(aside, ignore_errors=True)
    try:
        with connected(address) as is_local:
            aside.mkdir(parents=True)
            job = {
                "spec": spec.to_yaml(),
                "folder": str(folder),
                "aside": str(aside),
                "resumes": resumes,
                "directory": os.getcwd(),
                "environment": {name: value for name, value in os.environ.items() if name.startswith("LUTHIER_")},
                "is_local": is_local,
            }
            _fit(job, spec, workers, observer=observer or Quiet())
    except KeyboardInterrupt:
        raise Stopped(
            f"Stopped. {folder} holds the records of an unfinished run.",
            remedy=f"luthier tune --resume {folder} --cluster {address}",
        ) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return Run(folder=folder, model_path=folder / "model", card=EvidenceCard(metrics=read_metrics(folder / "metrics.json")))


def resume_on_cluster(folder: Path, address: str, *, workers: int | None = None, observer: Observer | None = None) -> Run:
    """Go on with the unfinished run in a folder on a Ray cluster; arguments as of `tune_on_cluster`."""
    return tune_on_cluster(unfinished_spec(folder), address, workers=workers, observer=observer, resumes=True)


def _new_path(spec: TuneSpec) -> Path:
    name = Path(spec.sources[0]).stem if spec.sources else "run"
    return Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"


def _fit(job: dict[str, Any], spec: TuneSpec, workers: int | None, *, observer: Observer) -> None:
    ray = import_ray()
    from ray.train.torch import TorchTrainer

    from luthier.cluster.devices import Devices

    scaling, threads = _scaling(spec, workers)
    observer.note(f"a Ray cluster of {count_of(len(nodes_of()), 'node')}; {count_of(scaling.max_workers, 'worker')}")
    here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    ear = ray.remote(num_cpus=0, scheduling_strategy=here)(Ear).remote()
    trainer = TorchTrainer(
        work,
        train_loop_config={**job, "threads": threads, "ear": ear},
        torch_config=Devices(),
        scaling_config=scaling,
        run_config=ray.train.RunConfig(
            name="train",
            storage_path=job["aside"],
            failure_config=ray.train.FailureConfig(max_failures=MOST_FAILURES),
        ),
    )
    try:
        with Listener(lambda: ray.get(ear.take.remote()), observer):
            trainer.fit()
    except ray.train.TrainingFailedError as error:
        raise LostProcessError(
            f"The training failed {MOST_FAILURES + 1} times on the cluster, last with: {_last_line(error)}",
            remedy=f"luthier tune --resume {job['folder']} --cluster ADDRESS, once the cause is mended",
        ) from error
    if failure := ray.get(ear.failure.remote()):
        raise error_of(failure)


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1][:300]


def nodes_of() -> list[dict[str, Any]]:
    """The nodes that are alive, with what they have."""
    ray = import_ray()
    return [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]


def machines() -> set[str]:
    """The addresses at which nodes are alive: several nodes may stand on one machine."""
    ray = import_ray()
    return {str(node["NodeManagerAddress"]) for node in ray.nodes() if node["Alive"]}


def _scaling(spec: TuneSpec, workers: int | None) -> tuple[Any, int]:
    """How many workers with what, and how many threads each has. Where nodes are lost, fewer workers go on.

    Raises:
        UsageError: the cluster has fewer processors than workers were asked for.
    """
    ray = import_ray()
    nodes = nodes_of()
    cpus = [int(node["CPU"]) for node in nodes]
    gpus = 0 if spec.training.device == "cpu" else int(sum(node.get("GPU", 0) for node in nodes))
    number = workers or gpus or len(nodes)
    if number > (gpus or sum(cpus)):
        raise UsageError(
            f"The cluster has {count_of(gpus, 'GPU') if gpus else count_of(sum(cpus), 'CPU')}; {number} workers need one each.",
            remedy=f"--workers {gpus or sum(cpus)}",
        )
    threads = max(1, min(cpus) // math.ceil(number / len(nodes)))
    scaling = ray.train.ScalingConfig(
        num_workers=(1, number),
        resources_per_worker={"CPU": threads, **({"GPU": 1} if gpus else {})},
        use_gpu=gpus > 0,
        placement_strategy="SPREAD",
    )
    return scaling, threads
