"""Networks cut down to their first blocks."""

from pathlib import Path

import pytest
import torch
from torch import nn

from luthier.errors import ModelError, SpecError
from luthier.models.backbone import wrap_backbone
from luthier.models.load import load_network
from luthier.models.truncate import truncate
from luthier.testing.backbones import FAMILIES, example_inputs, tiny_backbone, tiny_bert

STAGED = ("swin", "resnet", "mobilenet_v2", "convnext")


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in STAGED])
@pytest.mark.parametrize("keep", [1, 2])
def test_the_first_blocks_compute_what_they_did_before(family: str, keep: int, tmp_path: Path) -> None:
    """What leaves the last block that is kept is what entered the next one; and the shorter network survives the disk."""
    inputs = example_inputs(family, seed=1)
    whole = tiny_backbone(family, seed=0)
    expected = whole.activations(inputs, [keep])[keep]
    shorter = truncate(tiny_backbone(family, seed=0), keep)
    assert shorter.num_blocks == keep
    found: list[torch.Tensor] = []
    shorter.block(-1).register_forward_hook(lambda module, args, output: found.append(output))
    state = shorter(inputs)
    left = found[0] if isinstance(found[0], torch.Tensor) else found[0][0]
    left = state.hidden if family == "deberta-v2" else left  # whose convolution stands behind the first block
    torch.testing.assert_close(left, expected)
    if family != "whisper":  # an encoder alone is no folder that AutoModel reads
        shorter.network.save_pretrained(tmp_path)  # type: ignore[operator]
        again = load_network(tmp_path, shorter.model_type)
        assert again.config.num_hidden_layers == keep  # type: ignore[union-attr]
        torch.testing.assert_close(again(**inputs).last_hidden_state, state.hidden)


@pytest.mark.parametrize("family", STAGED)
def test_networks_in_stages_are_refused(family: str) -> None:
    with pytest.raises(ModelError, match="cannot be cut down to its first blocks") as caught:
        truncate(tiny_backbone(family, seed=0), 2)
    assert "leave --keep-blocks out" in caught.value.remedy


def test_a_network_that_a_function_builds_is_refused() -> None:
    network = nn.Sequential(nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)]))
    with pytest.raises(ModelError, match="nothing in its configuration counts them"):
        truncate(wrap_backbone(network, width=4, builder="mine:build"), 1)


def test_more_blocks_than_there_are_cannot_be_kept() -> None:
    with pytest.raises(SpecError, match="The model has 3 blocks; 99 of them cannot be kept") as caught:
        truncate(tiny_bert(seed=0), 99)
    assert caught.value.remedy == "--keep-blocks 1, or leave --keep-blocks out"


def test_all_blocks_are_the_whole_network() -> None:
    backbone = tiny_bert(seed=0)
    assert truncate(backbone, 3) is backbone
