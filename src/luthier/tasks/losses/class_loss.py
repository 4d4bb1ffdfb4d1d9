"""What a loss of labels is, whichever one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Total = Callable[["Tensor", "Tensor", "Tensor | None", float], "Tensor"]


@dataclass(frozen=True, kw_only=True)
class ClassLoss:
    """A loss of logits and labels.

    Attributes:
        total: (logits [B, C] in float32, labels [B], weight of each class [C] or None, label smoothing) -> the sum over the
            rows, each with the weight of its class.
        at_chance: Number of labels -> loss of a row for which every label is equally likely.
    """

    total: Total
    at_chance: Callable[[int], float]
