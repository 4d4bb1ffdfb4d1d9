"""A tuned model that answers: load it, give it texts or pictures, get labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from luthier.features.passes import PRECISIONS, batches_by_length, frozen_copy, to_device
from luthier.models.processors import Processor
from luthier.package.folder import ModelDescription, load_folder, read_description
from luthier.tasks import TASKS
from luthier.tasks.inputs import Inputs
from luthier.tasks.protocol import Task
from luthier.training.device import choose_device, choose_precision
from luthier.training.model import TunedModel


class Model:
    """A tuned model with everything it needs to answer.

    Args:
        model: Backbone and head.
        processor: Preprocessing.
        description: What the model folder says.
        device: Where it runs.

    Attributes:
        labels: The labels it knows.
    """

    def __init__(self, model: TunedModel, processor: Processor, description: ModelDescription, *, device: str = "cpu") -> None:
        self.description = description
        self.processor = processor
        self.device = device
        self.task: Task = TASKS[description.state.task]
        self.precision = description.precision
        if choose_precision("auto", device=device).value == "float32":
            self.precision = "float32"
        self._backbone = frozen_copy(model.backbone, precision=self.precision, device=device)
        self._head = model.head.to(device).eval()

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels, in the order of the probabilities."""
        return self.description.state.labels

    def predict(self, rows: Sequence[str | Path]) -> list[str]:
        """The label of each text or picture.

        Args:
            rows: Texts, or paths of image files.
        """
        probs = self.predict_probs(rows)
        return [self.labels[place] for place in probs.argmax(axis=1)]

    def predict_probs(self, rows: Sequence[str | Path]) -> Float[np.ndarray, "N C"]:
        """Probabilities of all labels for each text or picture, in the order of `labels`."""
        if not len(rows):
            return np.zeros((0, len(self.labels)), dtype=np.float32)
        return self.task.decode(self.outputs(self.task.encode([str(row) for row in rows], self.processor)))

    def outputs(self, inputs: Inputs, rows: Int[np.ndarray, " N"] | None = None) -> Float[np.ndarray, "N C"]:
        """Outputs of the head for encoded rows (all, or those named), in their order; computed in length-sorted batches."""
        rows = np.arange(len(inputs.lengths)) if rows is None else rows
        outputs: np.ndarray | None = None
        dtype = PRECISIONS[self.precision]
        with torch.inference_mode():
            for places in batches_by_length(inputs.lengths[rows], is_media=self.description.modality != "text"):
                state = self._backbone(to_device(inputs.batch(rows[places]), dtype=dtype, device=self.device))
                values = self._head(self._backbone.pool(state)).float().cpu().numpy()
                outputs = np.empty((len(rows), values.shape[1]), dtype=np.float32) if outputs is None else outputs
                outputs[places] = values
        assert outputs is not None
        return outputs


def load_model(path: str | Path, *, device: str = "auto", allow: Sequence[str] = ()) -> Model:
    """Load a tuned model.

    Args:
        path: A model folder, or the run folder that holds one.
        device: auto, cpu, cuda, cuda:N or mps.
        allow: Packages whose builders may be called, for backbones that are no Hugging Face class.

    Raises:
        ModelError: the folder is missing, refused, damaged, or of a newer format.
    """
    folder = model_folder(path)
    model, processor, description = load_folder(folder, allow=allow)
    return Model(model, processor, description, device=choose_device(device).value)


def model_folder(path: str | Path) -> Path:
    """The model folder that a path stands for."""
    folder = Path(path)
    inner = folder / "model"
    folder = inner if inner.is_dir() and not (folder / "luthier.json").is_file() else folder
    read_description(folder)
    return folder


def describe(model: Model) -> dict[str, Any]:
    """Task, labels and origin of a model, for people and for `--json`."""
    return {
        "task": model.description.state.task,
        "labels": list(model.labels),
        "precision": model.precision,
        "base": dict(model.description.base),
    }
