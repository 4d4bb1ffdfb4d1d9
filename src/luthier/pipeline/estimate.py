"""What a run would cost, from one short measurement on this machine: a few batches forward, two training steps on a copy.

Work is counted in tokens of texts, in pictures. Attention's growth with the square of the length is left out; where
frozen blocks are computed in each step, they count a third of what training them would (one forward pass of forward,
backward, and the weights' own gradient).
"""

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from luthier.core.seat import taken_seat
from luthier.core.seeding import generator_for
from luthier.features.passes import PRECISIONS, batches_by_length, frozen_copy, to_device
from luthier.pipeline.choose import Chosen
from luthier.pipeline.rows import known_units, learning_rows
from luthier.pipeline.train import fit_settings, loss_recipe
from luthier.spec import TuneSpec
from luthier.tasks.protocol import LossSum, Task
from luthier.tasks.shaping import build_head_for
from luthier.training.device import autocast
from luthier.training.footprint import measure_footprint
from luthier.training.ladder import default_epochs
from luthier.training.memory import held_bytes
from luthier.training.methods.rung import Rung
from luthier.training.model import TunedModel
from luthier.training.optimizer import build_groups, build_optimizer

SAMPLE_ROWS = 64
SAMPLE_SECONDS = 3.0
BYTES_PER_WEIGHT = 4


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What one token or picture costs.

    Attributes:
        forward_seconds: In the pass through the frozen model.
        step_seconds: In a training step of the whole network.
    """

    forward_seconds: float
    step_seconds: float


def measure_rates(spec: TuneSpec, task: Task, chosen: Chosen, *, trains: bool) -> Rates:
    """Time the pass and, if some rung trains blocks, a training step; on copies, so that nothing of the run changes."""
    torch.set_num_threads(chosen.own_threads)
    forward = _time_pass(chosen)
    return Rates(forward_seconds=forward, step_seconds=_time_step(spec, task, chosen) if trains else 0.0)


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
            units, seconds = units + work_of(chosen, rows[places]), seconds + last
            if seconds > SAMPLE_SECONDS:
                break
    return seconds / max(1, units)


def _copied_model(spec: TuneSpec, task: Task, chosen: Chosen) -> TunedModel:
    head = build_head_for(task, chosen.backbone, chosen.state, settings=spec.model.head, seed=0)
    return TunedModel(copy.deepcopy(chosen.backbone), head).to(chosen.device)


def _time_step(spec: TuneSpec, task: Task, chosen: Chosen) -> float:
    """Seconds per token or picture of a step of everything, measured on rows of typical length."""
    model = _copied_model(spec, task, chosen)
    rows = learning_rows(chosen, _typical_rows(chosen, spec.training.first_micro_batch), None)
    batch = rows.batch(np.arange(len(rows.rows)))
    seconds = 0.0
    with model.tuning(0) as trainable:
        groups = build_groups(trainable.items(), learning_rate=0.0, weight_decay=0.0)
        optimizer = build_optimizer(groups, device=chosen.device, name=spec.training.optimizer)
        model.training_mode()
        for _ in range(2):
            begin = time.perf_counter()
            optimizer.zero_grad(set_to_none=True)
            with autocast(chosen.device, chosen.precision):
                outputs = model(batch.inputs)
            task.loss(outputs, batch.targets).sum.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            seconds = time.perf_counter() - begin
    return seconds / max(1, rows.work)


def _typical_rows(chosen: Chosen, number: int) -> Int[np.ndarray, " B"]:
    """Training units of about the mean length: batches hold units of like length."""
    train = known_units(chosen, "train")
    distance = np.abs(chosen.inputs.lengths[train] - chosen.inputs.lengths[train].mean())
    return np.asarray(train[np.argsort(distance, kind="stable")[:number]])


def is_text(chosen: Chosen) -> bool:
    """Whether rows are of different length."""
    return chosen.backbone.rehearsal is not None and chosen.backbone.rehearsal.padded


def work_of(chosen: Chosen, units: Int[np.ndarray, " u"]) -> int:
    """Tokens or pictures of some encoded inputs."""
    return int(chosen.inputs.lengths[units].sum())


def pass_seconds(chosen: Chosen, rates: Rates) -> float:
    """One pass of the frozen model over the distinct rows of all parts, by one process with the threads of its machine's."""
    _, first = np.unique(chosen.inputs.keys, return_index=True)
    return rates.forward_seconds * work_of(chosen, first) / taken_seat().local_count


def rung_seconds(spec: TuneSpec, chosen: Chosen, rung: Rung, rates: Rates, *, stored: bool) -> float:
    """A rung that is not stopped early: its steps, and validation as often as it is scored, shared by all processes."""
    epochs = epochs_of(spec, chosen, rung)
    trained = fmean(1 - boundary / chosen.backbone.num_blocks for boundary in rung.boundaries)
    frozen = 0.0 if stored else 1 - trained
    train, validation = work_of(chosen, chosen.units("train")), work_of(chosen, chosen.units("validation"))
    steps = epochs * train * rates.step_seconds * (trained + frozen / 3)
    scored = epochs * spec.training.evaluations_per_epoch * validation * rates.forward_seconds * (trained + frozen)
    return (steps + scored) / taken_seat().count


def epochs_of(spec: TuneSpec, chosen: Chosen, rung: Rung) -> float:
    """The most epochs a rung may take."""
    rows = len(chosen.units("train"))
    return spec.training.num_epochs or default_epochs(rung, rows, batch_size=spec.training.batch_size)


def trained_share(chosen: Chosen, rung: Rung) -> float:
    """Share of the blocks that train (in the end)."""
    return 1 - rung.boundary / chosen.backbone.num_blocks


def memory_bytes(spec: TuneSpec, task: Task, chosen: Chosen, rungs: Sequence[Rung], *, store_bytes: int) -> int:
    """The peak: what this process holds now (program, data, weights), and the larger of the pass and of training.

    Training is predicted rung by rung, as the run itself does before each of them (`training/footprint.py`).

    Args:
        store_bytes: What will be stored of frozen blocks; it is mapped into memory as it is read.
    """
    weights = sum(parameter.numel() for parameter in chosen.backbone.parameters())
    in_pass = held_bytes(chosen.device) + weights * (2 if chosen.precision == "bfloat16" else BYTES_PER_WEIGHT)
    peaks = [in_pass]
    settings, recipe = fit_settings(spec, chosen), loss_recipe(spec.training, chosen)
    rows = learning_rows(chosen, known_units(chosen, "train"), None)

    def loss(outputs: Tensor, targets: Tensor) -> LossSum:
        return task.loss(outputs, targets, recipe=recipe)

    model = _copied_model(spec, task, chosen)
    for rung in [rung for rung in rungs if rung.boundary < chosen.backbone.num_blocks]:
        asked = replace(settings, boundary=rung.boundary, moves=rung.moves)
        with model.tuning(rung.boundary, rung.moves) as trainable:
            footprint = measure_footprint(model, trainable, rows, asked, loss=loss)
        on_top = footprint.need(asked.micro_batch) + footprint.held - BYTES_PER_WEIGHT * weights  # the run trains no copy
        peaks.append(on_top + (store_bytes if chosen.device == "cpu" else 0))
    return max(peaks)
