"""What a run is made from: kept with every saved state, so that no run goes on with something else than it began with."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from luthier.core.machine import describe_machine
from luthier.core.names import all_of
from luthier.core.progress import Observer
from luthier.errors import DataError, ModelError, SpecError, raise_together
from luthier.models.backbone import Backbone
from luthier.pipeline.choose import Chosen
from luthier.spec import TuneSpec

NEUTRAL = {"output.out": None, "output.overwrite": False, "training.checkpoint_seconds": None}


def describe_origin(spec: TuneSpec, chosen: Chosen) -> dict[str, Any]:
    """Digests of settings, rows of each part and pre-trained weights; the processor and the versions of packages.

    Args:
        spec: Resolved; where the run folder lies and how often it is saved is left out.
    """
    machine = describe_machine()
    return {
        "settings": hashlib.sha256(spec.with_values(NEUTRAL).to_yaml().encode()).hexdigest(),
        "parts": {name: _digest(chosen, name) for name in chosen.parts},
        "weights": chosen.source.weights_sha256
        if chosen.weights_key == chosen.source.weights_sha256
        else _own(chosen.backbone),
        "versions": {"python": machine["python"], **machine["packages"], "the processor": machine["cpu"]},
    }


def _digest(chosen: Chosen, part: str) -> str:
    """Of the encoded inputs and targets of a part, in order."""
    units = chosen.units(part)
    return hashlib.sha256(chosen.inputs.keys[units].tobytes() + chosen.targets[units].tobytes()).hexdigest()


def _own(backbone: Backbone) -> str:
    """Of the weights of a network that comes from no folder."""
    digest = hashlib.sha256()
    for name, value in sorted(backbone.network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def check_origin(then: Mapping[str, Any], now: Mapping[str, Any], folder: Path, *, observer: Observer) -> list[str]:
    """Refuse to go on with other settings, data or weights; other versions are named, and returned for the journal.

    Raises:
        UsageError: what the run is made from has changed since it began.
    """
    again = f"put it back as it was, or begin again: luthier tune {folder / 'spec.yaml'} --overwrite"
    problems: list[Any] = []
    if then["settings"] != now["settings"]:
        problems.append(SpecError(f"{folder / 'spec.yaml'} has been changed since the run began.", remedy=again))
    if parts := [name for name in now["parts"] if then["parts"].get(name) != now["parts"][name]]:
        what = f"rows of {all_of(parts)} are not what they were when the run in {folder} began"
        problems.append(DataError(f"The data have changed: {what}.", remedy=again))
    if then["weights"] != now["weights"]:
        problems.append(ModelError(f"The pre-trained weights are not those that the run in {folder} began with.", remedy=again))
    raise_together(problems)
    names = sorted({*then["versions"], *now["versions"]})
    pairs = [(name, then["versions"].get(name, "absent"), now["versions"].get(name, "absent")) for name in names]
    changes = [f"{name} {before}, now {after}" for name, before, after in pairs if before != after]
    if changes:
        said = f"The run began with {'; '.join(changes)}: its weights may differ in the last bits from an uninterrupted run's."
        observer.note(said, level="warning")
    return changes
