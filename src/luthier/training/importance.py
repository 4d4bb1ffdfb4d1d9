"""Which pre-trained weights matter: the diagonal of the Fisher information, by which EWC holds on to them.

Labels are drawn from the model's own probabilities. Those of the data would give something else (the "empirical Fisher"), which
is large where the model is wrong, not where it depends on a weight.

Source: Kirkpatrick et al. 2017, "Overcoming catastrophic forgetting in neural networks"; Kunstner et al. 2019, "Limitations of
the empirical Fisher approximation".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from luthier.core.process import Stopwatch
from luthier.core.seeding import generator_for
from luthier.training.data import TrainingRows
from luthier.training.model import TunedModel
from luthier.training.processes import ALONE, Processes

MOST_ROWS = 256


@dataclass(frozen=True, kw_only=True)
class Importance:
    """The diagonal of the Fisher information at the start.

    Attributes:
        values: By name of the weight, in its shape.
        rows: How many rows it is the mean over.
        seconds: What it has taken.
    """

    values: Mapping[str, Tensor]
    rows: int
    seconds: float

    @property
    def num_weights(self) -> int:
        """How many weights it is known of."""
        return sum(value.numel() for value in self.values.values())

    @property
    def mean(self) -> float:
        """Over all weights: what the strength of the penalty is to be seen beside."""
        return sum(float(value.double().sum()) for value in self.values.values()) / max(1, self.num_weights)

    def __str__(self) -> str:
        return f"importance of {self.num_weights:,} weights from {self.rows:,} rows: {self.mean:.2g} on average"

    def event(self) -> dict[str, Any]:
        """What the journal keeps of it."""
        return {"event": "importance", "rows": self.rows, "weights": self.num_weights, "mean": self.mean}


def measure_importance(
    model: TunedModel, weights: Mapping[str, nn.Parameter], rows: TrainingRows, *, seed: int, processes: Processes = ALONE
) -> Importance:
    """The mean over some rows of the squared gradient of log p(label), the label drawn from the model's own probabilities.

    Args:
        model: Inside `tuning`, as it starts: pre-trained, under its first head. In evaluation mode throughout: no random
            number of the training is used up.
        weights: Those that are to be held, by name.
        rows: Of the training part.
        seed: Decides which rows, and the labels drawn.
        processes: Each computes its share.
    """
    watch, generator = Stopwatch(), generator_for(seed, "importance")
    places = generator.permutation(len(rows.rows))[:MOST_ROWS]
    lots = generator.random(len(places))
    values = {name: torch.zeros_like(item) for name, item in weights.items()}
    model.eval_mode()
    for place in processes.share_of(np.arange(len(places))):
        batch = rows.batch(places[place : place + 1])
        logits = model(batch.inputs, batch.stored).float()
        label = _drawn(logits, float(lots[place]))
        gradients = torch.autograd.grad(functional.cross_entropy(logits, label), list(weights.values()), allow_unused=True)
        for total, gradient in zip(values.values(), gradients, strict=True):
            if gradient is not None:
                total.addcmul_(gradient, gradient, value=1 / len(places))
    processes.sum_tensors(list(values.values()))
    return Importance(values=values, rows=len(places), seconds=watch.read().wall_seconds)


def _drawn(logits: Tensor, lot: float) -> Tensor:
    """The label at which the summed probabilities pass a number between 0 and 1."""
    summed = logits.detach().double().softmax(1).cumsum(1)
    return (summed < lot).sum(1).clamp(max=logits.shape[1] - 1)
