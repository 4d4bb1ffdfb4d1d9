"""One optimizer update, whatever it takes: in micro-batches, replayed in smaller ones where memory is short."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from luthier.core.seeding import seed_for
from luthier.errors import ResourceError
from luthier.tasks.protocol import LossSum
from luthier.training.averaging import AveragedWeights
from luthier.training.data import TrainingRows
from luthier.training.device import autocast
from luthier.training.fit_settings import FitSettings
from luthier.training.generators import gathered_states, generator_states, own_states, restore_generators
from luthier.training.importance import Importance, measure_importance
from luthier.training.memory import free_memory, is_out_of_memory
from luthier.training.mixing.batch import MixedBatch, shared_loss
from luthier.training.mixing.mixture import Mixture
from luthier.training.model import TunedModel
from luthier.training.optimizer import build_groups, build_optimizer, set_learning_rate
from luthier.training.processes import ALONE, Processes
from luthier.training.regularization import Regularizer
from luthier.training.unfreezing import starting
from luthier.training.whole_batch import backward_over_batch

Loss = Callable[[Tensor, Tensor], LossSum]


@dataclass(frozen=True, kw_only=True)
class Update:
    """What one step has shown.

    Attributes:
        loss: Mean over all units of the batch, without penalties.
        gradient_norm: Before clipping.
    """

    loss: float
    gradient_norm: float

    @property
    def is_finite(self) -> bool:
        """Whether the weights were changed: a step whose loss or gradient is no number changes none."""
        return math.isfinite(self.loss) and math.isfinite(self.gradient_norm)


class Stepper:
    """The optimizer with all that belongs to a step: penalties, averages, the size of a micro-batch.

    Args:
        model: Inside `tuning`.
        trainable: What trains, by name.
        settings: Of the training.
        loss: (outputs, targets) -> LossSum of a micro-batch; of the whole batch where rows come with companions.
        processes: Who else computes a share of every step.

    Attributes:
        micro_batch: Examples in one forward pass of one process; halved where memory is short, and never raised again.
        recomputes: Whether blocks are computed twice to save memory; begun where micro-batches of one do not fit.
        averaged: The moving average of the weights.
    """

    def __init__(
        self,
        model: TunedModel,
        trainable: Mapping[str, nn.Parameter],
        settings: FitSettings,
        *,
        loss: Loss,
        processes: Processes = ALONE,
    ) -> None:
        torch.manual_seed(seed_for(settings.seed, f"dropout/{processes.rank}" if processes.rank else "dropout"))
        self.model, self.trainable, self.settings, self.loss = model, trainable, settings, loss
        self.processes = processes
        self.micro_batch = min(settings.micro_batch, math.ceil(settings.batch_size / processes.count))
        self.recomputes = settings.recompute == "on"
        groups = _groups(model, trainable, settings)
        self.optimizer = build_optimizer(groups, device=settings.device, name=settings.optimizer)
        self.averaged = AveragedWeights(trainable, decay=settings.ema_decay)
        self._problems: list[str] = []
        self._regularizer = Regularizer(trainable, settings.penalties, pretrained=model.pretrained)

    @property
    def idle_penalties(self) -> list[str]:
        """Penalties that were asked for and concern nothing that trains: with an adapter, no pre-trained weight moves."""
        return self._regularizer.idle

    def begin(self, rows: TrainingRows) -> Importance | None:
        """Measure what a penalty needs to know of the model as it starts; returns it, if there is any."""
        if not self._regularizer.held:
            return None
        with starting(self.model, rows):
            importance = measure_importance(
                self.model,
                self._regularizer.held,
                rows,
                loss=self.loss,
                seed=self.settings.seed,
                processes=self.processes,
            )
        self._regularizer.know_importance(importance.values)
        return importance

    def update(
        self, rows: TrainingRows, places: Int[np.ndarray, " B"], *, factor: float, mixture: Mixture | None = None
    ) -> Update:
        """One optimizer update over a whole batch.

        Args:
            rows: Of the part.
            places: Which of them.
            factor: Of the peak learning rates.
            mixture: How the examples are mixed with each other.

        Raises:
            ResourceError: not even one example fits into memory.
        """
        set_learning_rate(self.optimizer, factor)
        total, weight = self.accumulate(rows, places, mixture)
        for parameter in self.trainable.values():
            if parameter.grad is not None:
                parameter.grad /= weight
        self._regularizer.add_gradients()
        norm = float(nn.utils.clip_grad_norm_(list(self.trainable.values()), self.settings.max_gradient_norm))
        update = Update(loss=total / weight, gradient_norm=norm)
        if update.is_finite:
            self.optimizer.step()
            self._regularizer.shrink(self.optimizer.param_groups)
            self.averaged.update()
        return update

    def accumulate(
        self, rows: TrainingRows, places: Int[np.ndarray, " B"], mixture: Mixture | None = None
    ) -> tuple[float, float]:
        """Leave the gradient of the sum of a batch's losses in the weights; returns that sum and the units it is over.

        Each process computes its share; then gradients, losses and units are summed over all of them.

        Where memory is short, in whichever process, the same batch is begun again in micro-batches of half the size (from the
        same random state), so that effective batch, step count and schedule stay as they were.
        """
        share = self.processes.share_of(np.arange(len(places)))
        while True:
            states = generator_states(self.settings.device)
            self.optimizer.zero_grad(set_to_none=True)
            total, weight, failure = 0.0, 0.0, ""
            try:
                total, weight = (
                    self._backward(rows, places, share, mixture) if rows.companions is None else self._over_all(rows, places)
                )
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                failure = str(error)
            # Outside of the handler: the error holds on to the tensors of the failed pass.
            having = [float(item.grad is not None) for item in self.trainable.values()]
            failures, total, weight, *having = self.processes.sum([float(bool(failure)), total, weight, *having])
            if not failures:
                self._sum_gradients(having)
                return total, weight
            self._need_less(failure or "it was short in another process")
            self.optimizer.zero_grad(set_to_none=True)
            free_memory(self.settings.device)
            restore_generators(states)

    def _backward(
        self,
        rows: TrainingRows,
        places: Int[np.ndarray, " B"],
        share: Int[np.ndarray, " b"],
        mixture: Mixture | None,
    ) -> tuple[float, float]:
        """The loss is summed over all units (examples, tokens, boxes) of the whole batch, however it is cut.

        Args:
            share: The places of the batch that this process computes.
        """
        self.model.training_mode()
        total = weight = 0.0
        with self.model.backbone.recomputing(self.model.boundary if self.recomputes else None):
            for start in range(0, len(share), self.micro_batch):
                own = share[start : start + self.micro_batch]
                part = (
                    self._plain(rows, places[own]) if mixture is None else self._mixed(MixedBatch(rows, places, own, mixture))
                )
                part.sum.backward()  # type: ignore[no-untyped-call]
                total += float(part.sum.detach())
                weight += part.weight
        return total, weight

    def _over_all(self, rows: TrainingRows, places: Int[np.ndarray, " B"]) -> tuple[float, float]:
        """The loss is over all units of the whole batch, however it is cut."""
        self.model.training_mode()
        with self.model.backbone.recomputing(self.model.boundary if self.recomputes else None):
            return backward_over_batch(
                self.model,
                rows,
                places,
                loss=self.loss,
                settings=self.settings,
                micro_batch=self.micro_batch,
                processes=self.processes,
            )

    def _plain(self, rows: TrainingRows, places: Int[np.ndarray, " b"]) -> LossSum:
        batch = rows.training_batch(places)
        with autocast(self.settings.device, self.settings.precision):
            outputs = self.model(batch.inputs, batch.stored)
        return self.loss(outputs, batch.targets)

    def _mixed(self, batch: MixedBatch) -> LossSum:
        with autocast(self.settings.device, self.settings.precision):
            outputs, share = batch.outputs(self.model)
        first, second = (self.loss(outputs, targets) for targets in batch.targets)
        return shared_loss(first, second, share)

    def _sum_gradients(self, having: Sequence[float]) -> None:
        """Sum over all processes; what had no gradient in any of them still has none, for the optimizer to leave it alone.

        Args:
            having: For each weight, in how many processes it has a gradient.
        """
        for item, number in zip(self.trainable.values(), having, strict=True):
            if number and item.grad is None:
                item.grad = torch.zeros_like(item)
        self.processes.sum_tensors([item.grad for item in self.trainable.values() if item.grad is not None])

    def _need_less(self, what: str) -> None:
        if self.micro_batch > 1:
            self.micro_batch = math.ceil(self.micro_batch / 2)
            self._problems.append(
                f"Memory was short: the step is done again in micro-batches of {self.micro_batch}; "
                f"the batch stays {self.settings.batch_size}."
            )
        elif not self.recomputes and self.settings.recompute == "auto":
            self.recomputes = True
            self._problems.append("Memory was short for a single example: blocks are now computed twice to save memory.")
        else:
            more = "even when blocks are computed twice" if self.recomputes else "and blocks may not be computed twice"
            raise ResourceError(
                f"Memory is short for a single example, {more}: {what.splitlines()[0][:200]}",
                remedy="a smaller --max-length, --method top-blocks:1, --gradient-checkpointing on, or another --model",
            )

    def take_problems(self) -> list[str]:
        """What memory has made necessary since this was last asked."""
        taken, self._problems = self._problems, []
        return taken

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """Everything that a step depends on and changes, as files of named tensors; references, not copies."""
        names = {id(parameter): name for name, parameter in self.trainable.items()}
        optimizer = {
            f"{names[id(parameter)]}/{key}": value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
            for parameter, state in self.optimizer.state.items()
            for key, value in state.items()
            if value is not None
        }
        return {
            "weights": {name: parameter.detach() for name, parameter in self.trainable.items()},
            "optimizer": optimizer,
            "average": self.averaged.tensors(),
            "importance": dict(self._regularizer.importance),
            "generators": gathered_states(self.settings.device, self.processes),
        }

    def load(self, tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Put back what `tensors` gave; what was a number in the optimizer's state becomes one again."""
        with torch.no_grad():
            for name, parameter in self.trainable.items():
                parameter.copy_(tensors["weights"][name])
        self.optimizer.state.clear()
        for path, value in tensors["optimizer"].items():
            name, _, key = path.rpartition("/")
            parameter = self.trainable[name]
            is_number = value.dtype == torch.float64 and value.ndim == 0
            self.optimizer.state[parameter][key] = value.item() if is_number else _as_beside(value, parameter)
        self.averaged.load(tensors["average"])
        held = self._regularizer.held
        self._regularizer.know_importance({name: tensors["importance"][name].to(item.device) for name, item in held.items()})
        restore_generators(own_states(tensors["generators"], self.settings.device, self.processes))


def _as_beside(value: Tensor, parameter: nn.Parameter) -> Tensor:
    """A part of the optimizer's state on its parameter's device and in its order in memory: fused optimizers count on both."""
    if value.shape == parameter.shape:
        return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
    return value.to(parameter.device) if value.ndim or parameter.is_cuda else value.clone()


def _groups(model: TunedModel, trainable: Mapping[str, nn.Parameter], settings: FitSettings) -> list[dict[str, Any]]:
    """The head at its rate; the backbone's blocks at theirs, which may shrink from block to block downwards."""
    depths: dict[int, list[tuple[str, nn.Parameter]]] = {}
    for name, item in trainable.items():
        if not name.startswith("head."):
            inner = name.removeprefix("backbone.network.")
            depth = model.backbone.blocks_above(inner) if settings.block_decay < 1 else 0
            depths.setdefault(depth, []).append((name, item))
    head = [(name, item) for name, item in trainable.items() if name.startswith("head.")]
    rates = {depth: settings.learning_rate * settings.block_decay**depth for depth in depths}
    parts = [*((depths[depth], rates[depth]) for depth in sorted(depths)), (head, settings.head_learning_rate)]
    return [
        group for part, rate in parts for group in build_groups(part, learning_rate=rate, weight_decay=settings.weight_decay)
    ]
