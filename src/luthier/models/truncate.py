"""A network cut down to its first blocks: what stands before them and after them (embeddings, the last norm) stays.

Use when: the whole network is too slow or too large where it will be used; lower blocks of language models hold most of what
simple classification needs.
Cost: none at training; quality falls with every block that goes, and the last norm meets states it was not trained on.
Suggested values: half to two thirds of the blocks; compare with `--method top-blocks` of the whole network.
Source: Sajjad et al. 2023, "On the effect of dropping layers of pre-trained transformer models".
"""

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from luthier.errors import ModelError, SpecError
from luthier.models.backbone import Backbone, wrap_backbone

COUNT = "num_hidden_layers"  # what transformers maps to each family's own word for it


def truncate(backbone: Backbone, keep: int) -> Backbone:
    """The backbone with its first `keep` blocks, described by its own configuration, so that it saves and loads as any other.

    Args:
        backbone: Its network is cut in place.
        keep: From 1 to the number of its blocks; all changes nothing.

    Raises:
        SpecError: it has fewer blocks.
        ModelError: nothing could build the shorter network again.

    Example:
        >>> from luthier.testing.backbones import tiny_bert
        >>> shorter = truncate(tiny_bert(seed=0), 2)
        >>> shorter.num_blocks, shorter.network.config.num_hidden_layers
        (2, 2)
    """
    if not 1 <= keep <= backbone.num_blocks:
        raise SpecError(
            f"The model has {backbone.num_blocks} blocks; {keep} of them cannot be kept.",
            remedy=f"--keep-blocks {max(1, backbone.num_blocks // 2)}, or leave --keep-blocks out",
        )
    if keep == backbone.num_blocks:
        return backbone
    network: Any = backbone.network
    config = _shorter_config(backbone, keep)
    parent, _, _ = backbone.layout.blocks[0].rpartition(".")
    _refuse_others(backbone, network, config, parent, keep)
    blocks = network.get_submodule(parent)
    del blocks[keep:]
    network.config = config
    for module in network.modules():
        if getattr(module, "config", None) is not None:
            module.config = config
    layout = replace(backbone.layout, blocks=backbone.layout.blocks[:keep])
    return wrap_backbone(network, width=backbone.width, layout=layout, model_type=backbone.model_type)


def _shorter_config(backbone: Backbone, keep: int) -> Any:
    """A copy of the network's configuration that counts `keep` blocks; what it lists for each block is cut alike."""
    config = copy.deepcopy(getattr(backbone.network, "config", None))
    if config is None or backbone.builder or getattr(config, COUNT, None) != backbone.num_blocks:
        raise _cannot(backbone, "nothing in its configuration counts them")
    for name, value in vars(config).items():
        if isinstance(value, list) and len(value) == backbone.num_blocks and "layer" in name:
            setattr(config, name, value[:keep])
    setattr(config, COUNT, keep)
    return config


def _refuse_others(backbone: Backbone, network: nn.Module, config: Any, parent: str, keep: int) -> None:
    """Refuse a network whose configuration, shortened, builds something else than the network, shortened."""
    if not isinstance(network.get_submodule(parent), nn.ModuleList):
        raise _cannot(backbone, "its blocks are no list")
    last, new_last = (
        {name: item.shape for name, item in backbone.block(place).state_dict().items()} for place in (-1, keep - 1)
    )
    if any(last.get(name, shape) != shape for name, shape in new_last.items()):
        raise _cannot(backbone, f"block {keep} gives something else than the last one")
    gone = tuple(f"{name}." for name in backbone.layout.blocks[keep:])
    expected = {name: value.shape for name, value in network.state_dict().items() if not name.startswith(gone)}
    try:
        with torch.device("meta"):
            built = type(network)(config)
    except (TypeError, ValueError, IndexError, KeyError, AttributeError, RuntimeError) as error:
        raise _cannot(backbone, f"with {keep} its class refuses the configuration") from error
    found = {name: value.shape for name, value in built.state_dict().items() if not name.startswith("pooler.")}
    if found != expected:
        raise _cannot(backbone, f"with {keep} its class builds another network")


def _cannot(backbone: Backbone, why: str) -> ModelError:
    kind = type(backbone.network).__name__
    return ModelError(
        f"{kind} cannot be cut down to its first blocks: {why} (networks in stages, such as convolutional ones, cannot).",
        remedy="leave --keep-blocks out, or choose a smaller model: luthier models",
    )
