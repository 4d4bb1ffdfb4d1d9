"""Refit: what was chosen on validation is trained once more, on train and validation together.

Use when: the choice is made and every labelled row counts (small data sets gain most).
Cost: the steps of the rungs that were kept, once more. There is nothing left to stop early by or to choose on, so the step
at which each rung was best is taken over: as many steps per row, with the same schedule.
Source: Goodfellow, Bengio & Courville 2016, "Deep learning", algorithm 7.2 (retrain for as many steps as early stopping found).
"""

from collections.abc import Mapping
from typing import Any

from luthier.core.process import Cost, StopRequest, Stopwatch
from luthier.core.progress import Observer, counted
from luthier.errors import Stopped
from luthier.training.averaging import AveragedWeights
from luthier.training.data import TrainingRows
from luthier.training.loop import FitSettings, Loss, Record, count_steps, starting, train_steps
from luthier.training.model import TunedModel


def train_again(
    model: TunedModel,
    rows: TrainingRows,
    settings: FitSettings,
    *,
    fraction: float,
    loss: Loss,
    observer: Observer,
    record: Record,
    stop: StopRequest,
) -> Cost:
    """Train on all rows up to the given fraction of the schedule, and keep the last step.

    Args:
        settings: Those of the training that is repeated.
        fraction: How much of that training its best step came after, above 0 and at most 1.
        record: Receives what goes into the journal.

    Raises:
        DivergedError: the loss became NaN or infinite.
        Stopped: the user asked to stop.
    """
    watch = Stopwatch()
    last = max(1, round(fraction * count_steps(len(rows.rows), settings)))

    def note(event: Mapping[str, Any]) -> None:
        record({**event, "event": "refit_step"})

    with model.tuning(settings.boundary) as trainable, counted(observer, "refit", last, "steps"), starting(model, rows):
        averaged = AveragedWeights(trainable, decay=settings.ema_decay)
        for step, value in train_steps(model, rows, settings, loss=loss, trainable=trainable, record=note):
            averaged.update()
            observer.advance(1, f"loss {value:.3f}")
            if step == last or stop:
                break
        averaged.keep()
    if stop:
        raise Stopped(f"Stopped by {stop.signal_name} at step {step} of the refit.", remedy="the same command begins again")
    return watch.read()
