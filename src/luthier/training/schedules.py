"""Learning-rate schedules: pure functions from progress to a factor of the peak rate. Warm-up is added to each.

A schedule is written as `name` or `name:argument` (`polynomial:2`, `triangular:4`). Progress runs from 0 to 1 after the
warm-up. `gains` says of each evaluation so far whether validation reached a new best: only `plateau` looks at it.
"""

import math
from collections.abc import Callable, Sequence

from luthier.core.family import Family
from luthier.errors import SpecError

Schedule = Callable[[float, Sequence[bool]], float]
MakeSchedule = Callable[[str], Schedule]

START_OF_ONE_CYCLE, RISE_OF_ONE_CYCLE, END_OF_ONE_CYCLE = 1 / 25, 0.3, 1e-4
FLOOR_OF_CYCLES = 0.1
DECAY_OVER_CYCLES = 0.1
PLATEAU_FACTOR = 0.5


def make_constant(argument: str) -> Schedule:
    """`constant`: 1 throughout.

    Use when: a short run, or another way of ending (averaged weights).

    Example:
        >>> make_constant("")(0.3, ())
        1.0
    """
    _refuse(argument, name="constant")
    return lambda progress, gains: 1.0


def make_linear(argument: str) -> Schedule:
    """`linear`: falls evenly to 0.

    Use when: always; the default of fine-tuning. Source: Devlin et al. 2019, "BERT".

    Example:
        >>> make_linear("")(0.25, ())
        0.75
    """
    _refuse(argument, name="linear")
    return lambda progress, gains: max(0.0, 1.0 - progress)


def make_cosine(argument: str) -> Schedule:
    """`cosine`: falls to 0 as half a cosine wave.

    Use when: long runs; it stays near the peak longer than `linear`. Source: Loshchilov & Hutter 2017, "SGDR".

    Example:
        >>> make_cosine("")(0.5, ())
        0.5
    """
    _refuse(argument, name="cosine")
    return lambda progress, gains: _half_cosine(progress)


def make_polynomial(argument: str) -> Schedule:
    """`polynomial:POWER` (2): falls to 0 as a power of what is left.

    Use when: the rate should fall faster (power above 1) or later (below 1) than evenly.

    Example:
        >>> make_polynomial("2")(0.5, ())
        0.25
    """
    power = _number(argument, name="polynomial", default=2.0, low=0.1, high=10.0)
    return lambda progress, gains: max(0.0, 1.0 - progress) ** power


def make_triangular(argument: str) -> Schedule:
    """`triangular:CYCLES` (3): falls from the peak to a tenth of it and rises again, evenly, in each cycle; ends at a tenth.

    Use when: looking for several good solutions in one run. Source: Smith 2017, "Cyclical learning rates".

    Example:
        >>> [round(make_triangular("1")(progress, ()), 2) for progress in (0, 0.5, 1)]
        [1.0, 0.1, 1.0]
    """
    cycles = _count(argument, name="triangular", default=3)
    return lambda progress, gains: _triangle(progress, cycles)


def make_triangular2(argument: str) -> Schedule:
    """`triangular2:CYCLES` (3): as `triangular`, and every cycle is half as high as the one before.

    Use when: as `triangular`, where the end should be fine. Source: Smith 2017, "Cyclical learning rates".

    Example:
        >>> make_triangular2("2")(0.0, ()), make_triangular2("2")(0.5, ())
        (1.0, 0.5)
    """
    cycles = _count(argument, name="triangular2", default=3)
    return lambda progress, gains: _triangle(progress, cycles) * 0.5 ** _cycle(progress, cycles)


def make_exponential_cycles(argument: str) -> Schedule:
    """`exponential-cycles:CYCLES` (3): as `triangular`, under an envelope that falls exponentially to a tenth.

    Use when: as `triangular2`, without its jumps. Source: Smith 2017, "Cyclical learning rates" (exp_range).

    Example:
        >>> round(make_exponential_cycles("2")(1.0, ()), 3)
        0.1
    """
    cycles = _count(argument, name="exponential-cycles", default=3)
    return lambda progress, gains: _triangle(progress, cycles) * DECAY_OVER_CYCLES**progress


def make_one_cycle(argument: str) -> Schedule:
    """`one-cycle`: rises from a 25th of the peak over three tenths of the steps, falls to a ten-thousandth, both as cosines.

    Use when: a fresh head and few epochs; set `warmup_fraction` to 0, it has its own. Source: Smith & Topin 2018,
    "Super-convergence".

    Example:
        >>> [round(make_one_cycle("")(progress, ()), 4) for progress in (0, 0.3, 1)]
        [0.04, 1.0, 0.0001]
    """
    _refuse(argument, name="one-cycle")

    def factor(progress: float, gains: Sequence[bool]) -> float:
        if progress < RISE_OF_ONE_CYCLE:
            return 1.0 - (1.0 - START_OF_ONE_CYCLE) * _half_cosine(progress / RISE_OF_ONE_CYCLE)
        left = _half_cosine((progress - RISE_OF_ONE_CYCLE) / (1.0 - RISE_OF_ONE_CYCLE))
        return END_OF_ONE_CYCLE + (1.0 - END_OF_ONE_CYCLE) * left

    return factor


def make_warm_restarts(argument: str) -> Schedule:
    """`warm-restarts:CYCLES` (3): a cosine to 0 in each cycle, then back to the peak.

    Use when: long runs of which several checkpoints are averaged. Source: Loshchilov & Hutter 2017, "SGDR".

    Example:
        >>> [round(make_warm_restarts("2")(progress, ()), 2) for progress in (0, 0.25, 0.5, 1)]
        [1.0, 0.5, 1.0, 0.0]
    """
    cycles = _count(argument, name="warm-restarts", default=3)
    return lambda progress, gains: _half_cosine(progress * cycles - _cycle(progress, cycles))


def make_plateau(argument: str) -> Schedule:
    """`plateau:PATIENCE` (2): halves whenever so many evaluations in a row brought no new best on validation.

    Use when: nobody knows how long training should be; raise `patience` and `num_epochs` with it. A refit, which has no
    validation, stays at the peak.

    Example:
        >>> halve = make_plateau("2")
        >>> halve(0.1, [True, False]), halve(0.2, [True, False, False]), halve(0.3, [True, False, False, True, False])
        (1.0, 0.5, 0.5)
    """
    patience = _count(argument, name="plateau", default=2)

    def factor(progress: float, gains: Sequence[bool]) -> float:
        halvings = waited = 0
        for is_best in gains:
            waited = 0 if is_best else waited + 1
            if waited == patience:
                halvings, waited = halvings + 1, 0
        return PLATEAU_FACTOR**halvings

    return factor


SCHEDULES: Family[MakeSchedule] = Family(
    "schedule",
    {
        name: f"luthier.training.schedules:make_{name.replace('-', '_')}"
        for name in (
            "constant",
            "cosine",
            "exponential-cycles",
            "linear",
            "one-cycle",
            "plateau",
            "polynomial",
            "triangular",
            "triangular2",
            "warm-restarts",
        )
    },
)


def build_schedule(written: str) -> Schedule:
    """A schedule as a user writes it: `linear`, `polynomial:2`.

    Raises:
        SpecError: the name is unknown, or its argument is out of range.

    Example:
        >>> build_schedule("polynomial:3")(0.5, ())
        0.125
    """
    name, _, argument = written.partition(":")
    return SCHEDULES[name](argument)


def learning_rate_factor(
    step: int, *, num_steps: int, warmup_steps: int, schedule: Schedule, gains: Sequence[bool] = ()
) -> float:
    """Factor of the peak rate at a step (counted from 0): rises evenly over the warm-up, then follows the schedule.

    Example:
        >>> falling = build_schedule("linear")
        >>> [round(learning_rate_factor(s, num_steps=6, warmup_steps=2, schedule=falling), 2) for s in range(6)]
        [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    start = schedule(0.0, ())
    if step < warmup_steps:
        return start * (step + 1) / warmup_steps
    return schedule((step - warmup_steps) / max(1, num_steps - warmup_steps), gains)


def _half_cosine(progress: float) -> float:
    return round(0.5 * (1.0 + math.cos(math.pi * min(1.0, progress))), 12)


def _cycle(progress: float, cycles: int) -> int:
    """Which cycle, counted from 0; the very end belongs to the last."""
    return min(cycles - 1, int(progress * cycles))


def _triangle(progress: float, cycles: int) -> float:
    within = progress * cycles - _cycle(progress, cycles)
    return FLOOR_OF_CYCLES + (1.0 - FLOOR_OF_CYCLES) * abs(1.0 - 2.0 * within)


def _refuse(argument: str, *, name: str) -> None:
    if argument:
        raise SpecError(
            f"Schedule '{name}' takes no argument, but '{name}:{argument}' was asked for.", remedy=f"--schedule {name}"
        )


def _count(argument: str, *, name: str, default: int) -> int:
    if not argument:
        return default
    if not argument.isdigit() or not 1 <= int(argument) <= 100:
        problem = f"Schedule '{name}:{argument}': what follows the colon must be a whole number from 1 to 100."
        raise SpecError(problem, remedy=f"--schedule {name}:{default}")
    return int(argument)


def _number(argument: str, *, name: str, default: float, low: float, high: float) -> float:
    try:
        value = float(argument) if argument else default
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        problem = f"Schedule '{name}:{argument}': what follows the colon must be a number from {low:g} to {high:g}."
        raise SpecError(problem, remedy=f"--schedule {name}:{default:g}")
    return value
