"""What the processes of one run tell each other between the steps of the story; alone, a process tells itself."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from luthier import __version__
from luthier.core.records import from_plain
from luthier.evaluation.card import EvidenceCard
from luthier.evaluation.records import Metrics
from luthier.features.probe import LinearLayer, Probe
from luthier.pipeline.choose import OWN, Chosen
from luthier.pipeline.records import Run
from luthier.training.processes import Processes


def same_work(chosen: Chosen, processes: Processes) -> Chosen:
    """The choice, after making sure that all processes read the same rows and start from the same model.

    Raises:
        UsageError: some process has others.
    """
    if processes.count == 1:
        return chosen
    rows = hashlib.sha256(np.ascontiguousarray(chosen.inputs.keys).tobytes())
    for part in chosen.parts.values():
        rows.update(np.ascontiguousarray(part).tobytes())
    rows.update(np.ascontiguousarray(chosen.targets).tobytes())
    processes.refuse_difference("rows", rows.hexdigest())
    processes.refuse_difference("version of Luthier", __version__)
    if chosen.weights_key.startswith(OWN):  # has a name of its own in each process
        return replace(chosen, weights_key=processes.decided(chosen.weights_key))
    processes.refuse_difference("pre-trained model", chosen.weights_key)
    return chosen


@contextmanager
def working_alone(chosen: Chosen) -> Iterator[None]:
    """Inside the block this process has the threads of all processes on its machine: they wait for it."""
    torch.set_num_threads(chosen.threads)
    try:
        yield
    finally:
        torch.set_num_threads(chosen.own_threads)


def share_probe(probe: Probe | None, processes: Processes) -> Probe:
    """The probe that the main process has fitted; the others give None."""
    if processes.count == 1:
        assert probe is not None
        return probe
    layers: dict[str, dict[str, Tensor]] = {}
    facts = None
    if probe is not None:
        layers = {name: _tensors_of(layer) for name, layer in (("best", probe.best), ("start", probe.start))}
        tried = [[penalty, loss] for penalty, loss in probe.tried.items()]
        facts = [probe.normalize, probe.penalty, probe.validation_loss, tried]
    layers, (normalize, penalty, loss, tried) = processes.share(layers, facts)
    return Probe(
        best=_layer_of(layers["best"]),
        start=_layer_of(layers["start"]),
        normalize=normalize,
        penalty=penalty,
        validation_loss=loss,
        tried=dict(tried),
    )


def _tensors_of(layer: LinearLayer) -> dict[str, Tensor]:
    return {"weight": torch.from_numpy(layer.weight), "bias": torch.from_numpy(layer.bias)}


def _layer_of(tensors: dict[str, Tensor]) -> LinearLayer:
    return LinearLayer(weight=tensors["weight"].numpy(), bias=tensors["bias"].numpy())


def share_run(run: Run | None, processes: Processes) -> Run:
    """The finished run, whose files the main process has written; the others give None."""
    if processes.count == 1:
        assert run is not None
        return run
    told = None if run is None else {"folder": run.folder, "model_path": run.model_path, "metrics": run.metrics}
    told = processes.decided(told)
    card = EvidenceCard(metrics=from_plain(Metrics, told["metrics"]))
    return Run(folder=Path(told["folder"]), model_path=Path(told["model_path"]), card=card)
