"""Penalties against what autograd and the proximal operator say."""

import numpy as np
import pytest
import torch
from torch import nn

from luthier.training.regularization import Penalties, Regularizer


def weights(seed: int = 0) -> dict[str, nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        "backbone.block.weight": (4, 3),
        "backbone.block.bias": (4,),
        "head.linear.weight": (2, 4),
        "head.linear.bias": (2,),
    }
    return {name: nn.Parameter(torch.randn(shape, generator=generator)) for name, shape in shapes.items()}


def test_gradients_are_those_of_the_penalties() -> None:
    trainable, anchors = weights(), {name: item.detach() for name, item in weights(1).items() if name.startswith("backbone.")}
    expected = 0.5 * 0.3 * sum(item.square().sum() for item in trainable.values() if item.ndim == 2)
    expected = expected + 0.5 * 0.7 * sum((trainable[name] - anchor).square().sum() for name, anchor in anchors.items())
    wanted = torch.autograd.grad(expected, list(trainable.values()), allow_unused=True)
    for item in trainable.values():
        item.grad = torch.ones_like(item)
    regularizer = Regularizer(trainable, Penalties(l2=0.3, towards_pretrained=0.7), pretrained=anchors)
    regularizer.add_gradients()
    for item, gradient in zip(trainable.values(), wanted, strict=True):
        assert item.grad is not None
        torch.testing.assert_close(item.grad, 1.0 + (torch.zeros_like(item) if gradient is None else gradient))


def test_a_weight_without_a_gradient_is_left_alone() -> None:
    trainable = weights()
    regularizer = Regularizer(trainable, Penalties(l2=1.0), pretrained={})
    regularizer.add_gradients()
    assert all(item.grad is None for item in trainable.values())


def test_the_proximal_step_is_the_minimiser_it_promises_to_be() -> None:
    """argmin over x of (x - w)^2 / 2 + amount |x|, found by looking everywhere; heads only, biases never."""
    trainable = weights()
    before = {name: item.detach().clone() for name, item in trainable.items()}
    regularizer = Regularizer(trainable, Penalties(l1=2.0), pretrained={})
    groups = [{"params": list(trainable.values()), "lr": 0.25}]
    regularizer.shrink(groups)
    grid = np.linspace(-4, 4, 80_001)
    for found, value in zip(trainable["head.linear.weight"].flatten(), before["head.linear.weight"].flatten(), strict=True):
        best = grid[np.argmin(0.5 * (grid - float(value)) ** 2 + 0.5 * np.abs(grid))]
        assert float(found.detach()) == pytest.approx(best, abs=1e-4)
    assert all(torch.equal(trainable[name], before[name]) for name in before if name != "head.linear.weight")
    small = before["head.linear.weight"].abs() <= 0.5
    assert 0 < int(small.sum()) < 8
    assert torch.equal(trainable["head.linear.weight"] == 0, small)


def test_what_has_nothing_to_act_on_is_named() -> None:
    head = {name: item for name, item in weights().items() if name.startswith("head.")}
    assert Regularizer(head, Penalties(l2=1.0, towards_pretrained=1.0, ewc=1.0), pretrained={}).idle == [
        "towards_pretrained",
        "ewc",
    ]
    assert Regularizer(head, Penalties(), pretrained={}).idle == []


def test_nothing_asked_for_is_nothing_done() -> None:
    trainable = weights()
    before = {name: item.detach().clone() for name, item in trainable.items()}
    for item in trainable.values():
        item.grad = torch.ones_like(item)
    regularizer = Regularizer(trainable, Penalties(), pretrained=before)
    regularizer.add_gradients()
    regularizer.shrink([{"params": list(trainable.values()), "lr": 1.0}])
    assert all(torch.equal(item, before[name]) for name, item in trainable.items())
    assert all(torch.equal(item.grad, torch.ones_like(item)) for item in trainable.values() if item.grad is not None)
