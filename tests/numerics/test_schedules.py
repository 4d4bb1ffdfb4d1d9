"""Schedules against the schedulers that everybody uses."""

import pytest
import torch
import transformers

from luthier.training.schedules import SCHEDULES, learning_rate_factor

ORACLES = {
    "constant": lambda optimizer, warmup, steps: transformers.get_constant_schedule_with_warmup(optimizer, warmup),
    "linear": transformers.get_linear_schedule_with_warmup,
    "cosine": transformers.get_cosine_schedule_with_warmup,
}


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize(("warmup_steps", "num_steps"), [(0, 7), (5, 40), (1, 1)])
def test_factors_are_those_of_transformers(name: str, warmup_steps: int, num_steps: int) -> None:
    """Apart from the warm-up, which transformers begins with a step of rate zero and we do not waste."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = ORACLES[name](optimizer, warmup_steps, num_steps)
    expected = []
    for _ in range(num_steps):
        expected.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    found = [
        learning_rate_factor(step, num_steps=num_steps, warmup_steps=warmup_steps, schedule=SCHEDULES[name])
        for step in range(num_steps)
    ]
    assert found[warmup_steps:] == pytest.approx(expected[warmup_steps:], abs=1e-9)
    assert found[:warmup_steps] == pytest.approx([(step + 1) / warmup_steps for step in range(warmup_steps)])
