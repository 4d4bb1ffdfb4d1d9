"""Texts beside other columns: vectors by a frozen text model, computed once and found again on disk."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from luthier.core.process import Cost
from luthier.core.progress import Observer, Quiet
from luthier.features.frozen_vectors import computed_vectors, kept_vectors
from luthier.features.passes import PRECISIONS, batches_by_length, to_device
from luthier.features.probe import unit_length
from luthier.models.backbone import Backbone, wrap_backbone
from luthier.models.layout import find_layout
from luthier.models.load import choose_attention, load_network
from luthier.models.refusal import check_folder
from luthier.models.table_processor import TextModel
from luthier.models.text_processor import TextProcessor
from luthier.tasks.inputs import TokenInputs


@dataclass(frozen=True, kw_only=True)
class TextReader:
    """A frozen text model that gives one vector for each text, of length sqrt(width), so that each of its numbers is about 1.

    Attributes:
        keeps: Whether vectors are kept in the activation store and looked for there.
        observer: Is told of the pass.
        costs: Of the passes whose vectors are kept, whenever they were computed.
    """

    backbone: Backbone
    processor: TextProcessor
    model: TextModel
    device: str
    keeps: bool = False
    observer: Observer = field(default_factory=Quiet)
    costs: list[Cost] = field(default_factory=list)

    def __call__(self, texts: Sequence[str]) -> Float[np.ndarray, "N D"]:
        """Vectors of texts."""
        encoded = self.processor.encode(texts)
        inputs = TokenInputs.build(encoded.ids, encoded.offsets, pad_id=self.processor.pad_id)
        if not len(texts):
            return np.zeros((0, self.model.width), dtype=np.float32)
        pooled = self._vectors(inputs)
        return np.asarray(unit_length(pooled) * np.sqrt(self.model.width), dtype=np.float32)

    def _vectors(self, inputs: TokenInputs) -> Float[np.ndarray, "N D"]:
        if not self.keeps:
            return computed_vectors(self.backbone, inputs, self.model, device=self.device)
        vectors, cost = kept_vectors(
            self.backbone,
            inputs,
            self.model,
            fingerprint=self.processor.fingerprint(),
            device=self.device,
            observer=self.observer,
        )
        self.costs.append(cost)
        return vectors


def load_text_reader(
    folder: Path, model: TextModel, *, device: str, keeps: bool = False, observer: Observer | None = None
) -> TextReader:
    """The reader of a text model's folder.

    Raises:
        ModelError: the folder is refused, or transformers cannot load it.
    """
    config = check_folder(folder)
    kind = str(config["model_type"])
    network = load_network(folder, kind, attention=choose_attention(device, model.max_length))
    layout = find_layout(network, kind)
    layout = type(layout)(**{**vars(layout), "pooling": model.pooling})
    backbone = wrap_backbone(network, layout=layout, width=model.width, model_type=kind)
    processor = TextProcessor.load(folder).with_max_length(model.max_length)
    return TextReader(
        backbone=backbone, processor=processor, model=model, device=device, keeps=keeps, observer=observer or Quiet()
    )


def vectors_of(
    runner: Backbone,
    processor: TextProcessor,
    texts: Sequence[str],
    *,
    head: nn.Module | None = None,
    precision: str,
    device: str,
) -> Float[np.ndarray, "N D"]:
    """Vectors of length one, in batches of like length.

    Args:
        runner: As `frozen_copy` gives it.
        head: What is made of the pooled vector; None: nothing.
    """
    encoded = processor.encode(texts)
    inputs = TokenInputs.build(encoded.ids, encoded.offsets, pad_id=processor.pad_id)
    found = np.zeros((len(texts), runner.width), dtype=np.float32)
    with torch.inference_mode():
        for rows in batches_by_length(inputs.lengths):
            batch = to_device(inputs.batch(rows), dtype=PRECISIONS[precision], device=device)
            pooled = runner.pool(runner(batch)).float()
            found[rows] = (pooled if head is None else head(pooled)).cpu().numpy()
    return np.asarray(unit_length(found), dtype=np.float32)
