"""What is drawn for one step, and what a way to mix must be able to do."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Int
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class MixingSettings:
    """Strength of each way to mix, named as in `MIXINGS`: alpha of the beta distribution of the shares; 0 is off."""

    mixup: float = 0.0
    cutmix: float = 0.0


NO_MIXING = MixingSettings()


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """How the examples of one batch are mixed.

    Attributes:
        name: The way, a name of `MIXINGS`.
        partners: For each place of the batch, the place of the example that is mixed into it.
        share: What is kept of each example, from 0 to 1.
        centre: Of the piece that CutMix pastes: (row, column) as shares of height and width.
    """

    name: str
    partners: Int[np.ndarray, " B"]
    share: float
    centre: tuple[float, float]


class Mixing(Protocol):
    """A way to mix."""

    def mix(self, first: Tensor, second: Tensor, mixture: Mixture) -> tuple[Tensor, float]:
        """Mix tensors of one shape, example by example; returns them and the share of `first` that is really left."""
