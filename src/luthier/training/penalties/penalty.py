"""What a penalty is, whichever one."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Weight:
    """One weight that trains, as a penalty sees it.

    Attributes:
        name: Heads' begin with `head.`.
        item: The weight.
        pretrained: Its pre-trained value; None for what is not of the pre-trained model.
        importance: Of each of its entries, where it has been measured.
    """

    name: str
    item: nn.Parameter
    pretrained: Tensor | None = None
    importance: Tensor | None = None


class Penalty(ABC):
    """A cost of weights, given by its gradient, or, where it has none at zero, by its proximal step."""

    needs_importance = False

    @abstractmethod
    def concerns(self, weight: Weight) -> bool:
        """Whether it is a cost of this weight."""

    # A penalty has one of these two; of the other it does nothing.

    def add_gradient(self, weight: Weight, gradient: Tensor, strength: float) -> None:  # noqa: B027
        """Add its gradient to that of the loss, in place."""

    def shrink(self, weight: Weight, amount: float) -> None:  # noqa: B027
        """Go its proximal step after the optimizer's; `amount` is strength times the learning rate of that step."""
