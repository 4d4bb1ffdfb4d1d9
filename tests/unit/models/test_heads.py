"""Heads on pooled vectors."""

import json
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from luthier.errors import ModelError
from luthier.models.heads import DeepHead, LinearHead, build_head, head_from
from luthier.models.pooling import AttentionPooling
from luthier.models.settings import HeadSettings
from luthier.testing.backbones import tiny_bert
from luthier.training.model import TunedModel


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


def deep(**changes: object) -> DeepHead:
    values: dict[str, object] = {"layers": 3, "width": 8, "activation": "tanh", **changes}
    head = build_head(HeadSettings(**values), 4, 3, seed=0)  # type: ignore[arg-type]
    assert isinstance(head, DeepHead)
    return head.eval()


def test_a_deep_head_is_its_layers_with_the_activation_between_them() -> None:
    head, pooled = deep(), torch.randn(5, 4)
    first, second = head.hidden
    expected = head.linear(torch.tanh(second(torch.tanh(first(pooled)))))
    torch.testing.assert_close(head(pooled), expected)
    assert [tuple(item.shape) for item in head.parameters() if item.ndim == 2] == [(8, 4), (8, 8), (3, 8)]


@pytest.mark.parametrize(
    ("activation", "reference"), [("relu", torch.relu), ("gelu", functional.gelu), ("silu", functional.silu)]
)
def test_activations_are_those_of_torch(activation: str, reference: Callable[[Tensor], Tensor]) -> None:
    head, pooled = deep(layers=2, activation=activation), torch.randn(5, 4)
    torch.testing.assert_close(head(pooled), head.linear(reference(head.hidden[0](pooled))))


def test_hidden_layers_are_as_wide_as_the_vector_where_nothing_is_said() -> None:
    assert deep(layers=2, width=None).linear.in_features == 4


@pytest.mark.parametrize(("layers", "pooling"), [(2, "auto"), (4, "attention"), (1, "attention")])
def test_the_first_loss_of_a_fresh_deep_head_is_near_chance(layers: int, pooling: str) -> None:
    head = build_head(HeadSettings(layers=layers, width=64, pooling=pooling), 64, 7, seed=0)  # type: ignore[arg-type]
    pooled = torch.randn(200, 64, generator=torch.Generator().manual_seed(0))
    loss = functional.cross_entropy(head(pooled), torch.arange(200) % 7)
    assert float(loss.detach()) == pytest.approx(math.log(7), rel=0.1)


def test_dropout_stands_before_every_layer_of_a_deep_head() -> None:
    head, pooled = deep(dropout=0.5).train(), torch.ones(64, 4)
    assert not torch.equal(head(pooled), head(pooled))
    assert torch.equal(head.eval()(pooled), head(pooled))


@pytest.mark.parametrize("shape", [{"layers": 1}, {"layers": 2, "width": 5}, {"layers": 2, "pooling": "attention"}])
def test_any_head_is_built_again_from_what_it_says(shape: dict[str, object]) -> None:
    head = build_head(HeadSettings(**shape), 4, 3, seed=0)  # type: ignore[arg-type]
    again = head_from(json.loads(json.dumps(head.settings())))
    again.load_state_dict(head.state_dict())
    assert type(again) is type(head)
    assert torch.equal(again.eval()(torch.ones(2, 4)), head.eval()(torch.ones(2, 4)))


def test_a_head_that_this_version_does_not_know_is_refused() -> None:
    with pytest.raises(ModelError, match="cannot build the model's head") as caught:
        head_from({"kind": "capsule", "width": 4})
    assert "pip install --upgrade luthier" in caught.value.remedy


class TestAttentionPooling:
    """Attention over hidden states."""

    def test_it_is_the_plain_softmax_of_scores(self) -> None:
        pooling = AttentionPooling(4)
        torch.nn.init.normal_(pooling.query)
        hidden = torch.randn(2, 3, 4)
        for row in range(2):
            length = 3 - row
            scores = [float((hidden[row, place] * pooling.query).sum().detach()) / 2 for place in range(length)]
            total = sum(map(math.exp, scores))
            expected = sum(math.exp(score) / total * hidden[row, place] for place, score in enumerate(scores))
            mask = torch.tensor([[True, True, True], [True, True, False]])
            torch.testing.assert_close(pooling(hidden, mask)[row], expected)

    def test_maps_are_pooled_over_their_places(self) -> None:
        maps = torch.randn(2, 4, 3, 5)
        torch.testing.assert_close(AttentionPooling(4)(maps, None), maps.mean((2, 3)))

    def test_a_head_with_attention_reads_hidden_states(self) -> None:
        backbone = tiny_bert(seed=0)
        inputs = {"input_ids": torch.tensor([[2, 5, 6, 3]]), "attention_mask": torch.ones(1, 4, dtype=torch.long)}
        model = TunedModel(backbone, build_head(HeadSettings(pooling="attention"), backbone.width, 2, seed=0))
        fresh = model(inputs)
        torch.nn.init.normal_(model.head.pooling.query)  # type: ignore[union-attr, arg-type]
        assert not torch.allclose(model(inputs), fresh)
