"""Trainings whose weights are spread over the processes by FSDP2: `python sharded_processes.py FOLDER`, by torchrun.

The steps are Luthier's own; what sharding needs to be different in them stands in `ShardedStepper`.
"""

import gc
import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))  # it is a script, and its neighbour is one

from several_processes import BASE, CASES, cross_entropy, make_model, rows
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from luthier.core.records import to_json
from luthier.core.seat import taken_seat
from luthier.training.checkpoint import Saved
from luthier.training.course import Course
from luthier.training.fit_settings import FitSettings
from luthier.training.loop import predict_rows
from luthier.training.model import TunedModel
from luthier.training.processes import ALONE, Processes, joined
from luthier.training.step import Stepper


class ShardedStepper(Stepper):
    """Every process makes the same number of passes, for each gathers weights; gradients arrive summed."""

    def _backward(self, rows: Any, places: Any, share: Any, mixture: Any) -> tuple[float, float]:
        self.model.training_mode()
        total = weight = 0.0
        longest = math.ceil(len(places) / self.processes.count)
        for start in range(0, longest, self.micro_batch):
            own = share[start : start + self.micro_batch]
            part = self._plain(rows, places[own] if len(own) else places[:1])
            counts = float(len(own) > 0)
            (part.sum * counts).backward()
            total += float(part.sum.detach()) * counts
            weight += part.weight * counts
        return total, weight

    def _sum_gradients(self, having: Any) -> None:
        assert all(isinstance(item.grad, DTensor) for item in self.trainable.values() if item.grad is not None)


def shard(model: TunedModel, boundary: int, processes: Processes) -> None:
    """Spread each block that trains, then the rest of what trains; what is frozen stays whole in every process."""
    mesh = init_device_mesh("cpu", (processes.count,))
    frozen = {item for item in model.parameters() if not item.requires_grad}
    parts = [model.backbone.block(index) for index in range(boundary, model.backbone.num_blocks)]
    for part in [*parts, model]:
        fully_shard(part, mesh=mesh, ignored_params=frozen)
        assert isinstance(part, FSDPModule)
        part.set_gradient_divide_factor(1.0)
        part.set_force_sum_reduction_for_comms(True)  # gloo has no sum with a factor


def whole(value: Tensor) -> Tensor:
    return value.full_tensor() if isinstance(value, DTensor) else value


def own_part(value: Tensor, beside: Tensor) -> Tensor:
    """What of a whole tensor this process holds, if it is cut like another one; numbers are held by all."""
    if not (isinstance(beside, DTensor) and value.ndim):
        return value
    return distribute_tensor(value, beside.device_mesh, beside.placements, src_data_rank=None)


def held_bytes(stepper: Stepper) -> int:
    """Weights that train, their gradients and their optimizer's states, of this process alone."""
    states = [value for state in stepper.optimizer.state.values() for value in state.values()]
    weights = list(stepper.trainable.values())
    tensors = [*weights, *(item.grad for item in weights if item.grad is not None), *states]
    return sum((item.to_local() if isinstance(item, DTensor) else item).nbytes for item in tensors if item.ndim)


@contextmanager
def course_of(settings: FitSettings, processes: Processes) -> Iterator[Course]:
    """A training before its first step; among several processes its weights are sharded."""
    model = make_model()
    with model.tuning(settings.boundary):
        if processes.count > 1:
            shard(model, settings.boundary, processes)
        trainable = {name: item for name, item in model.named_parameters() if item.requires_grad}
        kind = Stepper if processes.count == 1 else ShardedStepper
        yield Course(kind(model, trainable, settings, loss=cross_entropy, processes=processes), rows(), settings)


def outputs_of(course: Course) -> list[list[float]]:
    """On all rows, which every process computes for itself: all of them must make the same passes."""
    outputs = predict_rows(course.stepper.model, course.rows, course.settings, processes=ALONE)
    assert outputs is not None
    return outputs.tolist()  # type: ignore[no-any-return]


def train(settings: FitSettings, processes: Processes) -> dict[str, Any]:
    """All steps, with a look at validation in the middle."""
    norms = []
    with course_of(settings, processes) as course:
        while course.step < course.num_steps:
            norms.append(course.advance()[0].gradient_norm)
            if course.step == course.num_steps // 2:
                outputs_of(course)
        weights = {name: whole(item.detach()).double().norm().item() for name, item in course.stepper.trainable.items()}
        held = held_bytes(course.stepper)
        return {
            "losses": course.losses,
            "norms": norms,
            "held_bytes": held,
            "outputs": outputs_of(course),
            "weights": weights,
        }


def gone_on_with(processes: Processes) -> list[list[float]]:
    """Losses of the last steps: of an unbroken training, and of one that begins in the middle from its gathered state."""
    settings = replace(BASE, boundary=0)
    with course_of(settings, processes) as course:
        for _ in range(4):
            course.advance()
        found, state = course.tensors(), json.loads(to_json(course.state()))
        gathered = {
            file: {name: whole(item).clone() for name, item in found[file].items()} for file in ("weights", "optimizer")
        }
        for _ in range(4):
            course.advance()
        unbroken = course.losses[4:]
    with course_of(settings, processes) as course:
        trainable = course.stepper.trainable
        tensors = {
            **found,
            "weights": {name: own_part(item, trainable[name]) for name, item in gathered["weights"].items()},
            "optimizer": {
                path: own_part(item, trainable[path.rpartition("/")[0]]) for path, item in gathered["optimizer"].items()
            },
        }
        course.load(Saved(tensors=tensors, state=state))
        for _ in range(4):
            course.advance()
        return [unbroken, course.losses[4:]]


def all_cases(processes: Processes) -> dict[str, Any]:
    fitting = {name: changes for name, changes in CASES.items() if name != "penalties"}  # which know whole tensors only
    results: dict[str, Any] = {name: train(replace(BASE, **changes), processes) for name, changes in fitting.items()}
    results["gone on with"] = gone_on_with(processes)
    return results


if __name__ == "__main__":
    torch.set_num_threads(1)
    target = Path(sys.argv[1])
    with joined(taken_seat(), device="cpu") as together:
        found = all_cases(together)
        gc.collect()  # sharded modules hold on to the group, which may not outlive this block
        together.wait()
        (target / f"rank-{together.rank}.json").write_text(json.dumps(found), encoding="utf-8")
