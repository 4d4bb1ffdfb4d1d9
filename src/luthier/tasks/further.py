"""What some tasks can say beyond what every task must: `isinstance(task, ...)` tells whether they can."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from luthier.core.decision import Decision
from luthier.data.dataset import Dataset
from luthier.tasks.inputs import Inputs
from luthier.tasks.protocol import Task


@runtime_checkable
class SuitedTask(Protocol):
    """A task that becomes another one for some data: where what decides depends on what the answers are like, say."""

    def suited(self, dataset: Dataset) -> tuple[Task, Decision[Any]]:
        """The task for these data, and why."""


@runtime_checkable
class ReplyingTask(Protocol):
    """A task whose rows are written as one text each, by a chat template or plainly, and of which only a part is learnt."""

    def preview(self, inputs: Inputs, units: Int[np.ndarray, " u"], processor: Any) -> list[Decision[Any]]:
        """What will be learnt of some units, for people to look at before anything is trained."""

    def ends(self, processor: Any) -> Sequence[int]:
        """Tokens that end an answer."""
