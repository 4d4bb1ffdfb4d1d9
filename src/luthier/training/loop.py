"""The one training loop, to be read from top to bottom."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from luthier.core.process import Cost, StopRequest, Stopwatch
from luthier.core.progress import Observer, counted
from luthier.core.seeding import generator_for, seed_for
from luthier.data.batches import epoch_batches
from luthier.errors import DivergedError, Stopped
from luthier.evaluation.records import Direction
from luthier.training.averaging import AveragedWeights
from luthier.training.data import TrainingRows
from luthier.training.device import autocast
from luthier.training.early_stopping import EarlyStopping
from luthier.training.model import TunedModel
from luthier.training.optimizer import build_groups, build_optimizer, set_learning_rate
from luthier.training.regularization import NO_PENALTIES, Penalties, Regularizer
from luthier.training.schedules import build_schedule, learning_rate_factor

Loss = Callable[[Tensor, Tensor], Any]
Score = Callable[[Float[np.ndarray, "N C"]], Mapping[str, float]]
Record = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """Everything `fit` needs to know; all automatic values resolved.

    Attributes:
        boundary: First block that trains.
        block_decay: The rate of each block is this share of that of the block above it.
        ema_decay: Of the moving average of the weights that is evaluated and kept; 0 keeps the weights themselves.
    """

    boundary: int
    num_epochs: float
    batch_size: int
    micro_batch: int
    learning_rate: float
    head_learning_rate: float
    schedule: str
    warmup_fraction: float
    weight_decay: float
    max_gradient_norm: float
    patience: int
    evaluations_per_epoch: int
    precision: str
    device: str
    seed: int
    penalties: Penalties = NO_PENALTIES
    block_decay: float = 1.0
    ema_decay: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What training lowers, and what decides which step is best.

    Attributes:
        loss: (outputs, targets) -> LossSum of a micro-batch.
        score: Validation outputs -> scores by measure; `primary` is among them.
        primary: The measure that decides.
        direction: Whether more of it is better.
    """

    loss: Loss
    score: Score
    primary: str
    direction: Direction = "higher"

    @property
    def sign(self) -> int:
        """1 if more is better, else -1."""
        return 1 if self.direction == "higher" else -1


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """What training gave. The model holds the weights of the best step.

    Attributes:
        outputs: Outputs on the validation rows at the best step.
        losses: Loss of each step, without penalties.
    """

    scores: Mapping[str, float]
    outputs: Float[np.ndarray, "N C"]
    best_step: int
    steps: int
    epochs: float
    stopped_early: bool
    cost: Cost
    losses: list[float] = field(default_factory=list)


def fit(
    model: TunedModel,
    train: TrainingRows,
    validation: TrainingRows,
    settings: FitSettings,
    *,
    objective: Objective,
    observer: Observer,
    record: Record,
    stop: StopRequest,
) -> FitResult:
    """Train what lies from block `settings.boundary` on, and the head; keep the best step by validation.

    Args:
        model: Gets the weights of the best step.
        record: Receives what goes into the journal.
        stop: Looked at after each step.

    Raises:
        DivergedError: the loss became NaN or infinite.
        Stopped: the user asked to stop; the model holds the best weights so far.
    """
    watch = Stopwatch()
    steps_per_epoch = math.ceil(len(train.rows) / settings.batch_size)
    num_steps = count_steps(len(train.rows), settings)
    evaluate_every = max(1, steps_per_epoch // settings.evaluations_per_epoch)
    early_stopping = EarlyStopping(patience=settings.patience)
    losses: list[float] = []
    best: tuple[int, Mapping[str, float], np.ndarray, dict[str, Tensor]] | None = None
    with model.tuning(settings.boundary) as trainable, counted(observer, "train", num_steps, "steps"), starting(model, train):
        averaged = AveragedWeights(trainable, decay=settings.ema_decay)
        for step, value in train_steps(
            model, train, settings, loss=objective.loss, trainable=trainable, record=record, gains=early_stopping.gains
        ):
            losses.append(value)
            observer.advance(1, f"loss {value:.3f}")
            averaged.update()
            if step % evaluate_every == 0 or step == num_steps or stop:
                with averaged.applied():
                    outputs = predict_rows(model, validation, settings)
                    scores = objective.score(outputs)
                    is_over = early_stopping.update(objective.sign * scores[objective.primary])
                    if early_stopping.is_best:
                        best = (step, scores, outputs, _snapshot(trainable))
                record(_evaluation_event(step, step / steps_per_epoch, scores, is_best=early_stopping.is_best))
                if is_over or stop:
                    break
        assert best is not None
        _restore(trainable, best[3])
    if stop:
        raise Stopped(f"Stopped by {stop.signal_name} at step {len(losses)}.", remedy="the same command begins again")
    return FitResult(
        scores=best[1],
        outputs=best[2],
        best_step=best[0],
        steps=len(losses),
        epochs=len(losses) / steps_per_epoch,
        stopped_early=len(losses) < num_steps,
        cost=watch.read(),
        losses=losses,
    )


def count_steps(num_rows: int, settings: FitSettings) -> int:
    """Optimizer updates of a whole training on so many rows."""
    return max(1, round(settings.num_epochs * math.ceil(num_rows / settings.batch_size)))


def train_steps(
    model: TunedModel,
    train: TrainingRows,
    settings: FitSettings,
    *,
    loss: Loss,
    trainable: Mapping[str, nn.Parameter],
    record: Record,
    gains: Sequence[bool] = (),
) -> Iterator[tuple[int, float]]:
    """The updates of a whole training, one by one: yields how many were made, and the loss of the last.

    Args:
        gains: For each evaluation so far, whether it was the best; the caller adds to it as training goes on.

    Raises:
        DivergedError: the loss became NaN or infinite.
    """
    num_steps = count_steps(len(train.rows), settings)
    warmup_steps = round(settings.warmup_fraction * num_steps)
    schedule = build_schedule(settings.schedule)
    torch.manual_seed(seed_for(settings.seed, "dropout"))
    optimizer = build_optimizer(_groups(model, trainable, settings), device=settings.device)
    regularizer = Regularizer(trainable, settings.penalties, pretrained=model.pretrained)
    for step, places in enumerate(_steps(train.lengths, num_steps, settings)):
        factor = learning_rate_factor(step, num_steps=num_steps, warmup_steps=warmup_steps, schedule=schedule, gains=gains)
        set_learning_rate(optimizer, factor)
        value, norm = _train_step(
            model, train, places, settings, loss=loss, trainable=trainable, optimizer=optimizer, regularizer=regularizer
        )
        epoch = (step + 1) / math.ceil(len(train.rows) / settings.batch_size)
        record(_step_event(step, epoch, value, norm, factor * settings.learning_rate))
        _check_finite(value, norm, step=step, rows=train.names_of(places), settings=settings)
        yield step + 1, value


def starting(model: TunedModel, train: TrainingRows) -> Any:
    """The context in which the backbone starts at the first trainable block, if its rows come from the store."""
    from contextlib import nullcontext

    return model.backbone.starting_at(model.boundary) if train.store is not None else nullcontext()


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


def _steps(lengths: Int[np.ndarray, " N"], num_steps: int, settings: FitSettings) -> Iterator[Int[np.ndarray, " B"]]:
    """The rows of each step, epoch after epoch."""
    done, epoch = 0, 0
    while True:
        generator = generator_for(settings.seed, f"shuffle/{epoch}")
        for places in epoch_batches(lengths, batch_size=settings.batch_size, generator=generator):
            if done == num_steps:
                return
            done += 1
            yield places
        epoch += 1


def _train_step(
    model: TunedModel,
    train: TrainingRows,
    places: Int[np.ndarray, " B"],
    settings: FitSettings,
    *,
    loss: Loss,
    trainable: Mapping[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    regularizer: Regularizer,
) -> tuple[float, float]:
    """One optimizer update over the whole batch, micro-batch by micro-batch.

    The loss is the mean over all units (examples, tokens, boxes) of the whole batch, however it is cut: sums are added up, and
    gradients divided once by the weight of all.
    """
    model.training_mode()
    optimizer.zero_grad(set_to_none=True)
    total = weight = 0.0
    for start in range(0, len(places), settings.micro_batch):
        micro_batch = train.batch(places[start : start + settings.micro_batch])
        with autocast(settings.device, settings.precision):
            outputs = model(micro_batch.inputs, micro_batch.stored)
        part = loss(outputs, micro_batch.targets)
        part.sum.backward()
        total += float(part.sum.detach())
        weight += part.weight
    for parameter in trainable.values():
        if parameter.grad is not None:
            parameter.grad /= weight
    regularizer.add_gradients()
    norm = nn.utils.clip_grad_norm_(list(trainable.values()), settings.max_gradient_norm)
    if math.isfinite(total) and math.isfinite(norm):
        optimizer.step()
        regularizer.shrink(optimizer.param_groups)
    return total / weight, float(norm)


def predict_rows(model: TunedModel, part: TrainingRows, settings: FitSettings) -> Float[np.ndarray, "N C"]:
    """Outputs of the model for the rows of a part, in their order."""
    from luthier.features.passes import batches_by_length

    model.eval_mode()
    outputs: np.ndarray | None = None
    with torch.inference_mode(), autocast(settings.device, settings.precision):
        for places in batches_by_length(part.lengths, is_media=not part.is_padded):
            batch = part.batch(places)
            values = model(batch.inputs, batch.stored).float().cpu().numpy()
            outputs = np.empty((len(part.rows), values.shape[1]), dtype=np.float32) if outputs is None else outputs
            outputs[places] = values
    assert outputs is not None
    return outputs


def _snapshot(trainable: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in trainable.items()}


def _restore(trainable: Mapping[str, nn.Parameter], snapshot: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in trainable.items():
            parameter.copy_(snapshot[name])


def _step_event(step: int, epoch: float, loss: float, norm: float, learning_rate: float) -> dict[str, Any]:
    return {
        "event": "step",
        "step": step + 1,
        "epoch": round(epoch, 4),
        "loss": loss,
        "learning_rate": learning_rate,
        "gradient_norm": norm,
    }


def _evaluation_event(step: int, epoch: float, scores: Mapping[str, float], *, is_best: bool) -> dict[str, Any]:
    return {"event": "evaluation", "step": step, "epoch": epoch, "scores": scores, "best": is_best}


def _check_finite(loss: float, norm: float, *, step: int, rows: Sequence[str], settings: FitSettings) -> None:
    if math.isfinite(loss) and math.isfinite(norm):
        return
    shown = ", ".join(rows[:3])
    raise DivergedError(
        f"Loss became {loss} at step {step + 1} (learning rate {settings.learning_rate:g}, gradient norm {norm:.2g}; "
        f"rows {shown}).",
        remedy=f"--learning-rate {settings.learning_rate / 10:g}",
    )
