"""Learning-rate schedules: pure functions from the step to a factor of the peak rate. Warm-up is added to each."""

import math
from collections.abc import Callable

from luthier.core.family import Family

Schedule = Callable[[float], float]


def constant(progress: float) -> float:
    """1 throughout. `progress` runs from 0 to 1 after the warm-up.

    Example:
        >>> constant(0.3)
        1.0
    """
    return 1.0


def linear(progress: float) -> float:
    """Falls evenly to 0.

    Example:
        >>> linear(0.25)
        0.75
    """
    return max(0.0, 1.0 - progress)


def cosine(progress: float) -> float:
    """Falls to 0 as half a cosine wave. Source: Loshchilov & Hutter 2017, "SGDR".

    Example:
        >>> cosine(0.5)
        0.5
    """
    return round(0.5 * (1.0 + math.cos(math.pi * min(1.0, progress))), 12)


SCHEDULES: Family[Schedule] = Family(
    "schedule",
    {
        "constant": "luthier.training.schedules:constant",
        "cosine": "luthier.training.schedules:cosine",
        "linear": "luthier.training.schedules:linear",
    },
)


def learning_rate_factor(step: int, *, num_steps: int, warmup_steps: int, schedule: Schedule) -> float:
    """Factor of the peak rate at a step (counted from 0): rises evenly over the warm-up, then follows the schedule.

    Example:
        >>> [round(learning_rate_factor(s, num_steps=6, warmup_steps=2, schedule=linear), 2) for s in range(6)]
        [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return schedule((step - warmup_steps) / max(1, num_steps - warmup_steps))
