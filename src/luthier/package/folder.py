"""What a model folder holds, written and read.

    config.json, model.safetensors     the tuned backbone, as Hugging Face writes it
    head.safetensors                   the head's weights
    processor.json, tokenizer.json     preprocessing
    luthier.json                       task, labels, head, pooling, precision, origin; `format_version`
    README.md                          the model card

Instead of `config.json`, a backbone that no Hugging Face class describes has `backbone.json`, which names the function that
builds it (`module:builder`); it is imported only from packages that the caller allows by name.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from luthier.core.records import from_plain, to_plain
from luthier.core.storage import cannot_write, read_json, write_json
from luthier.errors import ModelError
from luthier.models.backbone import Backbone, wrap_backbone
from luthier.models.heads import LinearHead
from luthier.models.layout import find_layout
from luthier.models.load import choose_attention, load_network
from luthier.models.processors import Processor, TextProcessor, load_processor
from luthier.models.refusal import check_folder
from luthier.tasks.protocol import TaskState
from luthier.training.model import TunedModel

FORMAT_VERSION = 1
DESCRIPTION = "luthier.json"
COMPANIONS = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "merges.txt",
    "vocab.json",
    "preprocessor_config.json",
)


@dataclass(frozen=True, kw_only=True)
class ModelDescription:
    """Content of `luthier.json`.

    Attributes:
        modality: What the model reads: text or image.
        state: Labels and the like.
        head: What builds the head again.
        pooling: How one vector is made of many.
        width: Size of that vector.
        precision: The precision the model was measured in, and is asked in.
        base: Name, revision, digest and licence of the pre-trained model.
        columns: Role -> column, as in training.
    """

    modality: str
    state: TaskState
    head: Mapping[str, Any]
    pooling: str
    width: int
    precision: str
    base: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION


def save_model(
    folder: Path, model: TunedModel, processor: Processor, description: ModelDescription, *, companions: Path | None = None
) -> None:
    """Write a model folder.

    Args:
        folder: Made if absent.
        companions: The folder of the pre-trained model; its tokenizer files go along, so that transformers finds them too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _telling_of_a_full_disk(folder):
        save_network(model.backbone, folder)
        save_file({name: value.contiguous() for name, value in model.head.state_dict().items()}, folder / "head.safetensors")
        if companions is not None:
            for name in COMPANIONS:
                if (companions / name).is_file():
                    shutil.copyfile(companions / name, folder / name)
    for path in folder.glob("*.safetensors"):
        path.chmod(0o644)  # safetensors writes files that nobody else may read
    processor.save(folder)
    write_json(folder / DESCRIPTION, to_plain(description))


@contextmanager
def _telling_of_a_full_disk(folder: Path) -> Iterator[None]:
    """Turn what safetensors raises when it cannot write into the error that names the free space."""
    try:
        yield
    except OSError as error:
        raise cannot_write(folder, error) from error
    except SafetensorError as error:
        reason = str(error).removeprefix("Error while serializing: ").removeprefix("I/O error: ")
        raise cannot_write(folder, OSError(reason)) from error


def save_network(backbone: Backbone, folder: Path) -> None:
    """Write the backbone's weights and what builds it again.

    Raises:
        ModelError: the network is neither a Hugging Face class nor made by a named builder.
    """
    network: Any = backbone.network
    if hasattr(network, "save_pretrained"):
        network.save_pretrained(folder, safe_serialization=True)
    elif backbone.builder:
        save_file({name: value.contiguous() for name, value in network.state_dict().items()}, folder / "model.safetensors")
        write_json(folder / "backbone.json", {"builder": backbone.builder, "width": backbone.width, "schema_version": 1})
    else:
        raise ModelError(
            f"{type(network).__name__} cannot be saved: nothing says how to build it again.",
            remedy='wrap_backbone(network, width=..., builder="yourpackage.module:function")',
        )


def load_folder(
    folder: Path, *, device: str = "cpu", allow: Sequence[str] = ()
) -> tuple[TunedModel, Processor, ModelDescription]:
    """Read a model folder.

    Args:
        device: Where it will run: decides how attention is computed.
        allow: Names of installed packages whose builders may be called, for backbones that are no Hugging Face class.

    Raises:
        ModelError: the folder is missing, refused, damaged, or of a newer format.
    """
    description = read_description(folder)
    processor = load_processor(folder, description.modality)
    longest = processor.max_length if isinstance(processor, TextProcessor) else 1
    backbone = _load_backbone(folder, description, attention=choose_attention(device, longest), allow=allow)
    head = _build_head(description.head)
    try:
        head.load_state_dict(load_file(folder / "head.safetensors"))
    except (OSError, RuntimeError) as error:
        raise ModelError(
            f"{folder / 'head.safetensors'} does not fit its description: {error}", remedy="save the model again"
        ) from error
    return TunedModel(backbone, head), processor, description


def read_description(folder: Path) -> ModelDescription:
    """`luthier.json` of a model folder; a run folder stands for the model in it."""
    path = folder / DESCRIPTION
    if not path.is_file():
        raise ModelError(f"{folder} is no Luthier model: it has no {DESCRIPTION}.", remedy="name the folder `model` of a run")
    content = read_json(path)
    version = content.get("format_version", 0)
    if version > FORMAT_VERSION:
        raise ModelError(
            f"{folder} has format {version}; this version of Luthier reads up to {FORMAT_VERSION}.",
            remedy="pip install --upgrade luthier",
        )
    try:
        return from_plain(ModelDescription, content)
    except ValueError as error:
        raise ModelError(f"{path} is damaged: {error}", remedy="save the model again") from error


def _load_backbone(folder: Path, description: ModelDescription, *, attention: str | None, allow: Sequence[str]) -> Backbone:
    if (folder / "backbone.json").is_file():
        content = read_json(folder / "backbone.json")
        network = _call_builder(str(content["builder"]), allow)()
        network.load_state_dict(load_file(folder / "model.safetensors"))
        return wrap_backbone(network, width=description.width, builder=content["builder"])
    config = check_folder(folder)
    network = load_network(folder, str(config["model_type"]), attention=attention)
    layout = find_layout(network, str(config["model_type"]))
    layout = type(layout)(**{**vars(layout), "pooling": description.pooling})
    return wrap_backbone(network, layout=layout, width=description.width, model_type=str(config["model_type"]))


def _call_builder(builder: str, allow: Sequence[str]) -> Callable[[], nn.Module]:
    module, _, name = builder.partition(":")
    package = module.split(".")[0]
    if package not in allow:
        raise ModelError(
            f"This model is built by {builder}; nothing of it is run unless you allow its package.",
            remedy=f'luthier.load_model(path, allow=["{package}"])',
        )
    function: Callable[[], nn.Module] = getattr(import_module(module), name)
    return function


def _build_head(settings: Mapping[str, Any]) -> LinearHead:
    return LinearHead(
        int(settings["width"]),
        int(settings["num_outputs"]),
        dropout=float(settings["dropout"]),
        seed=0,
        normalize=bool(settings["normalize"]),
    )
