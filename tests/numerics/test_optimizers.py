"""Each optimizer against its update rule written out in NumPy, with and without weight decay, over ten steps."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import nn

from luthier.training.optimizer import build_groups, build_optimizer, set_learning_rate

STEPS, RATE = 10, 0.1
Weights = np.ndarray
Rule = Callable[[Weights, list[Weights], float], Weights]


def rates() -> Iterator[float]:
    """The peak falls, so that a rule that forgot the schedule would show."""
    return iter([RATE * (1 - step / STEPS) for step in range(STEPS)])


def adamw(weight: Weights, gradients: list[Weights], decay: float) -> Weights:
    mean, square = np.zeros_like(weight), np.zeros_like(weight)
    for step, (gradient, rate) in enumerate(zip(gradients, rates(), strict=True), 1):
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        direction = (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        weight = weight - rate * decay * weight - rate * direction
    return weight


def adam(weight: Weights, gradients: list[Weights], decay: float) -> Weights:
    mean, square = np.zeros_like(weight), np.zeros_like(weight)
    for step, (gradient, rate) in enumerate(zip(gradients, rates(), strict=True), 1):
        gradient = gradient + decay * weight
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        weight = weight - rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return weight


def sgd(momentum: float) -> Rule:
    def rule(weight: Weights, gradients: list[Weights], decay: float) -> Weights:
        velocity = np.zeros_like(weight)
        for gradient, rate in zip(gradients, rates(), strict=True):
            velocity = momentum * velocity + gradient + decay * weight
            weight = weight - rate * velocity
        return weight

    return rule


def adafactor(weight: Weights, gradients: list[Weights], decay: float) -> Weights:
    """Shazeer & Stern, algorithms 4 and 5, with the rate given from outside; epsilon_1 is that of the precision, squared."""
    rows, columns, whole = np.zeros(len(weight)), np.zeros(weight.shape[-1]), np.zeros_like(weight)
    for step, (gradient, rate) in enumerate(zip(gradients, rates(), strict=True), 1):
        old = 1 - step**-0.8
        if weight.ndim == 2:
            rows = old * rows + (1 - old) * (gradient**2).mean(1)
            columns = old * columns + (1 - old) * (gradient**2).mean(0)
            estimate = np.outer(rows, columns) / rows.mean()
        else:
            whole = old * whole + (1 - old) * gradient**2
            estimate = whole
        update = gradient / np.sqrt(estimate)
        update = update / max(1.0, np.sqrt((update**2).mean()))
        size = max(1e-3, np.sqrt((weight**2).mean())) * min(rate, step**-0.5)
        weight = weight - rate * decay * weight - size * update
    return weight


RULES: dict[str, Rule] = {"adamw": adamw, "adam": adam, "sgd": sgd(0.9), "sgd:0": sgd(0.0), "sgd:0.5": sgd(0.5)}
RULES["adafactor"] = adafactor


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("shape", [(4, 3), (5,)], ids=["matrix", "vector"])
@pytest.mark.parametrize("name", RULES)
def test_it_is_its_rule(name: str, shape: tuple[int, ...], decay: float) -> None:
    generator = np.random.default_rng(0)
    start = generator.normal(size=shape)
    gradients = [generator.normal(size=shape) for _ in range(STEPS)]
    weight = nn.Parameter(torch.tensor(start, dtype=torch.float32))
    groups = build_groups([("weight", weight)], learning_rate=RATE, weight_decay=decay)
    optimizer = build_optimizer(groups, device="cpu", name=name)
    for gradient, rate in zip(gradients, rates(), strict=True):
        set_learning_rate(optimizer, rate / RATE)
        weight.grad = torch.tensor(gradient, dtype=torch.float32)
        optimizer.step()
    expected = RULES[name](start, gradients, decay if len(shape) == 2 else 0.0)
    np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_weight_decay_is_a_part_of_the_gradient_in_adam_and_none_of_it_in_adamw() -> None:
    """With no other gradient AdamW shrinks a weight by its rate times the decay, and Adam by its whole rate."""
    found = {}
    for name in ("adam", "adamw"):
        weight = nn.Parameter(torch.ones(2, 2))
        groups = build_groups([("weight", weight)], learning_rate=0.1, weight_decay=0.01)
        optimizer = build_optimizer(groups, device="cpu", name=name)
        weight.grad = torch.zeros(2, 2)
        optimizer.step()
        found[name] = float(weight.detach()[0, 0])
    assert found == pytest.approx({"adam": 0.9, "adamw": 0.999}, abs=1e-5)
