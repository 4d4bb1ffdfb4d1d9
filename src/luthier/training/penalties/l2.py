"""L2: half the sum of squares of every matrix that trains, as a part of the loss.

Use when: validation falls while training still gets better. Unlike `weight_decay` it goes through the optimizer, and with Adam
it is weak where gradients are large; `weight_decay` is the better first try.
Cost: one pass over the weights that train a step.
Suggested values: 1e-5 to 1e-2.
Source: Hoerl & Kennard 1970, "Ridge regression"; the difference to decay: Loshchilov & Hutter 2019, "Decoupled weight decay
regularization".
"""

from torch import Tensor

from luthier.training.optimizer import is_matrix
from luthier.training.penalties.penalty import Penalty, Weight


class L2(Penalty):
    """Pulls towards zero in proportion to the weight."""

    def concerns(self, weight: Weight) -> bool:
        """Matrices; biases and norms are free."""
        return is_matrix(weight.name, weight.item)

    def add_gradient(self, weight: Weight, gradient: Tensor, strength: float) -> None:
        """The weight itself."""
        gradient.add_(weight.item, alpha=strength)


PENALTY = L2()
