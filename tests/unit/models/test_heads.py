"""Heads on pooled vectors."""

import math

import pytest
import torch
from torch.nn import functional

from luthier.models.heads import LinearHead


def test_the_first_loss_of_a_fresh_head_is_near_chance() -> None:
    head = LinearHead(64, 7, dropout=0.0, seed=0)
    pooled = torch.randn(200, 64, generator=torch.Generator().manual_seed(0))
    loss = functional.cross_entropy(head(pooled), torch.arange(200) % 7)
    assert float(loss.detach()) == pytest.approx(math.log(7), rel=0.05)


def test_a_normalised_head_does_not_feel_the_length_of_the_vector() -> None:
    head = LinearHead(4, 3, dropout=0.0, seed=0, normalize=True)
    pooled = torch.randn(5, 4)
    torch.testing.assert_close(head(pooled), head(1000 * pooled))
    assert not torch.allclose(*(LinearHead(4, 3, dropout=0.0, seed=0)(scale * pooled) for scale in (1, 1000)))


def test_dropout_is_on_in_training_only() -> None:
    head = LinearHead(64, 3, dropout=0.5, seed=0)
    pooled = torch.ones(2, 64)
    head.train()
    assert not torch.equal(head(pooled), head(pooled))
    head.eval()
    assert torch.equal(head(pooled), head(pooled))


def test_logits_are_float32_whatever_comes_in() -> None:
    assert LinearHead(4, 3, dropout=0.0, seed=0)(torch.ones(2, 4, dtype=torch.bfloat16)).dtype == torch.float32


def test_settings_build_the_same_head_again() -> None:
    head = LinearHead(4, 3, dropout=0.25, seed=0, normalize=True)
    settings = head.settings()
    assert settings.pop("kind") == "linear"
    again = LinearHead(**settings, seed=1)  # type: ignore[arg-type]
    again.load_state_dict(head.state_dict())
    assert again.settings() == head.settings()
    assert torch.equal(again.eval()(torch.ones(2, 4)), head.eval()(torch.ones(2, 4)))
