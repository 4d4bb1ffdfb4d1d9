"""A verified folder becomes a `Backbone`. Only here does transformers read weights."""

import json
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import nn

from luthier.errors import ModelError
from luthier.models.backbone import Backbone, wrap_backbone
from luthier.models.layout import Pooling, find_layout
from luthier.models.own import OWN, load_own
from luthier.models.settings import NetworkKind
from luthier.models.source import PretrainedFolder

# Families whose encoder is not what AutoModel gives: the class to load, and the way to its encoder.
ENCODERS: Mapping[str, tuple[str, str]] = {
    "t5": ("T5EncoderModel", ""),
    "mt5": ("MT5EncoderModel", ""),
    "whisper": ("WhisperModel", "encoder"),
    "bart": ("BartModel", "encoder"),
}
NETWORKS: Mapping[NetworkKind, str] = {  # with their own head, which gives logits
    "causal-lm": "AutoModelForCausalLM",
    "masked-lm": "AutoModelForMaskedLM",
    "seq2seq-lm": "AutoModelForSeq2SeqLM",
    "speech-seq2seq": "AutoModelForSpeechSeq2Seq",
}
POOLINGS: tuple[Pooling, ...] = ("mean", "first", "last", "max", "model")


def load_backbone(
    source: PretrainedFolder, *, pooling: Pooling | None = None, attention: str | None = None, kind: NetworkKind = "encoder"
) -> Backbone:
    """Load a checked folder: safetensors only, no remote code, float32, no network.

    Args:
        source: What `resolve_model` returned.
        kind: What of it: the encoder, or the whole with its own head.
        pooling: How one vector is made of many; by default what the model was trained with.
        attention: Implementation of attention, as transformers calls it; by default transformers' choice.

    Raises:
        ModelError: transformers cannot load the folder, or the pooling is unknown.
    """
    assert source.folder is not None
    if (source.folder / OWN).is_file():
        backbone = load_own(source.folder)
        backbone.layout = replace(backbone.layout, pooling=pooling or backbone.layout.pooling)
        return backbone
    network = load_network(source.folder, source.model_type, attention=attention, kind=kind)
    layout = find_layout(network, source.model_type)
    recorded = source.entry.pooling if source.entry and source.entry.modality == "text" else None
    chosen = pooling or recorded or _sentence_pooling(source.folder) or layout.pooling
    if chosen not in POOLINGS:
        raise ModelError(f"Unknown pooling '{chosen}'. Known: {', '.join(POOLINGS)}.", remedy="--head-pooling mean")
    layout = type(layout)(**{**vars(layout), "pooling": chosen})
    return wrap_backbone(network, layout=layout, width=_width(network), model_type=source.model_type)


def choose_attention(device: str, longest: int) -> str | None:
    """The fastest attention for short inputs on a processor is the plain one; else the library chooses.

    Measured (MiniLM, bfloat16, one core, samples a second in training at 16, 64 and 128 tokens): plain 230, 64, 28; fused 217,
    53, 23. Beyond 256 tokens the plain one's memory, which grows with the square, speaks against it.
    """
    return "eager" if device == "cpu" and longest <= 256 else None


def load_network(folder: Path, model_type: str, *, attention: str | None = None, kind: NetworkKind = "encoder") -> nn.Module:
    """The encoder of a Hugging Face folder, or the whole with its own head, in float32 and evaluation mode.

    Raises:
        ModelError: transformers cannot load it, or it has no such head.
    """
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    of_kind, inner = _class_of(folder, model_type) if kind == "encoder" else (getattr(transformers, NETWORKS[kind]), "")
    try:
        network, loaded = of_kind.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype="float32",
            attn_implementation=attention,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:300]
        remedy = "luthier doctor" if kind == "encoder" else f"--model NAME, one that transformers' {NETWORKS[kind]} can load"
        raise ModelError(f"transformers cannot load {folder} ({model_type}): {reason}", remedy=remedy) from error
    if kind != "encoder" and loaded["missing_keys"]:
        missing = ", ".join(sorted(loaded["missing_keys"])[:3])
        raise ModelError(
            f"{folder} ({model_type}) has no head that gives tokens ({missing} would be random).",
            remedy=f"--model NAME, one that was saved as transformers' {NETWORKS[kind]}",
        )
    network = network.get_submodule(inner) if inner else network
    drop_unused_pooler(network)
    leave_nothing_to_numpy(network)
    encoder: nn.Module = network.eval()
    return encoder


def _class_of(folder: Path, model_type: str) -> tuple[Any, str]:
    """The class that reads a folder, and the way from it to the encoder; a tuned encoder was saved by itself."""
    import transformers

    name, inner = ENCODERS.get(model_type, ("AutoModel", ""))
    saved = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("architectures") or [""]
    if inner and saved[0] == name.removesuffix("Model") + inner.capitalize():
        return getattr(import_module(f"transformers.models.{model_type}.modeling_{model_type}"), saved[0]), ""
    return getattr(transformers, name), inner


def drop_unused_pooler(network: Any) -> None:
    """Remove a dense pooler made for next-sentence prediction: no part of pooled features, it would be trained and saved."""
    pooler = getattr(network, "pooler", None)
    if isinstance(pooler, nn.Module) and any(True for _ in pooler.parameters()):
        network.pooler = None


def leave_nothing_to_numpy(network: Any) -> None:
    """Turn off what wav2vec2's relatives draw from NumPy's global generator, which no state of a training keeps.

    That is dropping whole layers, and masking spans of frames (SpecAugment), which fails on recordings under a span's length.
    """
    for name, value in (("apply_spec_augment", False), ("layerdrop", 0.0)):
        if hasattr(network.config, name):
            setattr(network.config, name, value)


def _width(network: nn.Module) -> int:
    config: Any = network.config
    if config.model_type == "mobilenet_v2":
        return int(network.conv_1x1.convolution.out_channels)  # type: ignore[union-attr, arg-type]
    for name in ("hidden_size", "d_model", "dim", "n_embd"):
        if isinstance(getattr(config, name, None), int):
            return int(getattr(config, name))
    return int(config.hidden_sizes[-1])


def _sentence_pooling(folder: Path) -> str | None:
    """The pooling of a sentence-transformers folder."""
    path = folder / "1_Pooling" / "config.json"
    if not path.is_file() or path.stat().st_size > 1 << 16:
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    modes = {"mean_tokens": "mean", "cls_token": "first", "lasttoken": "last", "max_tokens": "max"}
    by_name = {"mean": "mean", "cls": "first", "lasttoken": "last", "max": "max"}  # as versions from 5.5 on write it
    old = next((pooling for key, pooling in modes.items() if content.get(f"pooling_mode_{key}") is True), None)
    return old or by_name.get(str(content.get("pooling_mode")))
