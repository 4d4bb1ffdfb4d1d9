"""What is answered about a row, whichever kind: targets, head, loss, decoding, measures, and what needs no tuning."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from jaxtyping import Bool, Float

from luthier.core.decision import Decision
from luthier.data.schema import Schema
from luthier.evaluation.records import Predictions
from luthier.models.settings import HeadSettings
from luthier.tasks.protocol import HeadOrigin, LossRecipe, LossSum, ProbeLoss, TaskState

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor, nn


class Answer(Protocol):
    """One kind of answer: a label, several labels, a number. Members as of `Task`.

    Attributes:
        kind: `label`, `labels` or `number`: `Task.answer_kind`.
        baselines: By name of the baseline: what it is called, and what it does in a sentence; `{features}` stands for what a
            linear model is given of this reading.
    """

    kind: str
    baselines: Mapping[str, tuple[str, str]]
    measures: Sequence[str]
    primary_measure: str
    probe: ProbeLoss
    has_classes: bool

    def accepts(self, schema: Schema) -> Decision[bool]:
        """Whether the target column holds such answers, and why."""

    def fit_state(self, task: str, table: "pa.Table", target: str) -> TaskState:
        """What is learnt from the target column of train."""

    def describe(self, state: TaskState) -> str:
        """What is answered, to follow "it answers with"."""

    def targets(self, table: "pa.Table", state: TaskState, target: str) -> np.ndarray:
        """Of each row."""

    def known(self, targets: np.ndarray) -> Bool[np.ndarray, " N"]:
        """Which can be trained on."""

    def build_head(self, width: int, state: TaskState, *, settings: HeadSettings, seed: int) -> "nn.Module":
        """A fresh head."""

    def loss(self, outputs: "Tensor", targets: "Tensor", *, recipe: LossRecipe) -> LossSum:
        """Of one micro-batch."""

    def start_loss(self, state: TaskState, head_origin: HeadOrigin, *, recipe: LossRecipe) -> tuple[float, float] | None:
        """Range of the first loss."""

    def decode(self, outputs: Float[np.ndarray, "B C"]) -> Float[np.ndarray, "B K"]:
        """What is kept of a head's outputs."""

    def columns(self, decoded: Float[np.ndarray, "N K"], state: TaskState, *, probs: bool) -> Mapping[str, Sequence[Any]]:
        """What `predict` adds to a table."""

    def predictions(
        self, table: "pa.Table", decoded: Float[np.ndarray, "N K"], state: TaskState, roles: Mapping[str, str]
    ) -> Predictions:
        """Answers beside their targets."""

    def majority(self, targets: np.ndarray, num_rows: int, state: TaskState) -> Float[np.ndarray, "N K"]:
        """The same for every row: what train says most."""

    def persist(self, last: np.ndarray, train: tuple[np.ndarray, np.ndarray], state: TaskState) -> Float[np.ndarray, "N K"]:
        """What was answered last, again, for each row; the usual answer where nothing was (see `Earlier.last`).

        Args:
            last: Answers before each row.
            train: Targets of train, and what was answered before each of its rows.
        """

    def linear(
        self, train: Any, targets: np.ndarray, others: Any, state: TaskState, *, strength: float, seed: int
    ) -> Float[np.ndarray, "N K"]:
        """A linear model on features, dense or sparse, fitted on train."""

    def nearest(
        self, train: Float[np.ndarray, "M D"], targets: np.ndarray, others: Float[np.ndarray, "N D"], state: TaskState
    ) -> Float[np.ndarray, "N K"]:
        """What lies near in the space of a pre-trained model's features; nothing is fitted."""
