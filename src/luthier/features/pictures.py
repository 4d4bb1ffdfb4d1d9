"""Pictures beside other columns: vectors by a frozen image model, computed once and found again on disk."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from luthier.core.process import Cost
from luthier.core.progress import Observer, Quiet
from luthier.data.checks.images import FILES, inspect_images
from luthier.errors import LuthierError
from luthier.features.frozen_vectors import computed_vectors, kept_vectors
from luthier.features.probe import unit_length
from luthier.models.backbone import Backbone, wrap_backbone
from luthier.models.image_processor import ImageProcessor
from luthier.models.layout import find_layout
from luthier.models.load import load_network
from luthier.models.refusal import check_folder
from luthier.models.table_processor import ImageModel, PicturesRead
from luthier.tasks.inputs import ImageInputs


@dataclass(frozen=True, kw_only=True)
class PictureReader:
    """A frozen image model that gives one vector for each file, of length sqrt(width), so that each of its numbers is about 1.

    Attributes:
        keeps: Whether vectors are kept in the activation store and looked for there.
        observer: Is told of the pass.
        costs: Of the passes whose vectors are kept, whenever they were computed.
    """

    backbone: Backbone
    processor: ImageProcessor
    model: ImageModel
    device: str
    keeps: bool = False
    observer: Observer = field(default_factory=Quiet)
    costs: list[Cost] = field(default_factory=list)

    def __call__(self, paths: Sequence[str]) -> PicturesRead:
        """Vectors of files; those that cannot be read have zeros, and are named as faults."""
        names = list(dict.fromkeys(paths))
        states = dict(zip(names, inspect_images(names), strict=True))
        wrong = {
            path: f"is {FILES.states[state].words}"
            for path, state in states.items()
            if state and FILES.states[state].is_unusable and not FILES.states[state].is_scored
        }
        readable = [path for path in names if path not in wrong]
        vectors = np.zeros((len(paths), self.model.width), dtype=np.float32)
        keys: dict[str, bytes] = {}
        if readable:
            inputs = ImageInputs.build([Path(path) for path in readable], self._reading(wrong), shape=(3, *self.processor.size))
            pooled = self._vectors(inputs)
            scaled = np.asarray(unit_length(pooled) * np.sqrt(self.model.width), dtype=np.float32)
            place = {path: row for row, path in enumerate(readable) if path not in wrong}
            for row, path in enumerate(paths):
                if path in place:
                    vectors[row] = scaled[place[path]]
            keys = {path: inputs.keys[row] for path, row in place.items()}
        faults = {row: wrong[path].replace(" as pictures", "") for row, path in enumerate(paths) if path in wrong}
        return PicturesRead(vectors=vectors, keys=[bytes(keys.get(path, b"")) for path in paths], faults=faults)

    def _reading(self, wrong: dict[str, str]) -> "_Reading":
        return _Reading(self.processor, wrong)

    def _vectors(self, inputs: ImageInputs) -> Float[np.ndarray, "N D"]:
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


@dataclass(frozen=True)
class _Reading:
    """Pixels of a file; black ones, and a fault, where it turns out to be damaged only when all of it is decoded."""

    processor: ImageProcessor
    wrong: dict[str, str]

    def __call__(self, path: Path) -> Float[np.ndarray, "3 H W"]:
        try:
            return self.processor.normalise(self.processor.read(path))
        except LuthierError as error:
            self.wrong[str(path)] = error.problem.removeprefix(f"{path} ").rstrip(".")
            return np.zeros((3, *self.processor.size), dtype=np.float32)


def load_picture_reader(
    folder: Path, model: ImageModel, *, device: str, keeps: bool = False, observer: Observer | None = None
) -> PictureReader:
    """The reader of an image model's folder.

    Raises:
        ModelError: the folder is refused, or transformers cannot load it.
    """
    kind = str(check_folder(folder)["model_type"])
    network = load_network(folder, kind)
    layout = find_layout(network, kind)
    layout = type(layout)(**{**vars(layout), "pooling": model.pooling})
    backbone = wrap_backbone(network, layout=layout, width=model.width, model_type=kind)
    return PictureReader(
        backbone=backbone,
        processor=ImageProcessor.load(folder),
        model=model,
        device=device,
        keeps=keeps,
        observer=observer or Quiet(),
    )
