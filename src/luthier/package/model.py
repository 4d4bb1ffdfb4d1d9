"""A tuned model that answers: load it, give it texts, pictures or recordings, get labels, numbers or texts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from luthier.core.names import nearest_name
from luthier.core.rows import RowBuffer
from luthier.errors import DataError, ModelError, UsageError, raise_together
from luthier.features.passes import PRECISIONS, batches_by_length, frozen_copy, to_device
from luthier.features.texts import vectors_of
from luthier.models.heads import pool_for
from luthier.models.processors import AudioProcessor, ImageProcessor, Processor, TextProcessor
from luthier.models.projection_head import ProjectionHead
from luthier.package.columns import columns_read, narrowed
from luthier.package.folder import ModelDescription, load_folder, read_description
from luthier.package.tolerant import faults_of, tolerant
from luthier.tasks import TASKS
from luthier.tasks.inputs import EMPTY, Inputs, units_of, work_lengths
from luthier.tasks.protocol import BEAMS, Task, TaskState, Writer, has_own_head, searches_beams
from luthier.training.device import choose_device, choose_precision
from luthier.training.model import TunedModel

MOST_FAULTS_NAMED = 5
Decode = Callable[[Float[np.ndarray, "B ..."], Inputs, Int[np.ndarray, " B"]], Float[np.ndarray, "B K"]]


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
        self._decode = decoding(self.task, description.state)
        self._writer = Writer(backbone=self._backbone, processor=processor, device=device)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels, in the order of the probabilities."""
        return self.description.state.labels

    def predict(self, rows: Sequence[Any]) -> list[Any]:
        """The answer for each row: a label, a number, ..., as the task says it.

        Args:
            rows: Texts, pairs of texts, paths of files, or dictionaries of the columns of a table.

        Raises:
            DataError: some files cannot be read; names the first of them.
        """
        rows = _as_read(rows)
        if not rows:
            return []
        return self.task.answers(self.predict_numbers(rows), rows, self.description.state)

    def predict_probs(self, rows: Sequence[Any]) -> Float[np.ndarray, "N C"]:
        """Probabilities of all labels for each row, in the order of `labels`.

        Raises:
            DataError: some files cannot be read; names the first of them.
            UsageError: the task has no labels with probabilities.
        """
        if not self.labels or self.task.probe is None:
            raise UsageError(f"{self.task.name} gives no probabilities of labels.", remedy="model.predict(rows)")
        return self.predict_numbers(rows)

    def predict_numbers(self, rows: Sequence[Any]) -> Float[np.ndarray, "N K"]:
        """What the task makes of the model's outputs for each row, as numbers; what they mean is the task's affair.

        Raises:
            DataError: some files cannot be read; names the first of them.
        """
        rows = _as_read(rows)
        if rows and self.columns:
            probs, faults = self.answer_cells(rows)
            self._refuse_cells(faults)
            return probs
        probs, faults = self.answer(rows)
        named = list(faults.items())[:MOST_FAULTS_NAMED]
        raise_together([DataError(f"{rows[row]}: {fault}.", remedy="leave it out, or replace it") for row, fault in named])
        return probs

    def answer(self, rows: Sequence[Any]) -> tuple[Float[np.ndarray, "N K"], dict[int, str]]:
        """As `predict_numbers`, but rows that cannot be read raise nothing: their numbers mean nothing.

        Returns:
            The numbers, and what is wrong with rows that could not be read, by their place.
        """
        if not len(rows):
            return np.zeros((0, len(self.labels)), dtype=np.float32), {}
        if not isinstance(self.processor, ImageProcessor | AudioProcessor):
            return self.answers(self._encoded(rows, self.processor)), {}
        return self._answer_files(rows, self.processor)

    @property
    def columns(self) -> list[str]:
        """The columns that a model of tables reads; none for other models."""
        return columns_read(self.task, self.processor, self.description)

    def answer_cells(self, rows: Sequence[Any]) -> tuple[Float[np.ndarray, "N K"], dict[int, str]]:
        """As `predict_numbers`, for rows of a table; a cell that holds something else than its column counts as missing.

        Returns:
            The numbers, and what is wrong with cells of a row, by its place.

        Raises:
            DataError: columns are missing, or a row is no dictionary.
        """
        inputs = self._encoded(narrowed(rows, self.columns), self.processor)
        return self.answers(inputs), dict(getattr(inputs, "faults", {}))

    @staticmethod
    def _refuse_cells(faults: Mapping[int, str]) -> None:
        named = list(faults.items())[:MOST_FAULTS_NAMED]
        remedy = "correct it, or give None where nothing is known"
        raise_together([DataError(f"Row {row}: {fault}.", remedy=remedy) for row, fault in named])

    def _encoded(self, rows: Sequence[Any], processor: Any) -> Inputs:
        return self.task.encode(rows, processor, self.description.state)

    def _answer_files(
        self, rows: Sequence[str], processor: ImageProcessor | AudioProcessor
    ) -> tuple[np.ndarray, dict[int, str]]:
        faults = faults_of(rows)
        there = [row for row in range(len(rows)) if row not in faults]
        found = np.full((len(rows), max(1, len(self.labels))), np.nan, dtype=np.float32)
        if there:
            reader = tolerant(processor)
            paths = [rows[row] for row in there]
            answers = self.answers(self._encoded(paths, reader))
            found = np.full((len(rows), answers.shape[1]), np.nan, dtype=np.float32)
            found[there] = answers
            faults |= {row: reader.faults[path] for row, path in zip(there, paths, strict=True) if path in reader.faults}
        return np.nan_to_num(found), faults

    def vectors(self, texts: Sequence[str]) -> Float[np.ndarray, "N D"]:
        """A vector of length one for each text: what the head makes of it where the model was tuned for that, else what the
        backbone pools.

        Raises:
            ModelError: the model does not read texts, or keeps its own head and pools nothing.
        """
        if not isinstance(self.processor, TextProcessor) or has_own_head(self.task):
            raise ModelError(
                f"This model is for {self.task.name}; it has no vectors of texts.",
                remedy="a model tuned with --task text-retrieval, or a pre-trained one such as minilm",
            )
        return vectors_of(
            self._backbone,
            self.processor,
            texts,
            head=self._head if isinstance(self._head, ProjectionHead) else None,
            precision=self.precision,
            device=self.device,
        )

    def answers(self, inputs: Inputs, rows: Int[np.ndarray, " N"] | None = None) -> Float[np.ndarray, "N K"]:
        """What the task makes of the head's outputs for the units of encoded rows (all, or those named), merged to rows.

        Raises:
            ResourceError: the disk has no room for what is decoded.
        """
        units = np.arange(len(inputs.lengths)) if rows is None else units_of(inputs, rows)
        return self.task.merge(self.decoded(inputs, units), inputs.row_of[units])

    def decoded(self, inputs: Inputs, units: Int[np.ndarray, " U"] | None = None) -> Float[np.ndarray, "U K"]:
        """What the task makes of the head's outputs for units (all, or those named), in their order.

        Computed in length-sorted batches, and decoded batch by batch: of the outputs no more than one batch is ever kept, and
        what is decoded is not in memory if it is large (see `RowBuffer`).

        Raises:
            ResourceError: the disk has no room for what is decoded.
        """
        units = np.arange(len(inputs.lengths)) if units is None else units
        decoded = RowBuffer(len(units), fill=EMPTY if self.task.generate else None)
        dtype = PRECISIONS[self.precision]
        with torch.inference_mode():
            for places in batches_by_length(work_lengths(inputs)[units], is_media=self.description.modality != "text"):
                state = self._backbone(to_device(inputs.batch(units[places]), dtype=dtype, device=self.device))
                values = self._head(pool_for(self._head, self._backbone, state)).float().cpu().numpy()
                numbers = self._decode(values, inputs, units[places])
                if self.task.generate is not None:
                    numbers = np.hstack([numbers, self.task.generate(self._writer, inputs, units[places])])
                decoded.put(places, numbers)
        assert decoded.array is not None
        return decoded.array


def decoding(task: Task, state: TaskState) -> Decode:
    """How a model's outputs are decoded when it is asked: with beams, where the state says so."""
    beams = state.values.get(BEAMS)
    if beams is None or not searches_beams(task):
        return task.decode
    search: Decode = partial(getattr(task, "search"), beams=int(beams))  # noqa: B009
    return search


def _as_read(rows: Iterable[Any]) -> list[Any]:
    """Paths as texts; everything else as it is."""
    return [str(row) if isinstance(row, Path) else row for row in rows]


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
    where = choose_device(device).value
    model, processor, description = load_folder(folder, device=where, allow=allow)
    return Model(model, processor, description, device=where)


def model_folder(path: str | Path) -> Path:
    """The model folder that a path stands for.

    Raises:
        ModelError: there is none.
    """
    folder = Path(path)
    if folder.is_file():
        raise ModelError(f"{folder} is a file; a model is a folder.", remedy="name the model first, then the data")
    if not folder.is_dir():
        guess = nearest_name(folder.name, [item.name for item in folder.parent.iterdir()]) if folder.parent.is_dir() else None
        hint = f" Did you mean '{folder.parent / guess}'?" if guess else ""
        raise ModelError(f"There is no folder {folder}.{hint}", remedy=str(folder.parent / guess) if guess else "ls runs")
    inner = folder / "model"
    folder = inner if inner.is_dir() and not (folder / "luthier.json").is_file() else folder
    read_description(folder)
    return folder
