"""`--micro-batch auto`: how many examples of a step go through the network at once, found by timing real batches.

Use when: the batch is large, or training is slow: caches make 32 at once faster than 128 on some processors, and a graphics
card likes more than fits. The effective batch, the steps and the schedule stay as they are.
Cost: some steps' worth of forward and backward passes before the first step of each method; put back afterwards.
Suggested values: `auto` is a measurement and can differ from run to run; the size it found is in the decision, for repeating.
"""

import time
from collections.abc import Mapping

import numpy as np
from jaxtyping import Int
from torch import nn

from luthier.core.decision import Decision
from luthier.core.names import count_of
from luthier.training.data import TrainingRows
from luthier.training.fit_settings import FitSettings
from luthier.training.footprint import Footprint
from luthier.training.memory import wait_for
from luthier.training.model import TunedModel
from luthier.training.processes import ALONE, Processes
from luthier.training.snapshot import put_back
from luthier.training.step import Loss, Stepper

REPEATS = 3
MOST_SLOWER = 2  # sizes in a row that are slower than the best so far: smaller ones will be, too


def choose_micro_batch(
    model: TunedModel,
    trainable: Mapping[str, nn.Parameter],
    rows: TrainingRows,
    settings: FitSettings,
    *,
    footprint: Footprint,
    loss: Loss,
    processes: Processes = ALONE,
) -> Decision[int]:
    """Time powers of two, from the batch downwards, on a batch of median length; model and generators are then as before.

    Sizes that are predicted not to fit are left out, and so is one that turns out not to. The smallest of all is always tried.

    Args:
        model: Inside `tuning` and `starting`.
        trainable: What trains, by name.
        rows: What is trained on.
        settings: Of the training; its micro-batch is not looked at.
        footprint: What each size is predicted to need.
        loss: Of a micro-batch.
        processes: Those that train together: each takes its share of a batch, and the main one's clock counts.

    Raises:
        ResourceError: not even one row fits into memory.
    """
    places = median_rows(rows, settings.batch_size)
    share = -(-len(places) // processes.count)
    sizes = candidates(share)
    fitting = [size for size in sizes if not processes.any(not footprint.fits(size))] or sizes[-1:]
    speeds: dict[int, float] = {}
    with put_back(model, trainable, device=settings.device):
        stepper = Stepper(model, trainable, settings, loss=loss, processes=processes)
        slower = 0
        for size in fitting:
            speed = _speed(stepper, rows, places, size)
            if speed is None:
                continue
            slower = slower + 1 if speeds and speed < max(speeds.values()) else 0
            speeds[size] = speed
            if slower >= MOST_SLOWER:
                break
        speeds = speeds or {stepper.micro_batch: 0.0}
    best = max(speeds, key=lambda size: speeds[size])
    left_out = [size for size in sizes if size not in fitting]
    reason = f"the fastest of {count_of(len(speeds), 'size')} that were timed on rows of median length"
    if left_out:
        reason += f"; {min(left_out)} and more are predicted not to fit"
    return Decision(
        name="micro_batch",
        value=best,
        reason=reason,
        evidence={
            "examples_per_second": {str(size): float(f"{speed:.4g}") for size, speed in speeds.items()},
            "not_fitting": left_out,
            "bytes": {str(size): footprint.need(size) for size in sizes},
            "room_bytes": footprint.room,
        },
        override=f"--micro-batch {best}",
    )


def candidates(at_most: int) -> list[int]:
    """The sizes to try, the largest first: powers of two, and the whole share of a batch.

    Example:
        >>> candidates(12)
        [12, 8, 4, 2, 1]
    """
    powers = {1 << exponent for exponent in range(at_most.bit_length())}
    return sorted(powers | {at_most}, reverse=True)


def median_rows(rows: TrainingRows, number: int) -> Int[np.ndarray, " B"]:
    """A batch of rows of median length: neighbours in length, as batches of training are."""
    order = np.argsort(rows.lengths, kind="stable")
    number = min(number, len(order))
    start = (len(order) - number) // 2
    return np.asarray(order[start : start + number])


def _speed(stepper: Stepper, rows: TrainingRows, places: Int[np.ndarray, " B"], size: int) -> float | None:
    """Examples a second in pieces of this size, the best of some repetitions; None if it does not fit."""
    stepper.micro_batch, best = size, float("inf")
    for _ in range(1 + REPEATS):  # the first also pays for what is set up once
        begin = time.perf_counter()
        stepper.accumulate(rows, places)
        wait_for(stepper.settings.device)
        if stepper.micro_batch < size:
            stepper.take_problems()
            return None
        best = min(best, time.perf_counter() - begin)
    return stepper.processes.of_main(len(places) / best)
