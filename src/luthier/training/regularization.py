"""Penalties on weights: L1 with exact zeros, L2, elastic net (both), pulls back to the pre-trained weights (L2-SP, EWC).

Use when: few rows. `l1` to see which of the head's features matter, `l2` or `towards_pretrained` where validation falls while
training still gets better, `towards_pretrained` also against forgetting.
Cost: one or two passes over the trained weights a step; `towards_pretrained` keeps a copy of them.
Suggested values: l1 1e-4 to 1e-2, l2 1e-5 to 1e-2, towards_pretrained 1e-3 to 1e-1.
Source: Zou & Hastie 2005, "Regularization and variable selection via the elastic net"; Parikh & Boyd 2014, "Proximal
algorithms"; Li et al. 2018, "Explicit inductive bias for transfer learning with convolutional networks" (L2-SP).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from luthier.training.optimizer import is_matrix


@dataclass(frozen=True, kw_only=True)
class Penalties:
    """Strengths of the penalties; 0 is off.

    Attributes:
        l1: Of the sum of absolute weights of the head.
        l2: Of half the sum of squares of every matrix that trains (unlike `weight_decay`, a part of the loss).
        towards_pretrained: Of half the squared distance of the backbone's trained weights from the pre-trained ones.
        ewc: Of the same with each square times the weight's importance (`importance.py`).
    """

    l1: float = 0.0
    l2: float = 0.0
    towards_pretrained: float = 0.0
    ewc: float = 0.0


NO_PENALTIES = Penalties()


class Regularizer:
    """Adds the penalties' gradients before a step, and makes small weights zero after it.

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
        self.penalties = penalties
        matrices = {name: item for name, item in trainable.items() if item.ndim >= 2}
        self._matrices = {name: item for name, item in matrices.items() if is_matrix(name, item)} if penalties.l2 else {}
        self._sparse = {name: item for name, item in matrices.items() if name.startswith("head.")} if penalties.l1 else {}
        anchored = {name: (item, pretrained[name]) for name, item in trainable.items() if name in pretrained}
        self._anchored = anchored if penalties.towards_pretrained else {}
        self._held = anchored if penalties.ewc else {}
        self.importance: Mapping[str, Tensor] = {}

    @property
    def held(self) -> dict[str, nn.Parameter]:
        """What EWC holds, by name; how strongly is put into `importance` before the first step."""
        return {name: item for name, (item, _) in self._held.items()}

    @torch.no_grad()
    def add_gradients(self) -> None:
        """Add the gradients of the smooth penalties to those of the loss; weights without a gradient are left out."""
        for item in self._matrices.values():
            if item.grad is not None:
                item.grad.add_(item, alpha=self.penalties.l2)
        for item, anchor in self._anchored.values():
            if item.grad is not None:
                item.grad.add_(item - anchor, alpha=self.penalties.towards_pretrained)

        for name, (item, anchor) in self._held.items():
            if item.grad is not None:
                item.grad.addcmul_(self.importance[name], item - anchor, value=self.penalties.ewc)

    @torch.no_grad()
    def shrink(self, groups: Sequence[Mapping[str, Any]]) -> None:
        """The proximal step of L1: every weight goes towards zero by its rate times `l1`, and stays there if it arrives.

        Args:
            groups: The optimizer's, which say at which rate each weight has just moved.
        """
        if not self._sparse:
            return
        rates = {id(item): float(group["lr"]) for group in groups for item in group["params"]}
        for item in self._sparse.values():
            amount = self.penalties.l1 * rates[id(item)]
            item.sub_(item.clamp(-amount, amount))
