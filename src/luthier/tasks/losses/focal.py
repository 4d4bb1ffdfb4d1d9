"""Focal loss: cross-entropy that counts a row the less, the surer the model already is of it: times (1 - p) to the power gamma.

Use when: most rows are easy and drown those that matter, as with many rows of one plain class.
Cost: none. Probabilities come out less sure than they should be: look at the calibration on the card.
Suggested values: gamma 1 to 2 (`focal` alone is 2); 0 is cross-entropy.
Source: Lin et al. 2017, "Focal loss for dense object detection".
"""

import math
from functools import partial
from typing import TYPE_CHECKING

from luthier.errors import SpecError
from luthier.tasks.losses.class_loss import ClassLoss

if TYPE_CHECKING:
    from torch import Tensor

USUAL = 2.0


def make_loss(argument: str) -> ClassLoss:
    """`focal:GAMMA`, gamma 0 or more.

    Example:
        >>> import torch
        >>> logits, labels = torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 0])
        >>> [round(float(make_loss(gamma).total(logits, labels, None, 0.0)), 3) for gamma in ("0", "2")]
        [2.254, 1.652]
    """
    gamma = USUAL
    if argument:
        try:
            gamma = float(argument)
        except ValueError:
            gamma = math.nan
    if not 0 <= gamma < math.inf:
        raise SpecError(f"The loss focal takes a gamma of 0 or more; found '{argument}'.", remedy=f"--loss focal:{USUAL:g}")
    return ClassLoss(total=partial(_total, gamma), at_chance=partial(_at_chance, gamma))


def _total(gamma: float, logits: "Tensor", labels: "Tensor", weights: "Tensor | None", label_smoothing: float) -> "Tensor":
    """Smoothed labels count as in torch's cross-entropy: each class with its own weight."""
    log_probs = logits.log_softmax(1)
    # Never quite zero: for gamma below 1 the power has no slope there.
    losses = -((1 - log_probs.exp()).clamp(min=1e-9) ** gamma) * log_probs
    if weights is not None:
        losses = losses * weights
    true = losses.gather(1, labels[:, None]).sum()
    return (1 - label_smoothing) * true + label_smoothing / logits.shape[1] * losses.sum()


def _at_chance(gamma: float, num_labels: int) -> float:
    return math.pow(1 - 1 / num_labels, gamma) * math.log(num_labels)
