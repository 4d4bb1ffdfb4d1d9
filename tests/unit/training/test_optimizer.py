"""Parameter groups: who decays, at which rate."""

import pytest
import torch
from torch import nn

from luthier.training.optimizer import build_groups, build_optimizer, set_learning_rate


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))


def test_matrices_decay_and_vectors_do_not() -> None:
    model = network()
    nn.init.ones_(model[0].bias)
    optimizer = build_optimizer(build_groups(model.named_parameters(), learning_rate=0.1, weight_decay=0.5), device="cpu")
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        expected = before[name] * (1 - 0.1 * 0.5) if name == "0.weight" else before[name]
        torch.testing.assert_close(parameter.detach(), expected)


def test_what_is_frozen_is_in_no_group() -> None:
    model = network()
    model[0].requires_grad_(False)
    groups = build_groups(model.named_parameters(), learning_rate=0.1, weight_decay=0.5)
    assert [len(group["params"]) for group in groups] == [2]


def test_the_rate_is_a_share_of_each_groups_own_peak() -> None:
    model = network()
    optimizer = build_optimizer(
        [
            *build_groups(model[0].named_parameters(), learning_rate=0.1, weight_decay=0.0),
            *build_groups(model[1].named_parameters(), learning_rate=0.4, weight_decay=0.0),
        ],
        device="cpu",
    )
    for factor in (0.5, 0.25, 0.0):
        set_learning_rate(optimizer, factor)
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([factor * 0.1, factor * 0.1, factor * 0.4])
