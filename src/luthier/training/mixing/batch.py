"""One micro-batch, mixed with its partners: what goes into the model, and the loss of what comes out."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from luthier.tasks.protocol import LossSum
from luthier.training.data import TrainingRows
from luthier.training.mixing import MIXINGS
from luthier.training.mixing.mixture import Mixture
from luthier.training.model import TunedModel


class MixedBatch:
    """Some rows of a batch and their partners.

    Args:
        rows: Of the part.
        places: Which of them are the whole batch.
        own: Which places of the batch are this micro-batch.
        mixture: Of the batch.
    """

    def __init__(self, rows: TrainingRows, places: Int[np.ndarray, " B"], own: Int[np.ndarray, " b"], mixture: Mixture) -> None:
        self._mixture, self._mixing = mixture, MIXINGS[mixture.name]
        self._is_padded = rows.is_padded
        self._first = rows.batch(places[own])
        partners = mixture.partners[own]
        self._within: Tensor | None = None
        if np.isin(partners, own).all():  # nothing has to be read or computed that is not there anyway
            where = {place: index for index, place in enumerate(own.tolist())}
            self._within = torch.tensor([where[place] for place in partners.tolist()], device=self._first.targets.device)
            self._second = self._first
        else:
            self._second = rows.batch(places[partners])

    def outputs(self, model: TunedModel) -> tuple[Tensor, float]:
        """What the model says of the mixed examples, and the share of the first in each pair."""
        first, second = self._first, self._second
        if first.stored is not None and not self._is_padded:
            stored, share = self._mix(first.stored, second.stored)
            return model(first.inputs, stored), share
        numbers = [name for name, value in first.inputs.items() if value.is_floating_point()]
        if numbers and not self._is_padded:
            mixed = {name: self._mix(first.inputs[name], second.inputs[name]) for name in numbers}
            inputs = {**first.inputs, **{name: value for name, (value, _) in mixed.items()}}
            return model(inputs), mixed[numbers[0]][1]
        vectors = model.pooled(first.inputs, first.stored)
        others = vectors if self._within is not None else model.pooled(second.inputs, second.stored)
        pooled, share = self._mix(vectors, others)
        return model.head(pooled), share

    def _mix(self, first: Tensor, second: Tensor | None) -> tuple[Tensor, float]:
        assert second is not None
        return self._mixing.mix(first, second if self._within is None else second[self._within], self._mixture)

    @property
    def targets(self) -> tuple[Tensor, Tensor]:
        """Of the examples and of their partners."""
        second = self._second.targets
        return self._first.targets, second if self._within is None else second[self._within]


def shared_loss(first: LossSum, second: LossSum, share: float) -> LossSum:
    """The loss of outputs whose examples are the first to some share, and the second for the rest."""
    return replace(
        first, sum=share * first.sum + (1 - share) * second.sum, weight=share * first.weight + (1 - share) * second.weight
    )
