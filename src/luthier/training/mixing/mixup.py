"""Mixup: each example becomes the weighted mean of two, and so does its label.

Use when: few rows, noisy labels, or a model that is too sure of itself; whenever a whole network is trained on pictures.
Cost: none for pictures and for whole batches of texts; texts in micro-batches are computed twice. Training loss stays high.
Suggested values: 0.1 to 0.4 for pictures, 0.2 to 1 for texts.
Source: Zhang et al. 2018, "mixup: beyond empirical risk minimization"; inside the network: Verma et al. 2019, "Manifold mixup".
"""

from torch import Tensor

from luthier.training.mixing.mixture import Mixture


class Mixup:
    """The weighted mean."""

    def mix(self, first: Tensor, second: Tensor, mixture: Mixture) -> tuple[Tensor, float]:
        """Of pixels, of hidden states of one shape, or of pooled vectors."""
        return mixture.share * first + (1 - mixture.share) * second, mixture.share


MIXING = Mixup()
