"""What turns texts into vectors: a tuned model's folder, or a pre-trained model by its name or folder."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from luthier.errors import ModelError
from luthier.features.passes import frozen_copy
from luthier.features.texts import vectors_of
from luthier.models.load import choose_attention, load_backbone
from luthier.models.settings import ModelSettings
from luthier.models.source import resolve_model
from luthier.models.text_processor import TextProcessor
from luthier.package.folder import DESCRIPTION
from luthier.package.model import load_model, model_folder
from luthier.training.device import choose_device, choose_precision

WEIGHTS = ("model.safetensors", "head.safetensors", "processor.json", "tokenizer.json")
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class TextEncoder:
    """Texts to vectors of length one.

    Attributes:
        name: As it was asked for.
        digest: Of everything that decides the vectors; equal digests give equal vectors, but for rounding.
        encode: Texts -> [N, D] float32.
    """

    name: str
    digest: str
    encode: Callable[[Sequence[str]], Float[np.ndarray, "N D"]]


def load_encoder(model: str | Path, *, device: str = "auto") -> TextEncoder:
    """The encoder of a run or model folder, of a folder of a pre-trained model, or of a name of the catalogue.

    Raises:
        ModelError: there is no such model, or it does not read texts.
    """
    place = Path(model)
    if any((folder / DESCRIPTION).is_file() for folder in (place, place / "model")):
        folder = model_folder(place)
        tuned = load_model(folder, device=device)
        tuned.vectors([])
        return TextEncoder(name=str(model), digest=_digest([folder / name for name in WEIGHTS]), encode=tuned.vectors)
    if place.is_dir() and not (place / "config.json").is_file():
        raise ModelError(f"{place} is no model folder.", remedy="name a run folder, or a pre-trained model: luthier models")
    return _pretrained(str(model), device=device)


def _pretrained(name: str, *, device: str) -> TextEncoder:
    where = choose_device(device).value
    precision = choose_precision("auto", device=where).value
    source = resolve_model(ModelSettings(name=name), modality="text")
    assert source.folder is not None
    processor = TextProcessor.load(source.folder)
    runner = frozen_copy(
        load_backbone(source, attention=choose_attention(where, processor.max_length)), precision=precision, device=where
    )

    def encode(texts: Sequence[str]) -> Float[np.ndarray, "N D"]:
        return vectors_of(runner, processor, texts, precision=precision, device=where)

    digest = hashlib.sha256(f"{source.weights_sha256} {processor.fingerprint()} {precision} {runner.layout.pooling}".encode())
    return TextEncoder(name=name, digest=digest.hexdigest()[:32], encode=encode)


def _digest(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        if path.is_file():
            digest.update(path.name.encode())
            with path.open("rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    digest.update(block)
    return digest.hexdigest()[:32]
