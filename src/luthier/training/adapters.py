"""Adapters: small new weights inside frozen blocks, by peft; put in, taken out again, merged, and saved in peft's own layout.

A network with an adapter in it computes what peft computes. Taken out, it is the plain network again, module for module: the
adapter only wraps layers and changes none of their weights.
"""

import copy
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from luthier.errors import ModelError, SpecError
from luthier.models.backbone import Backbone
from luthier.training.methods.rung import AdapterSettings

NAME = "default"  # peft's own name for the only adapter of a model
WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."  # of weights in peft's files: PeftModel.base_model is the tuner, and its model the network
# Modules that read the weights of their linear layers without calling them, and would pass by an adapter.
OPAQUE = (nn.MultiheadAttention, nn.TransformerEncoderLayer)
KEYS_AND_VALUES = re.compile(
    r"(^|[._])(keys?|values?|k|v|[kv]_?(proj|lin)|(key|value)_proj|c_attn|w?qkv|query_key_value|qkv_proj|in_proj)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Layers of a network that get an adapter, by dotted name.

    Attributes:
        scaled_inputs: Those whose inputs IA3 scales instead of their outputs; empty for other kinds.
    """

    names: tuple[str, ...]
    scaled_inputs: tuple[str, ...] = ()


def find_targets(backbone: Backbone, boundary: int, settings: AdapterSettings) -> Targets:
    """The layers of the blocks from `boundary` on that get an adapter.

    Low-rank adapters: every linear layer of attention and MLP (GPT-2's `Conv1D` too); in blocks without any, every convolution
    that is not grouped. IA3: keys and values, and what enters the layer that makes the MLP narrow again; where no layer is
    named like keys or values, the outputs of every linear layer, or else of every convolution.

    Example:
        >>> from luthier.testing.backbones import tiny_bert
        >>> find_targets(tiny_bert(seed=0), 2, AdapterSettings(kind="ia3")).names[:2]
        ('encoder.layer.2.attention.self.key', 'encoder.layer.2.attention.self.value')
    """
    layers = dict(_layers(backbone, boundary))
    linear = {name: sizes for name, (layer, *sizes) in layers.items() if not isinstance(layer, nn.Conv2d)}
    if settings.kind != "ia3":
        plain = [name for name, (layer, *_) in layers.items() if not isinstance(layer, nn.Conv2d) or layer.groups == 1]
        return Targets(names=tuple(linear or plain))
    named = [name for name in linear if KEYS_AND_VALUES.search(name)]
    if not named:
        return Targets(names=tuple(linear or layers))
    narrowing = tuple(name for name, (inputs, outputs) in linear.items() if inputs > outputs and name not in named)
    return Targets(names=(*named, *narrowing), scaled_inputs=narrowing)


def _layers(backbone: Backbone, boundary: int) -> Iterator[tuple[str, tuple[nn.Module, int, int]]]:
    """Name, layer, number of inputs and outputs of everything in the blocks that an adapter could wrap."""
    from transformers.pytorch_utils import Conv1D

    blocks = backbone.layout.blocks[max(0, boundary) :]
    opaque: tuple[str, ...] = ()
    for name, module in backbone.network.named_modules():
        if not name.startswith(tuple(f"{block}." for block in blocks)) and name not in blocks:
            continue
        if isinstance(module, OPAQUE):
            opaque += (f"{name}.",)
        if name.startswith(opaque or ("\0",)) or ".lora_" in name or ".ia3_" in name:
            continue
        name = name.removesuffix(".base_layer")  # of an adapter that is in the network now
        if isinstance(module, nn.Linear):
            yield name, (module, module.in_features, module.out_features)
        elif isinstance(module, Conv1D):
            yield name, (module, *module.weight.shape)
        elif isinstance(module, nn.Conv2d):
            yield name, (module, module.in_channels, module.out_channels)


def refuse_without_targets(backbone: Backbone, boundary: int, settings: AdapterSettings) -> None:
    """Raise SpecError if nothing in the blocks could get an adapter."""
    if not find_targets(backbone, boundary, settings).names:
        raise SpecError(
            f"The blocks of {type(backbone.network).__name__} hold no layer that '{settings.kind}' could be put on: it needs "
            "linear layers or convolutions that are called one by one.",
            remedy=f"--method top-blocks:{max(1, backbone.num_blocks // 3)}, or --method full",
        )


def count_adapter_weights(backbone: Backbone, boundary: int, settings: AdapterSettings) -> int:
    """How many weights an adapter has, without putting it in."""
    targets, layers = find_targets(backbone, boundary, settings), dict(_layers(backbone, boundary))
    total = 0
    for name in targets.names:
        layer, inputs, outputs = layers[name]
        if settings.kind == "ia3":
            total += inputs if name in targets.scaled_inputs else outputs
            continue
        window = layer.kernel_size[0] * layer.kernel_size[1] if isinstance(layer, nn.Conv2d) else 1
        total += settings.rank * (inputs * window + outputs) + (outputs if settings.kind == "dora" else 0)
    return total


class Adapter:
    """An adapter that is in a network from the moment it is made until `remove`.

    Args:
        backbone: Its network gets the adapter.
        boundary: First block with an adapter.
        settings: Of the adapter.

    Raises:
        SpecError: there is no layer that could get one.
        ModelError: peft put it on other layers than it was told.

    Example:
        >>> from luthier.testing.backbones import tiny_bert
        >>> backbone = tiny_bert(seed=0)
        >>> adapter = Adapter(backbone, 2, AdapterSettings(kind="lora", rank=2))
        >>> sum(parameter.numel() for parameter in adapter.parameters().values())
        448
        >>> adapter.remove()
    """

    def __init__(self, backbone: Backbone, boundary: int, settings: AdapterSettings) -> None:
        refuse_without_targets(backbone, boundary, settings)
        self.boundary, self.settings, self._backbone = boundary, settings, backbone
        targets = find_targets(backbone, boundary, settings)
        with torch.random.fork_rng(devices=[]), _quiet():
            torch.manual_seed(settings.seed)
            self._tuner: Any = _tuner_class(settings)(backbone.network, _config(settings, targets), NAME)
        found = set(self._tuner.targeted_module_names)
        if found != set(targets.names):
            self.remove()
            odd = sorted(found.symmetric_difference(targets.names))[:3]
            raise ModelError(
                f"peft takes other layers than it was told for {type(backbone.network).__name__}: {', '.join(odd)}.",
                remedy="--method top-blocks:K, or names of layers none of which is the end of another",
            )

    def parameters(self) -> dict[str, nn.Parameter]:
        """The adapter's weights, by their name in the network."""
        prefix = str(self._tuner.prefix)
        return {name: item for name, item in self._backbone.network.named_parameters() if f".{prefix}" in f".{name}"}

    def remove(self) -> None:
        """Take it out of the network, which is the plain one again."""
        with _quiet():
            self._tuner.unload()

    def merged(self) -> nn.Module:
        """A copy of the network in which each weight is what it and the adapter come to; the network itself stays as it is."""
        with _quiet(), torch.no_grad():
            return copy.deepcopy(self._tuner).merge_and_unload(safe_merge=True)  # type: ignore[no-any-return]

    def save(self, folder: Path, *, base: str | None) -> None:
        """Write `adapter_config.json` and `adapter_model.safetensors` as peft does.

        Args:
            folder: Made if absent.
            base: Name of the pre-trained model, for whoever loads the adapter.
        """
        from peft import PeftConfig
        from peft.utils.save_and_load import get_peft_model_state_dict
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        config: PeftConfig = copy.deepcopy(self._tuner.peft_config[NAME])
        config.base_model_name_or_path, config.inference_mode = base, True
        with _quiet():
            own = {name: value.detach() for name, value in self.parameters().items()}
            tensors: Mapping[str, Tensor] = get_peft_model_state_dict(
                self._backbone.network, state_dict=own, adapter_name=NAME, save_embedding_layers=False
            )
            config.save_pretrained(str(folder))
        named = {f"{PREFIX}{name}": value.contiguous() for name, value in tensors.items()}
        save_file(named, folder / WEIGHTS, metadata={"format": "pt"})


def _tuner_class(settings: AdapterSettings) -> Any:
    from peft import IA3Model, LoraModel

    return IA3Model if settings.kind == "ia3" else LoraModel


def _config(settings: AdapterSettings, targets: Targets) -> Any:
    from peft import IA3Config, LoraConfig

    if settings.kind == "ia3":
        return IA3Config(target_modules=list(targets.names), feedforward_modules=list(targets.scaled_inputs))
    return LoraConfig(
        r=settings.rank,
        lora_alpha=2 * settings.rank if settings.alpha is None else settings.alpha,  # type: ignore[arg-type]
        lora_dropout=settings.dropout,
        use_dora=settings.kind == "dora",
        target_modules=list(targets.names),
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """peft warns of what it sets right by itself, such as the transposed weights of GPT-2."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
