"""The range test: the learning rate rises from tiny to far too large over some steps, and the loss shows which rates are good.

Use when: the method's own rate is in doubt: another optimizer, an unusual network, a loss of one's own. `--learning-rate auto`.
Cost: at most 100 training steps for each method that trains, put back afterwards.
Suggested values: `auto` takes the rate at which the smoothed loss falls fastest, and says where it is lowest.
Source: Smith 2017, "Cyclical learning rates for training neural networks"; Howard & Gugger 2020, "fastai: a layered API for
deep learning" (exponential rise, smoothing, the end where the loss explodes).

The curve is of the loss of each batch *minus what the same batch lost under the weights at the start*. A training that starts
from a probe's head gains little in some steps, and the luck of the batches would hide it: the plain curve of such a training
was lowest at a fiftieth of a good rate (docs/lab-notebook.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from jaxtyping import Int
from torch import nn

from luthier.core.decision import Decision
from luthier.core.process import StopRequest
from luthier.core.progress import Observer, counted
from luthier.core.seeding import generator_for
from luthier.data.batches import epoch_batches
from luthier.errors import DivergedError
from luthier.training.data import TrainingRows
from luthier.training.device import autocast
from luthier.training.fit_settings import FitSettings
from luthier.training.model import TunedModel
from luthier.training.processes import ALONE, Processes
from luthier.training.snapshot import put_back
from luthier.training.step import Loss, Stepper

STEPS = 100
LOWEST, HIGHEST = 1e-2, 1e3  # of the rates tried, times the method's own
SMOOTHING = 0.9
EXPLODED = 2.0  # times the loss at the start: nothing is learnt from there on
LEAST_POINTS = 10


@dataclass(frozen=True, kw_only=True)
class RangeCurve:
    """What a range test has shown.

    Attributes:
        rates: Tried, rising.
        losses: Of the batch at each of them before its step, as far as it differs from that at the start.
        smoothed: The same, as a moving average.
        lowest: The rate at which the smoothed loss is lowest.
        steepest: The rate at which it falls fastest.
    """

    rates: Sequence[float]
    losses: Sequence[float]
    smoothed: Sequence[float]
    lowest: float
    steepest: float

    @property
    def suggestion(self) -> float:
        """The rate to train at, to two digits: a tenth of `lowest`, the other rule in use, scored worse on validation."""
        return float(f"{self.steepest:.1e}")


def choose_learning_rate(
    model: TunedModel,
    trainable: Mapping[str, nn.Parameter],
    rows: TrainingRows,
    settings: FitSettings,
    *,
    loss: Loss,
    observer: Observer,
    stop: StopRequest,
    processes: Processes = ALONE,
) -> Decision[float]:
    """Run the range test and choose the rate; the model and all generators are afterwards what they were, to the bit.

    Args:
        model: Inside `tuning` and `starting`.
        trainable: What trains, by name.
        rows: What is trained on: the curve is that of real batches.
        settings: Of the training, at the method's own rates; those of head and blocks keep their ratio to each other.

    Raises:
        DivergedError: the loss is no number at the smallest rates.
    """
    rates: list[float] = []
    losses: list[float] = []
    with put_back(model, trainable, device=settings.device), counted(observer, "range test", STEPS, "steps"):
        stepper = Stepper(model, trainable, settings, loss=loss, processes=processes)
        batches = list(islice(_batches(rows, settings), STEPS))
        start = [_loss_of(stepper, rows, places) for places in batches]
        for rate, found in _rising(stepper, rows, batches):
            rates.append(rate)
            losses.append(found - start[len(losses)])
            observer.advance(1, f"rate {rate:.1e}, loss {found:.3f}")
            if stop or _has_exploded(losses, at_start=sum(start) / len(start)):
                break
    curve = read_curve(rates, losses)
    own = _reference(settings)
    return Decision(
        name="learning_rate",
        value=curve.suggestion,
        reason="the loss falls fastest there as the rate rises; "
        f"it is lowest at {curve.lowest:.1e}, and the method's own rate is {own:g}",
        evidence={
            "rates": [float(f"{rate:.3g}") for rate in curve.rates],
            "losses": [round(value, 5) for value in curve.losses],
            "smoothed": [round(value, 5) for value in curve.smoothed],
            "lowest": curve.lowest,
            "steepest": curve.steepest,
            "method": own,
        },
        override=f"--learning-rate {curve.suggestion:g}",
    )


def _rising(stepper: Stepper, rows: TrainingRows, batches: Sequence[Int[np.ndarray, " B"]]) -> Iterator[tuple[float, float]]:
    """(rate, loss of the batch before its step), step after step; ends where loss or gradient is no number."""
    for step, places in enumerate(batches):
        factor = LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1))
        update = stepper.update(rows, places, factor=factor)
        if not update.is_finite:
            return
        yield factor * _reference(stepper.settings), update.loss


@torch.no_grad()
def _loss_of(stepper: Stepper, rows: TrainingRows, places: Int[np.ndarray, " B"]) -> float:
    """Mean loss of a batch as the model is now, all processes together."""
    stepper.model.eval_mode()
    share, total, weight = stepper.processes.share_of(places), 0.0, 0.0
    for begin in range(0, len(share), stepper.micro_batch):
        batch = rows.batch(share[begin : begin + stepper.micro_batch])
        with autocast(stepper.settings.device, stepper.settings.precision):
            outputs = stepper.model(batch.inputs, batch.stored)
        part = stepper.loss(outputs, batch.targets)
        total, weight = total + float(part.sum), weight + part.weight
    total, weight = stepper.processes.sum([total, weight])
    return total / weight


def _reference(settings: FitSettings) -> float:
    """The rate that the test is about: that of the blocks, or of the head where no block trains."""
    return settings.learning_rate or settings.head_learning_rate


def _batches(rows: TrainingRows, settings: FitSettings) -> Iterator[Int[np.ndarray, " B"]]:
    epoch = 0
    while True:
        generator = generator_for(settings.seed, f"range test/{epoch}")
        yield from epoch_batches(rows.lengths, batch_size=settings.batch_size, generator=generator)
        epoch += 1


def _has_exploded(losses: Sequence[float], *, at_start: float) -> bool:
    return len(losses) > LEAST_POINTS and smooth(losses)[-1] > (EXPLODED - 1) * at_start


def smooth(values: Sequence[float]) -> list[float]:
    """Exponential moving average, without the pull towards zero at its beginning.

    Example:
        >>> [round(value, 3) for value in smooth([2.0, 2.0, 1.0])]
        [2.0, 2.0, 1.631]
    """
    average, smoothed = 0.0, []
    for place, value in enumerate(values, 1):
        average = SMOOTHING * average + (1 - SMOOTHING) * value
        smoothed.append(average / (1 - SMOOTHING**place))
    return smoothed


def read_curve(rates: Sequence[float], losses: Sequence[float]) -> RangeCurve:
    """Where the smoothed loss is lowest, some points after the loss itself, and where it falls fastest before that.

    Raises:
        DivergedError: there are too few points for a curve.

    Example:
        >>> rates = [10.0 ** (place / 10 - 5) for place in range(40)]
        >>> curve = read_curve(rates, [(np.log10(rate) + 2) ** 2 for rate in rates])
        >>> 1e-2 < curve.lowest < 1e-1
        True
    """
    if len(losses) < LEAST_POINTS:
        raise DivergedError(
            f"The range test needs at least {LEAST_POINTS} rates; the loss became no number after {len(losses)}.",
            remedy="a number, such as --learning-rate 1e-5, and --precision float32",
        )
    smoothed = smooth(losses)
    lowest = int(np.argmin(smoothed))
    slopes = np.diff(smoothed[: lowest + 1])
    steepest = int(np.argmin(slopes)) if len(slopes) else lowest
    return RangeCurve(rates=rates, losses=losses, smoothed=smoothed, lowest=rates[lowest], steepest=rates[steepest])


def with_rate(settings: FitSettings, rate: float) -> FitSettings:
    """The settings when the rate that was tested becomes `rate`: those of blocks and head keep their ratio."""
    factor = rate / _reference(settings)
    return replace(
        settings,
        learning_rate=settings.learning_rate * factor,
        head_learning_rate=settings.head_learning_rate * factor,
    )
