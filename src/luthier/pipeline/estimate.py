"""What a run would cost, from one short measurement on this machine: a few batches forward, two training steps on a copy.

Work is counted in units: tokens of texts, pictures. Attention's growth with the square of the length is left out; where
frozen blocks are computed in each step, they count a third of what training them would (one forward pass of forward,
backward, and the weights' own gradient).
"""

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from luthier.core.process import resident_memory_bytes
from luthier.core.seat import taken_seat
from luthier.core.seeding import generator_for
from luthier.features.passes import PRECISIONS, batches_by_length, frozen_copy, to_device
from luthier.pipeline.choose import Chosen
from luthier.spec import TuneSpec
from luthier.tasks.protocol import Task
from luthier.training.device import autocast
from luthier.training.ladder import default_epochs
from luthier.training.methods.rung import Rung
from luthier.training.model import TunedModel
from luthier.training.moving import count_moving
from luthier.training.optimizer import build_groups, build_optimizer

SAMPLE_ROWS = 64
SAMPLE_SECONDS = 3.0
BYTES_PER_WEIGHT = 4


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What one unit costs.

    Attributes:
        forward_seconds: In the pass through the frozen model.
        step_seconds: In a training step of the whole network.
        saved_bytes: What such a step keeps in memory until its backward pass.
    """

    forward_seconds: float
    step_seconds: float
    saved_bytes: float


def measure_rates(spec: TuneSpec, task: Task, chosen: Chosen, *, trains: bool) -> Rates:
    """Time the pass and, if some rung trains blocks, a training step; on copies, so that nothing of the run changes."""
    torch.set_num_threads(chosen.own_threads)
    forward = _time_pass(chosen)
    step, saved = _time_step(spec, task, chosen) if trains else (0.0, 0.0)
    return Rates(forward_seconds=forward, step_seconds=step, saved_bytes=saved)


def _time_pass(chosen: Chosen) -> float:
    rows = generator_for(0, "plan").permutation(len(chosen.inputs.lengths))[:SAMPLE_ROWS]
    runner = frozen_copy(chosen.backbone, precision=chosen.precision, device=chosen.device)
    units, seconds, is_warm = 0, 0.0, False
    with torch.inference_mode():
        for places in batches_by_length(chosen.inputs.lengths[rows], is_media=not is_text(chosen)):
            for _ in range(1 if is_warm else 2):  # the first batch also pays for what torch sets up once
                begin = time.perf_counter()
                inputs = to_device(chosen.inputs.batch(rows[places]), dtype=PRECISIONS[chosen.precision], device=chosen.device)
                runner.pool(runner(inputs)).float().cpu()
                last = time.perf_counter() - begin
            is_warm = True
            units, seconds = units + units_of(chosen, rows[places]), seconds + last
            if seconds > SAMPLE_SECONDS:
                break
    return seconds / max(1, units)


def _time_step(spec: TuneSpec, task: Task, chosen: Chosen) -> tuple[float, float]:
    """Seconds and kept bytes per unit of a step of everything, measured on rows of typical length."""
    model = TunedModel(
        copy.deepcopy(chosen.backbone), task.build_head(chosen.backbone.width, chosen.state, settings=spec.model.head, seed=0)
    )
    model = model.to(chosen.device)
    rows = _typical_rows(chosen, spec.training.first_micro_batch)
    inputs = to_device(chosen.inputs.batch(rows), dtype=torch.float32, device=chosen.device)
    targets = torch.from_numpy(np.maximum(chosen.targets[rows], 0)).to(chosen.device)
    seconds, saved = 0.0, _SavedBytes(model)
    with model.tuning(0) as trainable:
        groups = build_groups(trainable.items(), learning_rate=0.0, weight_decay=0.0)
        optimizer = build_optimizer(groups, device=chosen.device, name=spec.training.optimizer)
        model.training_mode()
        for step in range(2):
            begin = time.perf_counter()
            optimizer.zero_grad(set_to_none=True)
            with saved.counting(step == 0), autocast(chosen.device, chosen.precision):
                outputs = model(inputs)
            task.loss(outputs, targets).sum.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            seconds = time.perf_counter() - begin
    units = max(1, units_of(chosen, rows))
    return seconds / units, saved.num_bytes / units


class _SavedBytes:
    """Counts what autograd keeps for the backward pass, weights apart."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._seen = {value.untyped_storage().data_ptr() for value in model.state_dict().values()}
        self.num_bytes = 0

    def counting(self, wanted: bool) -> torch.autograd.graph.saved_tensors_hooks:
        """The context in which tensors are counted."""
        return torch.autograd.graph.saved_tensors_hooks(self._count if wanted else _unchanged, _unchanged)

    def _count(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._seen:
            self._seen.add(storage.data_ptr())
            self.num_bytes += storage.nbytes()
        return tensor


def _unchanged(tensor: Tensor) -> Tensor:
    return tensor


def _typical_rows(chosen: Chosen, number: int) -> Int[np.ndarray, " B"]:
    """Training rows of about the mean length: batches hold rows of like length."""
    train = chosen.parts["train"]
    distance = np.abs(chosen.inputs.lengths[train] - chosen.inputs.lengths[train].mean())
    return np.asarray(train[np.argsort(distance, kind="stable")[:number]])


def is_text(chosen: Chosen) -> bool:
    """Whether rows are of different length."""
    return chosen.backbone.rehearsal is not None and chosen.backbone.rehearsal.padded


def units_of(chosen: Chosen, rows: Int[np.ndarray, " n"]) -> int:
    """Tokens or pictures of some rows."""
    return int(chosen.inputs.lengths[rows].sum())


def pass_seconds(chosen: Chosen, rates: Rates) -> float:
    """One pass of the frozen model over the distinct rows of all parts, by one process with the threads of its machine's."""
    _, first = np.unique(chosen.inputs.keys, return_index=True)
    return rates.forward_seconds * units_of(chosen, first) / taken_seat().local_count


def rung_seconds(spec: TuneSpec, chosen: Chosen, rung: Rung, rates: Rates, *, stored: bool) -> float:
    """A rung that is not stopped early: its steps, and validation as often as it is scored, shared by all processes."""
    epochs = epochs_of(spec, chosen, rung)
    trained = fmean(1 - boundary / chosen.backbone.num_blocks for boundary in rung.boundaries)
    frozen = 0.0 if stored else 1 - trained
    train, validation = units_of(chosen, chosen.parts["train"]), units_of(chosen, chosen.parts["validation"])
    steps = epochs * train * rates.step_seconds * (trained + frozen / 3)
    scored = epochs * spec.training.evaluations_per_epoch * validation * rates.forward_seconds * (trained + frozen)
    return (steps + scored) / taken_seat().count


def epochs_of(spec: TuneSpec, chosen: Chosen, rung: Rung) -> float:
    """The most epochs a rung may take."""
    rows = len(chosen.parts["train"])
    return spec.training.num_epochs or default_epochs(rung, rows, batch_size=spec.training.batch_size)


def trained_share(chosen: Chosen, rung: Rung) -> float:
    """Share of the blocks that train (in the end)."""
    return 1 - rung.boundary / chosen.backbone.num_blocks


def memory_bytes(spec: TuneSpec, chosen: Chosen, rungs: Sequence[Rung], rates: Rates) -> int:
    """The peak: what this process holds now (program, data, weights), and the larger of the pass and of training.

    Training adds to the weights: gradients, two moments of the optimizer, the best step so far and the pre-trained values of
    what moves, copies that averages and EWC keep, and what a step of the longest rows keeps for its backward pass.
    """
    asked = spec.training
    copies = 5 + asked.soup + bool(asked.ema_decay) + bool(asked.ewc)
    weights = sum(parameter.numel() for parameter in chosen.backbone.parameters())
    in_pass = weights * (2 if chosen.precision == "bfloat16" else BYTES_PER_WEIGHT)
    in_training = 0
    longest = np.sort(chosen.inputs.lengths[chosen.parts["train"]])[-spec.training.first_micro_batch :].sum()
    for rung in rungs:
        moving = count_moving(chosen.backbone, rung)
        if rung.boundary < chosen.backbone.num_blocks:
            kept = rates.saved_bytes * float(longest) * trained_share(chosen, rung)
            in_training = max(in_training, copies * BYTES_PER_WEIGHT * moving + round(kept))
    return resident_memory_bytes() + max(in_pass, in_training)
