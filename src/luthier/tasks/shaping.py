"""What a task may have beside the members of `Task`: a say in how its model is put together, and views of its inputs.

Most tasks put a head on one vector or on all states, and need nothing of this. The functions below ask a task whichever it is.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from luthier.core.decision import Decision
from luthier.data.schema import Schema
from luthier.evaluation.records import Predictions
from luthier.models.settings import HeadSettings, ModelSettings
from luthier.tasks.inputs import Inputs
from luthier.tasks.protocol import LINEAR, Task, TaskState

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    from torch import nn

    from luthier.models.backbone import Backbone


@runtime_checkable
class ShapesModel(Protocol):
    """What a task may have beside the members of `Task`: a say in how the model is put together."""

    def settle(self, state: TaskState, settings: ModelSettings) -> TaskState:
        """The state with what the settings of the model say that answers depend on."""

    def fit_processor(self, rows: Sequence[Any], processor: Any, settings: ModelSettings) -> tuple[Any, list[Decision[Any]]]:
        """The preprocessing as it fits the training rows."""

    def prepare_backbone(self, backbone: "Backbone", inputs: Inputs) -> "Backbone":
        """The backbone, told what else it has to hand over."""

    def build_head_on(
        self,
        backbone: "Backbone",
        state: TaskState,
        *,
        settings: HeadSettings = LINEAR,
        seed: int,
        folder: "Path | None" = None,
    ) -> "nn.Module":
        """A fresh head on this backbone; `folder` is that of the pre-trained model, which may hold a head of its own."""


@runtime_checkable
class SettlesAnswers(Protocol):
    """What a task may have beside the members of `Task`: something about its answers that validation decides."""

    def settle_answers(
        self, state: TaskState, validation: Predictions, settings: ModelSettings
    ) -> tuple[TaskState, list[Decision[Any]]]:
        """The state with what the answers to validation have shown."""


class Views(Protocol):
    """Other views of units: what an input looks like when it is cut, mirrored, or the like."""

    def batch(
        self, units: Int[np.ndarray, " B"], targets: np.ndarray, *, seed: int
    ) -> tuple[Mapping[str, np.ndarray], np.ndarray]:
        """A view of each unit and its targets in it; the same seed gives the same views."""


@runtime_checkable
class MakesViews(Protocol):
    """What a task may have beside the members of `Task`: views of its inputs, with targets that fit them."""

    def views(self, inputs: Inputs, strength: Literal["light", "strong"]) -> Views:
        """Views of some inputs."""


def fit_state_for(task: Task, table: "pa.Table", schema: Schema, *, settings: ModelSettings) -> TaskState:
    """The state of a task, from the training part and from what the settings say that answers depend on."""
    state = task.fit_state(table, schema)
    return task.settle(state, settings) if isinstance(task, ShapesModel) else state


def prepare_backbone_for(task: Task, backbone: "Backbone", inputs: Inputs) -> "Backbone":
    """A backbone that hands over whatever the head of a task stands on."""
    return task.prepare_backbone(backbone, inputs) if isinstance(task, ShapesModel) else backbone


def build_head_for(
    task: Task,
    backbone: "Backbone",
    state: TaskState,
    *,
    settings: HeadSettings = LINEAR,
    seed: int,
    folder: "Path | None" = None,
) -> "nn.Module":
    """The head of a task on a backbone, whichever way the task makes it."""
    if isinstance(task, ShapesModel):
        return task.build_head_on(backbone, state, settings=settings, seed=seed, folder=folder)
    return task.build_head(backbone.width, state, settings=settings, seed=seed)
