"""What a kind of problem must say about itself. One file per kind; everything else asks these questions only.

Modules of `tasks` import no torch at the top: heads and losses import it when they are called, so that a torch-free
server can use the same file to encode rows and to decode outputs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from jaxtyping import Float, Int

from luthier.core.decision import Decision
from luthier.data.dataset import Dataset
from luthier.data.findings import Finding
from luthier.data.schema import Schema
from luthier.evaluation.records import Predictions
from luthier.models.settings import HeadSettings
from luthier.tasks.inputs import Inputs, Processor

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor, nn

HeadOrigin = Literal["fresh", "probe", "previous"]
LINEAR = HeadSettings()


@dataclass(frozen=True, kw_only=True)
class TaskState:
    """What a task learns from the training part before any model does: plain JSON, kept in the model folder.

    Attributes:
        task: Name of the task.
        labels: For classification: the label of each place of the logits.
        values: Anything else the task needs (scalers, anchors).
    """

    task: str
    labels: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    schema_version: int = 1


@dataclass(frozen=True, kw_only=True)
class LossRecipe:
    """How a task is to compute its loss.

    Attributes:
        name: As a user writes it: `cross-entropy`, `focal:2`.
        label_smoothing: Probability mass spread over all labels.
        class_weights: Of each label, in their order; none: all weigh 1.
    """

    name: str = "cross-entropy"
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] = ()


PLAIN = LossRecipe()


@dataclass(frozen=True, kw_only=True)
class LossSum:
    """A loss as a sum with its weight, so that micro-batches add up to exactly the loss of the whole batch.

    Attributes:
        sum: Sum of the losses of all units (examples, tokens, boxes); a scalar with a gradient.
        weight: How many units; where classes have weights, the sum of the units' own.
    """

    sum: "Tensor"
    weight: float


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A model that needs no tuning: predicts for rows from what the training rows say.

    Attributes:
        name: `majority`, `classic` or `pretrained`.
        needs_features: Whether it is given pooled features of the pre-trained model instead of raw rows.
        fit_predict: (train rows, train targets, rows, seed) -> outputs as of the model; rows are raw or features.
    """

    name: str
    needs_features: bool
    fit_predict: Callable[[Any, Int[np.ndarray, " N"], Any, int], Float[np.ndarray, "M C"]]


class Task(Protocol):
    """One kind of problem.

    The calls come in this order: `match` and `check` on the table; `fit_state` on the training part; `encode` and `targets`
    for all parts; `build_head`, `loss` in training; `decode` on what the model says; `predictions` for evaluation.
    """

    name: str
    modality: Literal["text", "image"]
    roles: Sequence[str]
    measures: Sequence[str]
    primary_measure: str
    baselines: Sequence[Baseline]
    absent: Mapping[str, str]

    def match(self, schema: Schema) -> Decision[bool]:
        """Whether a table with these columns and roles is a problem of this kind, and why."""

    def check(self, dataset: Dataset) -> list[Finding]:
        """What only this task can find wrong with a table."""

    def fit_state(self, table: "pa.Table", schema: Schema) -> TaskState:
        """Labels, scalers and the like, from the training part."""

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> Sequence[str]:
        """The raw input of each row: texts, or paths of images."""

    def encode(self, rows: Sequence[str], processor: Processor) -> Inputs:
        """Model inputs of raw rows."""

    def targets(self, table: "pa.Table", state: TaskState, roles: Mapping[str, str]) -> Int[np.ndarray, " N"]:
        """Targets as numbers; -1 where a row has none that the state knows."""

    def build_head(self, width: int, state: TaskState, *, settings: HeadSettings = LINEAR, seed: int) -> "nn.Module":
        """A fresh head on pooled features [B, width], of the shape asked for."""

    def loss(self, outputs: "Tensor", targets: "Tensor", *, recipe: LossRecipe = PLAIN) -> LossSum:
        """The loss of one micro-batch."""

    def start_loss(
        self, state: TaskState, head_origin: HeadOrigin, *, recipe: LossRecipe = PLAIN
    ) -> tuple[float, float] | None:
        """Range in which the first loss must lie if all is well; None where nothing can be said."""

    def decode(self, outputs: Float[np.ndarray, "N C"]) -> Float[np.ndarray, "N C"]:
        """From logits to probabilities, or whatever the task predicts."""

    def columns(self, decoded: Float[np.ndarray, "N C"], state: TaskState, *, probs: bool) -> Mapping[str, Sequence[Any]]:
        """What `predict` adds to a table."""

    def predictions(
        self, table: "pa.Table", decoded: Float[np.ndarray, "N C"], state: TaskState, roles: Mapping[str, str]
    ) -> Predictions:
        """Decoded outputs beside their targets, for evaluation."""
