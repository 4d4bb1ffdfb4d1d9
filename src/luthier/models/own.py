"""Networks that no Hugging Face class describes: `backbone.json` names what builds them again.

Luthier's own builders are listed here and need no permission; every other is imported only from a package that the caller
allows by name.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from luthier.core.records import from_plain
from luthier.core.storage import write_json
from luthier.errors import ModelError
from luthier.models.backbone import Backbone, wrap_backbone
from luthier.models.layout import Layout
from luthier.models.refusal import MAX_CONFIG_BYTES
from luthier.models.strict_json import read_strict_json

OWN = "backbone.json"
WEIGHTS = "model.safetensors"
LUTHIERS = frozenset({"luthier.models.table_network:build_table_network"})


def save_own(backbone: Backbone, folder: Path, *, network: Any = None) -> None:
    """Write the weights, and what builds the network again.

    Args:
        network: To be written instead of the backbone's own: the one with the adapter merged.
    """
    network = backbone.network if network is None else network
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, folder / WEIGHTS)
    content = {
        "builder": backbone.builder,
        "settings": dict(backbone.builder_settings),
        "width": backbone.width,
        "layout": backbone.layout,
        "model_type": backbone.model_type,
        "schema_version": 1,
    }
    write_json(folder / OWN, content)


def load_own(folder: Path, *, allow: Sequence[str] = ()) -> Backbone:
    """The backbone of a folder that `save_own` wrote.

    Raises:
        ModelError: the folder is damaged, or its builder is not allowed.
    """
    content = read_strict_json(folder / OWN, max_bytes=MAX_CONFIG_BYTES)
    try:
        builder, layout = str(content["builder"]), from_plain(Layout, content["layout"])
        width, settings = int(content["width"]), dict(content.get("settings", {}))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{folder / OWN} is damaged: {error}.", remedy="copy the model folder again") from error
    network = _built(folder, builder, settings, allow)
    load_weights(network, folder / WEIGHTS)
    model_type = str(content.get("model_type", ""))
    backbone = wrap_backbone(network, layout=layout, width=width, model_type=model_type, builder=builder)
    backbone.builder_settings = settings
    return backbone


def _built(folder: Path, builder: str, settings: Mapping[str, Any], allow: Sequence[str]) -> nn.Module:
    function = find_builder(builder, allow)
    try:
        return function(**settings)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{folder / OWN} is damaged: {builder} does not take {dict(settings)} ({error}).",
            remedy="copy the model folder again",
        ) from error


def load_weights(module: nn.Module, path: Path) -> None:
    """Read a module's weights from a safetensors file of a model folder.

    Raises:
        ModelError: the file is missing or damaged, or holds other weights than the module has.
    """
    if not path.is_file():
        raise ModelError(f"{path.parent} lacks {path.name}: it is not whole.", remedy="copy the model folder again")
    try:
        module.load_state_dict(load_file(path))
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{path} does not fit its description: {reason}.", remedy="copy the model folder again") from error


def package_of(builder: str) -> str:
    """The package of a builder.

    Example:
        >>> package_of("mine.networks:build")
        'mine'
    """
    return builder.partition(":")[0].split(".")[0]


def find_builder(builder: str, allow: Sequence[str]) -> Callable[..., nn.Module]:
    """The function that a builder names.

    Raises:
        ModelError: its package is not allowed, or holds no such function.
    """
    module, _, name = builder.partition(":")
    package = package_of(builder)
    if builder not in LUTHIERS and package not in allow:
        raise ModelError(
            f"This model is built by {builder}; nothing of it is run unless you allow its package.",
            remedy=f'luthier.load_model(path, allow=["{package}"])',
        )
    try:
        function: Callable[..., nn.Module] = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ModelError(f"{builder} cannot be called: {error}.", remedy="install the package that holds it") from error
    return function
