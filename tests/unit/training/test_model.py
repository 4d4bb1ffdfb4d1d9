"""Backbone and head together: what trains, and how to get back."""

from collections.abc import Callable

import pytest
import torch

from luthier.errors import SpecError
from luthier.testing.backbones import tiny_backbone
from luthier.training.methods import build_rung
from luthier.training.model import TunedModel
from luthier.training.moving import refuse_unfit

Make = Callable[..., TunedModel]


def jolt(model: TunedModel, boundary: int) -> None:
    """Move everything that trains from a boundary on."""
    with model.tuning(boundary) as trainable, torch.no_grad():
        for parameter in trainable.values():
            parameter.add_(1.0)


def state(model: TunedModel) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_only_what_trains_has_gradients_and_afterwards_nothing(make_model: Make) -> None:
    model = make_model()
    with model.tuning(2) as trainable:
        free = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        assert free == set(trainable)
        assert all(name.startswith(("head.", "backbone.network.encoder.layer.2.")) for name in free)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_restoring_brings_back_every_bit(make_model: Make) -> None:
    """The weights of a rung that was kept where they are given, the pre-trained ones everywhere else."""
    model = make_model()
    pretrained = state(model)
    jolt(model, 2)
    kept = {name: value for name, value in state(model).items() if name in model.touched}
    after_top = state(model)
    jolt(model, 0)
    assert not torch.equal(state(model)["backbone.network.embeddings.word_embeddings.weight"],
                           pretrained["backbone.network.embeddings.word_embeddings.weight"])  # fmt: skip
    model.restore(kept)
    assert all(torch.equal(value, after_top[name]) for name, value in state(model).items())
    model.restore({name: value for name, value in pretrained.items() if name.startswith("head.")})
    assert all(torch.equal(value, pretrained[name]) for name, value in state(model).items())


def test_frozen_parts_stay_in_evaluation_mode(make_model: Make) -> None:
    model = make_model()
    with model.tuning(2):
        model.training_mode()
        assert model.head.training
        assert model.backbone.block(2).training
        assert not model.backbone.block(1).training
    assert not any(module.training for module in model.modules())


@pytest.mark.parametrize("boundary", [0, 2])
def test_bitfit_frees_biases_and_the_head_and_can_be_taken_back(make_model: Make, boundary: int) -> None:
    model = make_model()
    pretrained = state(model)
    with model.tuning(boundary, "biases") as trainable, torch.no_grad():
        assert {name for name, parameter in model.named_parameters() if parameter.requires_grad} == set(trainable)
        inner = {name for name in trainable if name.startswith("backbone.")}
        assert all(name.endswith("bias") for name in inner)
        assert any("LayerNorm" in name for name in inner)
        assert ("backbone.network.embeddings.LayerNorm.bias" in inner) == (boundary == 0)
        assert {name for name in trainable if name.startswith("head.")} == {"head.linear.weight", "head.linear.bias"}
        for parameter in trainable.values():
            parameter.add_(1.0)
    assert set(model.pretrained) == inner
    model.restore({name: value for name, value in pretrained.items() if name.startswith("head.")})
    assert all(torch.equal(value, pretrained[name]) for name, value in state(model).items())


def test_a_model_without_biases_is_refused_before_anything_is_computed() -> None:
    rung = build_rung("bitfit:1", num_blocks=3)
    refuse_unfit(tiny_backbone("bert", seed=0), rung)
    with pytest.raises(SpecError, match="'bitfit:1' trains nothing but biases, and LlamaModel has none there") as caught:
        refuse_unfit(tiny_backbone("llama", seed=0), rung)
    assert caught.value.remedy == "--method top-blocks:1, or --method full"
