"""What all tasks have in common whose network brings its own head over tokens (decision 0010)."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool

from luthier.models.settings import HeadSettings
from luthier.tasks.protocol import LINEAR, PLAIN, HeadOrigin, LossRecipe, LossSum, TaskState
from luthier.tasks.token_losses import token_loss
from luthier.tasks.word_inputs import IGNORED

if TYPE_CHECKING:
    from torch import Tensor, nn


class OwnHeadTask:
    """Targets are ids of tokens, `IGNORED` where none counts; the network's logits are what is learnt on."""

    def known(self, targets: np.ndarray) -> Bool[np.ndarray, " U"]:
        """Units with a token that counts."""
        return np.asarray((targets != IGNORED).any(axis=1))

    def build_head(self, width: int, state: TaskState, *, settings: HeadSettings = LINEAR, seed: int) -> "nn.Module":
        """The network's own."""
        from luthier.models.heads import OwnHead

        return OwnHead()

    def loss(self, outputs: "Tensor", targets: "Tensor", *, recipe: LossRecipe = PLAIN) -> LossSum:
        """Cross-entropy over the tokens that count."""
        return token_loss(outputs, targets, label_smoothing=recipe.label_smoothing)

    def start_loss(
        self, state: TaskState, head_origin: HeadOrigin, *, recipe: LossRecipe = PLAIN
    ) -> tuple[float, float] | None:
        """It depends on what the network has read before: nothing is said."""
        return None
