"""What a model folder holds, written and read.

    config.json, model.safetensors     the tuned backbone, as Hugging Face writes it
    head.safetensors                   the head's weights; none where the network has its own
    generation_config.json             of a model that writes its answers how it does so
    adapter/                           of a model tuned with one, which is merged into the weights above; as peft writes it
    processor.json, tokenizer.json     preprocessing; of a table how each column is read
    texts/, images/                    of a table with texts or pictures the frozen models that read them
    modules.json, 1_Pooling/, ...      of a model that gives vectors: as sentence-transformers reads it
    luthier.json                       task, labels, head, pooling, precision, origin; `format_version`
    README.md                          the model card

Instead of `config.json`, a backbone that no Hugging Face class describes has `backbone.json`, which names the function that
builds it (`module:builder`); it is imported only from packages that the caller allows by name.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file

from luthier.core.records import from_plain, to_plain
from luthier.core.storage import atomic_folder, write_json
from luthier.errors import ModelError
from luthier.features.table_readers import with_readers
from luthier.models.backbone import Backbone, wrap_backbone
from luthier.models.heads import head_from
from luthier.models.layout import find_layout
from luthier.models.levels import reading_levels
from luthier.models.load import choose_attention, load_network
from luthier.models.own import OWN, WEIGHTS, find_builder, load_own, load_weights, package_of, save_own
from luthier.models.processors import Processor, TableProcessor, TextProcessor, load_processor
from luthier.models.refusal import MAX_CONFIG_BYTES, PICKLE_SUFFIXES, check_folder
from luthier.models.strict_json import read_strict_json
from luthier.package.sentence_folder import write_sentence_layout
from luthier.tasks import TASKS
from luthier.tasks.protocol import TaskState
from luthier.training.model import TunedModel

FORMAT_VERSION = 1
DESCRIPTION = "luthier.json"
HEAD = "head.safetensors"
ADAPTER = "adapter"
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
        modality: What the model reads: text, image, audio or table.
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
    """Write a model folder, whole or not at all.

    Args:
        folder: Replaced if there is one.
        companions: The folder of the pre-trained model; its tokenizer files go along, so that transformers finds them too.

    Raises:
        ModelError: the network could not be built again.
        ResourceError: the disk is full or cannot be written to.
    """
    with atomic_folder(folder) as temporary, _as_os_errors():
        save_network(model.backbone, temporary, network=model.adapter.merged() if model.adapter else None)
        if model.adapter is not None:
            model.adapter.save(temporary / ADAPTER, base=_name_of_base(description))
        write_sentence_layout(temporary, model, processor, pooling=description.pooling)
        head = {name: value.contiguous() for name, value in model.head.state_dict().items()}
        save_file(head, temporary / HEAD)
        for path in temporary.rglob("*.safetensors"):
            path.chmod(0o644)  # safetensors writes files that nobody else may read
        for name in COMPANIONS:
            if companions is not None and (companions / name).is_file():
                shutil.copyfile(companions / name, temporary / name)
        processor.save(temporary)
        write_description(temporary, description)


def write_description(folder: Path, description: ModelDescription) -> None:
    """Say something else of a model that was saved."""
    write_json(folder / DESCRIPTION, to_plain(description))


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """What safetensors raises when it cannot write is an error of the system like any other."""
    try:
        yield
    except SafetensorError as error:
        raise OSError(str(error).removeprefix("Error while serializing: ").removeprefix("I/O error: ")) from error


def refuse_unsavable(backbone: Backbone) -> None:
    """Raise ModelError for a network that nothing could build again: better before the training than after it."""
    if not hasattr(backbone.network, "save_pretrained") and not backbone.builder:
        raise ModelError(
            f"{type(backbone.network).__name__} could not be saved: nothing says how to build it again.",
            remedy='wrap_backbone(network, width=..., builder="yourpackage.module:function")',
        )
    if backbone.builder:
        find_builder(backbone.builder, [package_of(backbone.builder)])


def save_network(backbone: Backbone, folder: Path, *, network: Any = None) -> None:
    """Write the backbone's weights and what builds it again.

    Args:
        network: To be written instead of the backbone's own: the one with the adapter merged.

    Raises:
        ModelError: the network is neither a Hugging Face class nor made by a named builder.
    """
    refuse_unsavable(backbone)
    network = backbone.network if network is None else network
    if backbone.builder:
        save_own(backbone, folder, network=network)
    else:
        network.save_pretrained(folder, safe_serialization=True)


def _name_of_base(description: ModelDescription) -> str | None:
    """What peft looks for when nobody hands it the pre-trained model."""
    name = description.base.get("hub_id") or description.base.get("name")
    return None if name is None else str(name)


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
    if isinstance(processor, TableProcessor):
        processor = with_readers(processor, device=device)
    longest = processor.max_length if isinstance(processor, TextProcessor) else 1
    backbone = _load_backbone(folder, description, attention=choose_attention(device, longest), allow=allow)
    head = head_from(description.head)
    load_weights(head, folder / HEAD)
    if levels := getattr(head, "levels", ()):
        backbone = reading_levels(backbone, levels)
    return TunedModel(backbone, head), processor, description


def read_description(folder: Path) -> ModelDescription:
    """`luthier.json` of a model folder; a run folder stands for the model in it."""
    path = folder / DESCRIPTION
    if not path.is_file():
        raise ModelError(
            f"{folder} is no Luthier model: it has no {DESCRIPTION}.", remedy="name a run folder, or the folder `model` in it"
        )
    content = read_strict_json(path, max_bytes=MAX_CONFIG_BYTES)
    version = content.get("format_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise ModelError(
            f"{folder} has format {version}; this version of Luthier reads up to {FORMAT_VERSION}.",
            remedy="pip install --upgrade luthier",
        )
    try:
        return from_plain(ModelDescription, content)
    except ValueError as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"{path} is damaged: {reason}.", remedy="copy the model folder again") from error


def _load_backbone(folder: Path, description: ModelDescription, *, attention: str | None, allow: Sequence[str]) -> Backbone:
    if (folder / OWN).is_file():
        return load_own(folder, allow=allow)
    if not (folder / WEIGHTS).is_file() and not (folder / f"{WEIGHTS}.index.json").is_file():
        found = [path.name for path in sorted(folder.glob("*")) if path.suffix in PICKLE_SUFFIXES]
        instead = f"; {', '.join(found)} can run code when it is read, and is not" if found else ""
        raise ModelError(f"{folder} has no weights ({WEIGHTS}){instead}.", remedy="copy the model folder again")
    config = check_folder(folder)
    kind = TASKS[description.state.task].network
    network = load_network(folder, str(config["model_type"]), attention=attention, kind=kind)
    layout = find_layout(network, str(config["model_type"]))
    layout = type(layout)(**{**vars(layout), "pooling": description.pooling})
    return wrap_backbone(network, layout=layout, width=description.width, model_type=str(config["model_type"]))
