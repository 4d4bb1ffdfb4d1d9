"""Schedules against the schedulers that everybody uses, and against their formulas written out."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from luthier.training.schedules import build_schedule, learning_rate_factor

ORACLES = {
    "constant": lambda optimizer, warmup, steps: transformers.get_constant_schedule_with_warmup(optimizer, warmup),
    "linear": transformers.get_linear_schedule_with_warmup,
    "cosine": transformers.get_cosine_schedule_with_warmup,
    "polynomial:3": lambda optimizer, warmup, steps: transformers.get_polynomial_decay_schedule_with_warmup(
        optimizer, warmup, steps, lr_end=0.0, power=3.0
    ),
    "warm-restarts:4": lambda optimizer, warmup, steps: transformers.get_cosine_with_hard_restarts_schedule_with_warmup(
        optimizer, warmup, steps, num_cycles=4
    ),
}


def rates(make: Callable[[torch.optim.Optimizer], Any], num_steps: int) -> list[float]:
    """The rate at each step that a scheduler gives to an optimizer whose own rate is 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    scheduler = make(optimizer)
    found = []
    for _ in range(num_steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize(("warmup_steps", "num_steps"), [(0, 7), (5, 40), (1, 2)])
def test_factors_are_those_of_transformers(name: str, warmup_steps: int, num_steps: int) -> None:
    """Apart from the warm-up, which transformers begins with a step of rate zero and we do not waste."""
    expected = rates(lambda optimizer: ORACLES[name](optimizer, warmup_steps, num_steps), num_steps)
    schedule = build_schedule(name)
    found = [
        learning_rate_factor(step, num_steps=num_steps, warmup_steps=warmup_steps, schedule=schedule)
        for step in range(num_steps)
    ]
    assert found[warmup_steps:] == pytest.approx(expected[warmup_steps:], abs=1e-9)
    assert found[:warmup_steps] == pytest.approx([(step + 1) / warmup_steps for step in range(warmup_steps)])


def test_one_cycle_is_that_of_torch() -> None:
    """Torch spreads a cycle of n steps over n - 1 moves."""
    num_steps = 101
    expected = rates(
        lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=1.0, total_steps=num_steps, pct_start=31 / num_steps, div_factor=25, final_div_factor=400
        ),
        num_steps,
    )
    schedule = build_schedule("one-cycle")
    found = [schedule(step / (num_steps - 1), ()) for step in range(num_steps)]
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("name", "mode"), [("triangular:3", "triangular"), ("triangular2:3", "triangular2")])
def test_triangles_are_those_of_torch_from_the_peak_on(name: str, mode: str) -> None:
    """Torch starts at the bottom of a triangle: ours is its factor half a cycle later, between the same floor and peak."""
    half = 20
    expected = rates(
        lambda optimizer: torch.optim.lr_scheduler.CyclicLR(
            optimizer, base_lr=0.1, max_lr=1.0, step_size_up=half, mode="triangular", cycle_momentum=False
        ),
        7 * half,
    )[half:]
    schedule, num_steps = build_schedule(name), 6 * half
    for step in range(num_steps):
        shrink = 0.5 ** (step // (2 * half)) if mode == "triangular2" else 1.0
        assert schedule(step / num_steps, ()) == pytest.approx(expected[step] * shrink, abs=1e-9)


def test_exponential_cycles_are_triangles_under_an_envelope() -> None:
    triangles, schedule = build_schedule("triangular:4"), build_schedule("exponential-cycles:4")
    for progress in np.linspace(0, 1, 57):
        assert schedule(progress, ()) == pytest.approx(triangles(progress, ()) * 10**-progress)


def test_a_plateau_halves_when_torch_does() -> None:
    """Torch waits one evaluation longer for the same number: it reduces after more than `patience` bad ones."""
    generator = np.random.default_rng(0)
    scores = (np.linspace(0, 0.3, 60) + generator.normal(scale=0.2, size=60)).tolist()
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    peer = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", factor=0.5, patience=2, threshold=0.0)
    schedule, gains, best = build_schedule("plateau:3"), [], float("-inf")
    seen = set()
    for score in scores:
        gains.append(score > best)
        best = max(best, score)
        peer.step(score)
        assert schedule(0.5, gains) == optimizer.param_groups[0]["lr"]
        seen.add(optimizer.param_groups[0]["lr"])
    assert len(seen) > 3
