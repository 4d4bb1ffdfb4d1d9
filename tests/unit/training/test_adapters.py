"""Adapters: what they wrap, that they come out without a trace, and that files of theirs are peft's."""

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from luthier.errors import SpecError
from luthier.models.backbone import Backbone, wrap_backbone
from luthier.testing.backbones import FAMILIES, example_inputs, tiny_backbone
from luthier.training.adapters import Adapter, count_adapter_weights, find_targets
from luthier.training.methods import build_rung
from luthier.training.methods.rung import AdapterSettings
from luthier.training.model import TunedModel
from luthier.training.moving import count_moving, refuse_unfit

Make = Callable[..., TunedModel]
LORA, DORA, IA3 = (
    AdapterSettings(kind="lora", rank=2, seed=1),
    AdapterSettings(kind="dora", rank=2, seed=1),
    AdapterSettings(kind="ia3"),
)
KINDS = pytest.mark.parametrize("settings", [LORA, DORA, IA3], ids=["lora", "dora", "ia3"])


def shake(adapter: Adapter) -> None:
    """Move every weight of an adapter; as it is made, it changes nothing."""
    generator = torch.Generator().manual_seed(0)
    for parameter in adapter.parameters().values():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)


@torch.no_grad()
def pooled(backbone: Backbone, family: str) -> Tensor:
    return backbone.pool(backbone(example_inputs(family, seed=1)))


@pytest.mark.parametrize("family", FAMILIES)
def test_it_goes_into_every_family_and_comes_out_without_a_trace(family: str) -> None:
    backbone = tiny_backbone(family, seed=0)
    for settings in (LORA, DORA, IA3):
        check_without_a_trace(backbone, family, settings)


def check_without_a_trace(backbone: Backbone, family: str, settings: AdapterSettings) -> None:
    boundary = backbone.num_blocks - 1
    modules = {name: id(module) for name, module in backbone.network.named_modules()}
    weights = {name: value.clone() for name, value in backbone.network.state_dict().items()}
    plain, expected = pooled(backbone, family), count_adapter_weights(backbone, boundary, settings)

    adapter = Adapter(backbone, boundary, settings)
    parameters = adapter.parameters()
    assert sum(item.numel() for item in parameters.values()) == expected == count_adapter_weights(backbone, boundary, settings)
    assert all(name.startswith(f"{backbone.layout.blocks[-1]}.") for name in parameters)
    torch.testing.assert_close(pooled(backbone, family), plain, rtol=1e-4, atol=1e-4)  # DoRA divides by a norm and multiplies
    shake(adapter)
    assert not torch.allclose(pooled(backbone, family), plain, rtol=1e-4, atol=1e-4)

    adapter.remove()
    assert {name: id(module) for name, module in backbone.network.named_modules()} == modules
    assert backbone.network.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[name]) for name, value in backbone.network.state_dict().items())
    assert not hasattr(backbone.network, "peft_config")
    assert torch.equal(pooled(backbone, family), plain)


@KINDS
@pytest.mark.parametrize("family", ["bert", "gpt2", "t5", "convnext", "resnet"])
def test_merged_weights_compute_the_same_and_so_does_peft_with_the_saved_adapter(
    family: str, settings: AdapterSettings, tmp_path: Path
) -> None:
    """peft itself is the oracle: what it loads from the folder onto the pre-trained network, and what it merges."""
    from peft import PeftModel

    backbone = tiny_backbone(family, seed=0)
    pretrained = copy.deepcopy(backbone.network)
    adapter = Adapter(backbone, 1, settings)
    shake(adapter)
    expected = pooled(backbone, family)
    adapter.save(tmp_path, base="org/name")
    assert {path.name for path in tmp_path.iterdir()} >= {"adapter_config.json", "adapter_model.safetensors"}

    backbone.network = adapter.merged()
    torch.testing.assert_close(pooled(backbone, family), expected, rtol=1e-5, atol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft asks transformers for names that are deprecated
        theirs = PeftModel.from_pretrained(pretrained, str(tmp_path))
    assert theirs.peft_config["default"].base_model_name_or_path == "org/name"
    backbone.network = theirs
    torch.testing.assert_close(pooled(backbone, family), expected, rtol=1e-6, atol=1e-6)
    backbone.network = theirs.merge_and_unload()
    torch.testing.assert_close(pooled(backbone, family), expected, rtol=1e-5, atol=1e-5)


def test_merging_leaves_the_network_as_it_is() -> None:
    backbone = tiny_backbone("bert", seed=0)
    adapter = Adapter(backbone, 0, LORA)
    shake(adapter)
    before = {name: value.clone() for name, value in backbone.network.state_dict().items()}
    adapter.merged()
    after = backbone.network.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in after.items())


def test_lora_wraps_every_linear_layer_of_the_last_blocks_and_ia3_keys_values_and_the_inner_width() -> None:
    bert, inside = tiny_backbone("bert", seed=0), "encoder.layer.2."
    names = ("query", "key", "value")
    attention = {f"{inside}attention.self.{name}" for name in names}
    mlp = {f"{inside}intermediate.dense", f"{inside}output.dense"}
    assert set(find_targets(bert, 2, LORA).names) == attention | mlp | {f"{inside}attention.output.dense"}
    found = find_targets(bert, 2, IA3)
    assert set(found.names) == {f"{inside}attention.self.key", f"{inside}attention.self.value", f"{inside}output.dense"}
    assert found.scaled_inputs == (f"{inside}output.dense",)
    assert set(find_targets(tiny_backbone("gpt2", seed=0), 2, IA3).names) == {"h.2.attn.c_attn", "h.2.mlp.c_proj"}
    assert all("convolution" in name for name in find_targets(tiny_backbone("resnet", seed=0), 2, LORA).names)


def test_the_number_of_weights_is_that_of_the_paper() -> None:
    """Rank times (inputs + outputs) of each layer: BERT has four of D by D, one of D by F and one of F by D in each block."""
    rung = build_rung("lora:2:1", num_blocks=3)
    assert count_moving(tiny_backbone("bert", seed=0), rung) == 2 * (4 * (16 + 16) + 2 * (16 + 32))
    assert count_moving(tiny_backbone("bert", seed=0), build_rung("ia3:1", num_blocks=3)) == 16 + 16 + 32


class Opaque(nn.Module):
    """Blocks that read the weights of their layers without calling them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.TransformerEncoderLayer(16, 2, 32, batch_first=True) for _ in range(2)])


def test_layers_that_are_never_called_get_no_adapter() -> None:
    """PyTorch's own encoder layer computes with its weights in evaluation mode, and an adapter on them would be passed by."""
    backbone = wrap_backbone(Opaque(), width=16)
    for method, kind in (("lora:2", "lora"), ("ia3:1", "ia3")):
        with pytest.raises(SpecError, match=f"no layer that '{kind}' could be put on") as caught:
            refuse_unfit(backbone, build_rung(method, num_blocks=2))
        assert caught.value.remedy == "--method top-blocks:1, or --method full"


def test_equal_seeds_give_equal_adapters_and_leave_the_generator_alone() -> None:
    found = []
    for seed in (1, 1, 2):
        backbone, state = tiny_backbone("bert", seed=0), torch.get_rng_state()
        parameters = Adapter(backbone, 1, AdapterSettings(kind="lora", rank=2, seed=seed)).parameters()
        assert torch.equal(torch.get_rng_state(), state)
        found.append({name: item.detach() for name, item in parameters.items()})
    assert same(found[0], found[1])
    assert not same(found[0], found[2])


def test_alpha_is_the_strength_and_twice_the_rank_by_default() -> None:
    outputs: dict[float | None, Tensor] = {}
    for alpha in (None, 4.0, 1e-9):
        backbone = tiny_backbone("bert", seed=0)
        shake(Adapter(backbone, 1, AdapterSettings(kind="lora", rank=2, alpha=alpha, seed=1)))
        outputs[alpha] = pooled(backbone, "bert")
    assert torch.equal(outputs[None], outputs[4.0])
    torch.testing.assert_close(outputs[1e-9], pooled(tiny_backbone("bert", seed=0), "bert"))


def state(model: TunedModel) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(value, b[name]) for name, value in a.items())


def jolt(model: TunedModel, boundary: int, moves: Any) -> None:
    with model.tuning(boundary, moves) as trainable, torch.no_grad():
        for parameter in trainable.values():
            parameter.add_(0.5)


@KINDS
def test_only_the_adapter_and_the_head_train(make_model: Make, settings: AdapterSettings) -> None:
    model = make_model()
    with model.tuning(1, settings) as trainable:
        free = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        assert free == set(trainable)
        assert model.adapter is not None
        inner = {f"backbone.network.{name}" for name in model.adapter.parameters()}
        assert free == inner | {"head.linear.weight", "head.linear.bias"}
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert model.pretrained == {}


def test_rungs_of_every_kind_follow_each_other_without_a_trace(make_model: Make) -> None:
    """Whatever has trained before, what is restored is that rung to the bit, and a rung begins where it always begins."""
    model = make_model()
    start = {name: value for name, value in state(model).items() if name.startswith("head.")}
    rungs: list[tuple[int, Any]] = [(1, LORA), (2, "all"), (2, DORA), (0, "biases"), (1, IA3), (0, "all"), (2, LORA)]
    kept = []
    for boundary, moves in rungs:
        fresh = make_model()
        model.restore(start)
        assert same(state(model), state(fresh))
        jolt(model, boundary, moves)
        jolt(fresh, boundary, moves)
        assert same(state(model), state(fresh))
        kept.append((boundary, moves, model.changed(), state(model)))
    for boundary, moves, weights, whole in [*kept[::-1], *kept]:
        model.restore(weights, boundary=boundary, moves=moves)
        assert same(state(model), whole)
    assert sum(value.numel() for value in kept[0][2].values()) < 0.5 * sum(value.numel() for value in kept[5][2].values())


def test_tuning_again_with_the_same_adapter_goes_on_with_it(make_model: Make) -> None:
    model = make_model()
    jolt(model, 1, LORA)
    after = state(model)
    with model.tuning(1, LORA):
        assert same(state(model), after)
    with model.tuning(2, LORA):
        assert not same(state(model), after)


def test_dropout_is_on_in_blocks_with_an_adapter_and_off_in_what_is_frozen(make_model: Make) -> None:
    model = make_model()
    for boundary in (0, 2):
        with model.tuning(boundary, LORA):
            model.training_mode()
            assert model.backbone.block(2).training
            assert model.backbone.block(1).training == (boundary == 0)
            stem = model.backbone.network.get_submodule("embeddings")
            assert not any(module.training for module in stem.modules())
    with model.tuning(0, "all"):
        model.training_mode()
        assert model.backbone.network.get_submodule("embeddings").training
