"""Where the blocks of a network are: what comes before them, what comes after, what they share.

A layout is found by looking at the module tree: the longest list of modules of one class holds the blocks; what is
registered before it is the stem, what is registered after it the tail. `EXCEPTIONS` names the families where the order
of registration tells less than the whole truth. A layout is only trusted after `Backbone.rehearse` has replayed it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import nn

from luthier.errors import ModelError

Pooling = Literal["mean", "first", "last", "max", "model"]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Dotted module names, in order of execution.

    Attributes:
        stem: Modules that run before the first block; a stored run skips them.
        blocks: The blocks.
        tail: Modules with weights that run after the last block; they train whenever a block trains.
        shared: Modules with weights that several blocks use; they train only when every block trains.
        channels_first: Stem modules whose output has time on the last axis while the blocks have it on the second.
        position_bias: Whether the first block makes the position bias that the others add (T5).
        pooling: How one vector is made of the last hidden states: `mean` or `max` over valid tokens, `first` or `last` valid
            token, or `model`: the network's own `pooler_output`.
        encoder: Of an encoder-decoder, whose blocks are the encoder's and then the decoder's: the module of the encoder.
        middle: Modules with weights between the encoder's last block and the decoder's first; they train whenever a block of
            the encoder does.
        last_start: The last block that a run can start from; None: any. What is frozen above it is computed anew. Of an
            encoder-decoder it is the decoder's first, which starts from what the encoder gives.
        levels: Boundaries at which maps are handed over beside the last hidden states, for heads that stand on several; the
            number of blocks is what leaves the last one.
    """

    stem: tuple[str, ...]
    blocks: tuple[str, ...]
    tail: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    channels_first: tuple[str, ...] = ()
    position_bias: bool = False
    pooling: Pooling = "mean"
    encoder: str = ""
    middle: tuple[str, ...] = ()
    last_start: int | None = None
    levels: tuple[int, ...] = ()


# T5 has one dropout that it uses before the first block and after the last one: it must stay off while the stem is frozen.
T5: Mapping[str, object] = {
    "position_bias": True,
    "stem": ("encoder.embed_tokens",),
    "tail": ("encoder.final_layer_norm",),
}
EXCEPTIONS: Mapping[str, Mapping[str, object]] = {
    "deberta": {"shared": ("encoder.rel_embeddings", "encoder.LayerNorm"), "tail": ()},
    # The convolution of version 2 stands between blocks 0 and 1: no run from the store needs it.
    "deberta-v2": {
        "shared": ("encoder.rel_embeddings", "encoder.LayerNorm"),
        "stem": ("embeddings", "encoder.conv"),
        "tail": (),
    },
    "t5": T5,
    "mt5": T5,
    "gpt2": {"pooling": "last"},
    "gpt_neox": {"pooling": "last"},
    "llama": {"pooling": "last"},
    "mistral": {"pooling": "last"},
    "qwen2": {"pooling": "last"},
    "qwen3": {"pooling": "last"},
    "gemma": {"pooling": "last"},
    "gemma2": {"pooling": "last"},
    "vit": {"pooling": "first"},
    "deit": {"pooling": "first"},
    "dinov2": {"pooling": "first"},
    "beit": {"pooling": "model"},
    "swin": {"pooling": "model"},
    "swinv2": {"pooling": "model"},
    "resnet": {"pooling": "model", "blocks": "encoder.stages.*.layers.*"},
    "regnet": {"pooling": "model"},
    "convnext": {"pooling": "model"},
    "convnextv2": {"pooling": "model"},
    "mobilenet_v1": {"pooling": "model"},
    "mobilenet_v2": {"pooling": "model"},
    "efficientnet": {"pooling": "model"},
    "wav2vec2": {"channels_first": ("feature_extractor",)},
    "hubert": {"channels_first": ("feature_extractor",)},
    "wavlm": {"channels_first": ("feature_extractor",)},
    "whisper": {"channels_first": ("conv1", "conv2")},
    "audio-spectrogram-transformer": {"pooling": "model"},
    # Mid-way positions are added between blocks, below and above the first that trains: they train when every block does.
    "yolos": {"tail": ("layernorm",)},
    # The blocks are the encoder's; whatever trains, the decoder and its queries do.
    "detr": {"blocks": "encoder.layers.*", "stem": ("backbone",), "tail": ("query_position_embeddings", "decoder")},
}
RUN_EARLY = ("layernorm_embedding",)  # registered after the blocks of BART's relatives, and run before them
STABLE_NORM = ("wav2vec2", "hubert", "wavlm")


def find_layout(model: nn.Module, model_type: str = "") -> Layout:
    """The layout of a network.

    Args:
        model: Any module that holds its blocks in a `ModuleList` or `Sequential`.
        model_type: The family's name in its `config.json`, for the exceptions.

    Raises:
        ModelError: there is no list of blocks.

    Example:
        >>> net = nn.Sequential()
        >>> net.add_module("embed", nn.Embedding(9, 4))
        >>> net.add_module("layers", nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)]))
        >>> find_layout(net).blocks
        ('layers.0', 'layers.1')
    """
    if "blocks" not in EXCEPTIONS.get(model_type, {}) and (encoder := _encoder_of(model)):
        return _two_rows(model, encoder, model_type)
    exception = dict(EXCEPTIONS.get(model_type, {}))
    pattern = exception.pop("blocks", None)
    blocks = _expand(model, str(pattern)) if pattern else _longest_list(model)
    if not blocks:
        raise ModelError(
            f"{type(model).__name__} has no list of blocks (a ModuleList of at least two modules of one class).",
            remedy="wrap_backbone(module, layout=Layout(stem=(...), blocks=(...)))",
        )
    stem, tail = _around(model, blocks)
    if model_type in STABLE_NORM and getattr(getattr(model, "config", None), "do_stable_layer_norm", False):
        stem, tail = tuple(name for name in stem if name != "encoder.layer_norm"), ("encoder.layer_norm", *tail)
    found: dict[str, object] = {"stem": stem, "blocks": blocks, "tail": tail, **exception}
    existing = {name for name, _ in model.named_modules()}
    for key in ("stem", "tail", "shared", "channels_first"):
        names = found.get(key, ())
        assert isinstance(names, tuple)
        found[key] = tuple(name for name in names if name in existing)
    return Layout(**found)  # type: ignore[arg-type]


def _encoder_of(model: nn.Module) -> str:
    """The way to the encoder of a network that has an encoder and a decoder, and is one; else nothing."""
    is_both = getattr(getattr(model, "config", None), "is_encoder_decoder", False)
    paths = [name for name, _ in model.named_modules() if name.rpartition(".")[2] == "encoder"]
    return next((path for path in paths if _sibling(path, "decoder") in dict(model.named_modules())), "") if is_both else ""


def _sibling(path: str, name: str) -> str:
    return f"{path.rpartition('.')[0]}.{name}".lstrip(".")


def _two_rows(model: nn.Module, encoder: str, model_type: str) -> Layout:
    """The layout of an encoder-decoder: the encoder's blocks, then the decoder's, with what stands between and around them."""
    decoder = _sibling(encoder, "decoder")
    first, second = (_parts_of(model, path) for path in (encoder, decoder))
    before, after = (_siblings(model, path, before=path == encoder) for path in (encoder, decoder))
    exception = EXCEPTIONS.get(model_type, {})
    wanted = exception.get("channels_first", ())
    assert isinstance(wanted, tuple)
    return Layout(
        stem=(*(name for name in before if not isinstance(model.get_submodule(name), nn.Embedding)), *first[0]),
        blocks=(*first[1], *second[1]),
        middle=(*first[2], *second[0]),
        tail=(*second[2], *after),
        channels_first=tuple(name for name in first[0] if name.removeprefix(f"{encoder}.") in wanted),
        position_bias=bool(exception.get("position_bias", False)),
        encoder=encoder,
        last_start=len(first[1]),
    )


def _parts_of(model: nn.Module, path: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Stem, blocks and tail of one of the two, as names in the whole.

    A dropout stands with neither: T5 uses one before its first block and after its last; it stays off while one is frozen.
    """
    part = model.get_submodule(path)
    blocks = _longest_list(part, least=1)  # it is known to hold blocks, be it one
    stem, tail = _around(part, blocks)

    def named(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"{path}.{name}" for name in names if not isinstance(part.get_submodule(name), nn.Dropout))

    return named(stem), named(blocks), named(tail)


def _longest_list(model: nn.Module, *, least: int = 2) -> tuple[str, ...]:
    best: tuple[int, tuple[str, ...]] = (0, ())
    for name, module in model.named_modules():
        if not isinstance(module, nn.ModuleList | nn.Sequential) or len(module) < least:
            continue
        if len({type(item) for item in module}) != 1:
            continue
        size = sum(parameter.numel() for parameter in module.parameters())
        if size > best[0]:
            best = (size, tuple(f"{name}.{index}" if name else str(index) for index in range(len(module))))
    return best[1]


def _expand(model: nn.Module, pattern: str) -> tuple[str, ...]:
    names = [""]
    for piece in pattern.split("."):
        if piece == "*":
            names = [f"{name}.{child}" for name in names for child, _ in model.get_submodule(name).named_children()]
        else:
            names = [f"{name}.{piece}".lstrip(".") for name in names if hasattr(model.get_submodule(name), piece)]
    return tuple(names)


def _around(model: nn.Module, blocks: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Modules registered before the first block, and after the last: at each level of the tree, the siblings of the way."""
    stem = _siblings(model, blocks[0], before=True)
    tail = _siblings(model, blocks[-1], before=False)
    inside = {block.split(".")[0] for block in blocks}
    early = tuple(name for name in tail if name.rpartition(".")[2] in RUN_EARLY)
    return (*(name for name in stem if name not in inside), *early), tuple(name for name in tail if name not in early)


def _siblings(model: nn.Module, block: str, *, before: bool) -> tuple[str, ...]:
    names: list[str] = []
    path = block.split(".")
    for depth in range(len(path)):
        parent = ".".join(path[:depth])
        children = [name for name, _ in model.get_submodule(parent).named_children()]
        position = children.index(path[depth])
        chosen = children[:position] if before else children[position + 1 :]
        names += [f"{parent}.{name}".lstrip(".") for name in chosen]
    return tuple(name for name in names if _computes(model.get_submodule(name)))


def _computes(module: nn.Module) -> bool:
    """Whether a module has weights, or draws random numbers; rotary tables and the like are left to run again."""
    return any(True for _ in module.parameters()) or isinstance(module, nn.Dropout)
