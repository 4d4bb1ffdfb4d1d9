"""L2-SP: half the squared distance of the backbone's weights from the pre-trained ones.

Use when: few rows, or what the model could do before must not be forgotten.
Cost: a copy of the weights that train, and one pass over them a step.
Suggested values: 1e-3 to 1e-1.
Source: Li et al. 2018, "Explicit inductive bias for transfer learning with convolutional networks".
"""

from torch import Tensor

from luthier.training.penalties.penalty import Penalty, Weight


class TowardsPretrained(Penalty):
    """Pulls back to where the weight came from."""

    def concerns(self, weight: Weight) -> bool:
        """Whatever is of the pre-trained model."""
        return weight.pretrained is not None

    def add_gradient(self, weight: Weight, gradient: Tensor, strength: float) -> None:
        """The way back."""
        assert weight.pretrained is not None
        gradient.add_(weight.item - weight.pretrained, alpha=strength)


PENALTY = TowardsPretrained()
