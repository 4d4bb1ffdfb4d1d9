"""The penalties of one training at work: their gradients before a step of the optimizer, their proximal steps after it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from luthier.training.penalties import PENALTIES
from luthier.training.penalties.penalty import Weight


@dataclass(frozen=True, kw_only=True)
class Penalties:
    """Strength of each penalty, named as in `PENALTIES`; 0 is off.

    Attributes:
        l1: Of the sum of absolute weights of the head.
        l2: Of half the sum of squares of every matrix that trains (unlike `weight_decay`, a part of the loss).
        towards_pretrained: Of half the squared distance of the backbone's trained weights from the pre-trained ones.
        ewc: Of the same with each square times the weight's importance.
    """

    l1: float = 0.0
    l2: float = 0.0
    towards_pretrained: float = 0.0
    ewc: float = 0.0


NO_PENALTIES = Penalties()


class Regularizer:
    """Adds the penalties' gradients before a step, and goes their proximal steps after it.

    Args:
        trainable: What trains, by name: heads' begin with `head.`.
        pretrained: The pre-trained values of the backbone's weights among them, by name.

    Example:
        >>> weight = nn.Parameter(torch.tensor([[1.0, -0.05]]))
        >>> regularizer = Regularizer({"head.weight": weight}, Penalties(l1=1.0), pretrained={})
        >>> regularizer.shrink([{"params": [weight], "lr": 0.1}])
        >>> weight.tolist()
        [[0.8999999761581421, 0.0]]
    """

    def __init__(
        self, trainable: Mapping[str, nn.Parameter], penalties: Penalties, *, pretrained: Mapping[str, Tensor]
    ) -> None:
        self._strengths = [(PENALTIES[name], strength) for name, strength in vars(penalties).items() if strength]
        weights = [Weight(name=name, item=item, pretrained=pretrained.get(name)) for name, item in trainable.items()]
        self._weights = {weight.name: weight for weight in weights} if self._strengths else {}

    @property
    def idle(self) -> list[str]:
        """Names of the penalties that were asked for and concern none of the weights."""
        asked = {name: penalty for penalty, _ in self._strengths for name in PENALTIES if PENALTIES[name] is penalty}
        return [name for name, penalty in asked.items() if not any(penalty.concerns(one) for one in self._weights.values())]

    @property
    def held(self) -> dict[str, nn.Parameter]:
        """The weights whose importance some penalty must know before the first step, by name."""
        asking = [penalty for penalty, _ in self._strengths if penalty.needs_importance]
        return {name: one.item for name, one in self._weights.items() if any(penalty.concerns(one) for penalty in asking)}

    @property
    def importance(self) -> dict[str, Tensor]:
        """The importance of those weights, by name; empty until it is known."""
        return {name: one.importance for name, one in self._weights.items() if one.importance is not None}

    def know_importance(self, values: Mapping[str, Tensor]) -> None:
        """Take it in, by name."""
        self._weights = {name: replace(one, importance=values.get(name)) for name, one in self._weights.items()}

    @torch.no_grad()
    def add_gradients(self) -> None:
        """Add the penalties' gradients to those of the loss; weights without a gradient are left out.

        Trials before the first step go without the penalties whose importance of weights is not measured yet.
        """
        for penalty, strength in self._strengths:
            for weight in self._weights.values():
                is_known = weight.importance is not None or not penalty.needs_importance
                if is_known and weight.item.grad is not None and penalty.concerns(weight):
                    penalty.add_gradient(weight, weight.item.grad, strength)

    @torch.no_grad()
    def shrink(self, groups: Sequence[Mapping[str, Any]]) -> None:
        """Go the penalties' proximal steps.

        Args:
            groups: The optimizer's, which say at which rate each weight has just moved.
        """
        if not self._strengths:
            return
        rates = {id(item): float(group["lr"]) for group in groups for item in group["params"]}
        for penalty, strength in self._strengths:
            for weight in self._weights.values():
                if penalty.concerns(weight):
                    penalty.shrink(weight, strength * rates[id(weight.item)])
