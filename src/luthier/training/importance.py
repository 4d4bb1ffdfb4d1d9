"""Which pre-trained weights matter: the diagonal of the Fisher information, by which EWC holds on to them.

Where rows have one label, labels are drawn from the model's own probabilities. Those of the data would give something else (the
"empirical Fisher"), which is large where the model is wrong, not where it depends on a weight. Other targets (several labels,
numbers, tags, ...) come with no common way to draw them: there the empirical Fisher is taken, and the run says so.

Source: Kirkpatrick et al. 2017, "Overcoming catastrophic forgetting in neural networks"; Kunstner et al. 2019, "Limitations of
the empirical Fisher approximation".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from luthier.core.process import Stopwatch
from luthier.core.seeding import generator_for
from luthier.tasks.protocol import LossSum
from luthier.training.data import TrainingRows
from luthier.training.model import TunedModel
from luthier.training.processes import ALONE, Processes

Loss = Callable[[Tensor, Tensor], LossSum]
MOST_ROWS = 256


@dataclass(frozen=True, kw_only=True)
class Importance:
    """The diagonal of the Fisher information at the start.

    Attributes:
        values: By name of the weight, in its shape.
        rows: How many rows it is the mean over.
        seconds: What it has taken.
        is_empirical: Whether the data's own targets stood in for drawn ones.
    """

    values: Mapping[str, Tensor]
    rows: int
    seconds: float
    is_empirical: bool = False

    @property
    def num_weights(self) -> int:
        """How many weights it is known of."""
        return sum(value.numel() for value in self.values.values())

    @property
    def mean(self) -> float:
        """Over all weights: what the strength of the penalty is to be seen beside."""
        return sum(float(value.double().sum()) for value in self.values.values()) / max(1, self.num_weights)

    def __str__(self) -> str:
        by = " by their own targets (empirical Fisher)" if self.is_empirical else ""
        return f"importance of {self.num_weights:,} weights from {self.rows:,} rows{by}: {self.mean:.2g} on average"

    def event(self) -> dict[str, Any]:
        """What the journal keeps of it."""
        event = {"event": "importance", "rows": self.rows, "weights": self.num_weights, "mean": self.mean}
        return {**event, "empirical": self.is_empirical}


def measure_importance(
    model: TunedModel,
    weights: Mapping[str, nn.Parameter],
    rows: TrainingRows,
    *,
    loss: Loss | None = None,
    seed: int,
    processes: Processes = ALONE,
) -> Importance:
    """The mean over some rows of the squared gradient of log p(label), the label drawn from the model's own probabilities.

    Where targets are something else than one label a row, of the squared gradient of the row's loss.

    Args:
        model: Inside `tuning`, as it starts: pre-trained, under its first head. In evaluation mode throughout: no random
            number of the training is used up.
        weights: Those that are to be held, by name.
        rows: Of the training part.
        loss: Of the training; needed where rows do not have one label each.
        seed: Decides which rows, and the labels drawn.
        processes: Each computes its share.
    """
    watch, generator = Stopwatch(), generator_for(seed, "importance")
    places = generator.permutation(len(rows.rows))[:MOST_ROWS]
    lots = generator.random(len(places))
    values = {name: torch.zeros_like(item) for name, item in weights.items()}
    is_empirical = rows.targets.ndim != 1 or not np.issubdtype(rows.targets.dtype, np.integer)
    model.eval_mode()
    for place in processes.share_of(np.arange(len(places))):
        batch = rows.batch(places[place : place + 1])
        outputs = model(batch.inputs, batch.stored).float()
        if is_empirical:
            assert loss is not None
            of_row = loss(outputs, batch.targets).sum
        else:
            of_row = functional.cross_entropy(outputs, _drawn(outputs, float(lots[place])))
        gradients = torch.autograd.grad(of_row, list(weights.values()), allow_unused=True)
        for total, gradient in zip(values.values(), gradients, strict=True):
            if gradient is not None:
                total.addcmul_(gradient, gradient, value=1 / len(places))
    processes.sum_tensors(list(values.values()))
    seconds = watch.read().wall_seconds
    return Importance(values=values, rows=len(places), seconds=seconds, is_empirical=is_empirical)


def _drawn(logits: Tensor, lot: float) -> Tensor:
    """The label at which the summed probabilities pass a number between 0 and 1."""
    summed = logits.detach().double().softmax(1).cumsum(1)
    return (summed < lot).sum(1).clamp(max=logits.shape[1] - 1)
