"""What tasks have in common that answer with vectors of texts."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from luthier.models.settings import HeadSettings
from luthier.tasks.inputs import Inputs
from luthier.tasks.protocol import LINEAR, PLAIN, HeadOrigin, LossRecipe, TaskState

if TYPE_CHECKING:
    from torch import nn


class VectorTask:
    """The head is a projection of pooled vectors, and what it gives is kept as it is."""

    def build_head(self, width: int, state: TaskState, *, settings: HeadSettings = LINEAR, seed: int) -> "nn.Module":
        """A projection that begins as the identity."""
        from luthier.models.projection_head import ProjectionHead

        return ProjectionHead(width)

    def start_loss(
        self, state: TaskState, head_origin: HeadOrigin, *, recipe: LossRecipe = PLAIN
    ) -> tuple[float, float] | None:
        """Nothing can be said: it is the pre-trained model's, and depends on the batch."""
        return None

    def decode(
        self, outputs: Float[np.ndarray, "B D"], inputs: Inputs, units: Int[np.ndarray, " B"]
    ) -> Float[np.ndarray, "B D"]:
        """The vectors."""
        return outputs
