"""Cross-entropy: minus the logarithm of the true label's probability.

Use when: nothing speaks for another loss. It is what the probabilities on the card are judged by.
Cost: none.
Suggested values: label smoothing 0.05 to 0.1 where labels are noisy or the model is too sure of itself.
Source: Szegedy et al. 2016, "Rethinking the Inception architecture for computer vision" (label smoothing).
"""

import math
from typing import TYPE_CHECKING

from luthier.errors import SpecError
from luthier.tasks.losses.class_loss import ClassLoss

if TYPE_CHECKING:
    from torch import Tensor


def make_loss(argument: str) -> ClassLoss:
    """It takes no argument."""
    if argument:
        raise SpecError(f"The loss cross-entropy takes no argument, and '{argument}' was given.", remedy="--loss cross-entropy")
    return ClassLoss(total=_total, at_chance=math.log)


def _total(logits: "Tensor", labels: "Tensor", weights: "Tensor | None", label_smoothing: float) -> "Tensor":
    from torch.nn import functional

    return functional.cross_entropy(logits, labels, weight=weights, reduction="sum", label_smoothing=label_smoothing)
