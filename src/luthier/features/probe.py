"""A linear probe on frozen features, its penalty chosen on validation: logistic regression of a label, of each of several
labels, or ridge regression of numbers.

Use when: always, as the first rung; alone where there are few rows, or where seconds count.
Cost: seconds. Suggested values: the penalties tried span six decades.
Source: Alain & Bengio 2016, "Understanding intermediate layers using linear classifier probes"; L-BFGS: Liu & Nocedal 1989.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from luthier.tasks.protocol import ProbeLoss

MeanLoss = Callable[[Tensor, Tensor], Tensor]
PENALTIES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
START_PENALTY = 2.0  # divided by the number of labels; chosen on the validation rows of several data sets: docs/lab-notebook.md

# The same for the other losses: not divided, since each output has a loss of its own.
START_PENALTIES: Mapping[str, float] = {"binary": 0.05, "squared": 0.05}


@dataclass(frozen=True, kw_only=True)
class LinearLayer:
    """A linear layer on raw pooled features.

    Attributes:
        weight: [C, D].
        bias: [C].
    """

    weight: Float[np.ndarray, "C D"]
    bias: Float[np.ndarray, " C"]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A fitted linear probe.

    Attributes:
        best: With the penalty that is best on validation: the probe that is scored, and kept where nothing beats it.
        start: With a strong penalty: the head under which blocks are tuned. It points the same way, but leaves some of the
            loss for the blocks to learn from; under a head that was fitted to the end they hardly move, or move wrongly.
        normalize: Whether features are scaled to length one before.
        penalty: The L2 penalty chosen.
        validation_loss: Mean loss on validation.
        tried: Penalty -> validation loss.
        class_weights: Of each label in the loss, where they were given.
    """

    best: LinearLayer
    start: LinearLayer
    normalize: bool
    penalty: float
    validation_loss: float
    tried: dict[float, float]
    class_weights: Float[np.ndarray, " C"] | None = None

    def logits(self, features: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N C"]:
        """Logits of pooled features."""
        return self._apply(self.best, features)

    def start_logits(self, features: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N C"]:
        """Logits under the head that blocks are tuned under, before any block has moved."""
        return self._apply(self.start, features)

    def _apply(self, layer: LinearLayer, features: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N C"]:
        return np.asarray((unit_length(features) if self.normalize else features) @ layer.weight.T + layer.bias)


def unit_length(features: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N D"]:
    """Rows scaled to length one."""
    return np.asarray(features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12))


def fit_probe(
    train: tuple[Float[np.ndarray, "N D"], np.ndarray],
    validation: tuple[Float[np.ndarray, "M D"], np.ndarray],
    *,
    num_outputs: int,
    normalize: bool,
    loss: ProbeLoss = "cross-entropy",
    penalties: Sequence[float] = PENALTIES,
    class_weights: Float[np.ndarray, " C"] | None = None,
    row_weights: Float[np.ndarray, " N"] | None = None,
) -> Probe:
    """Fit one probe for each penalty, from the strongest to the weakest, each from the last; choose the best on validation.

    Features are centred on the training part's mean and scaled by one number, their overall deviation; both are folded into
    the weights, so that the result is one linear layer on the features as they come. Scaling each feature by its own
    deviation scores the same, but gives nearly constant features weights in the hundreds, and blocks that are tuned under
    such a head diverge (docs/lab-notebook.md).

    Args:
        train, validation: Features and targets, all known: labels [N] for cross-entropy, else [N, C].
        num_outputs: C.
        loss: What is lowered: `cross-entropy`, `binary` (of each output against 0 or 1), or `squared`; a mean over rows.
        normalize: Scale features to length one first.
        class_weights: Of each label, in the loss that is lowered and in the one that chooses; None: all weigh 1.
        row_weights: Of each row of train, in the loss that is lowered; None: all weigh 1.

    Example:
        >>> points = np.array([[0.0, 1.0], [1.0, 0.0]] * 4)
        >>> labels = np.array([0, 1] * 4)
        >>> probe = fit_probe((points, labels), (points, labels), num_outputs=2, normalize=False)
        >>> probe.logits(points).argmax(1).tolist() == labels.tolist()
        True
    """
    scaled = [unit_length(part[0]) if normalize else part[0] for part in (train, validation)]
    mean = scaled[0].mean(0)
    deviation = max(float(np.sqrt(scaled[0].var(0).mean())), 1e-6)
    features, others = (torch.from_numpy(((part - mean) / deviation).astype(np.float32)) for part in scaled)
    targets, other_targets = torch.from_numpy(train[1]), torch.from_numpy(validation[1])
    weights = torch.zeros(num_outputs, features.shape[1] + 1)
    balance = None if class_weights is None else torch.from_numpy(class_weights.astype(np.float32))
    mean_loss = _mean_loss(loss, balance)
    lowered = mean_loss
    if row_weights is not None:
        lowered = _weighted_loss(loss, balance, torch.from_numpy(row_weights.astype(np.float32)))
    fitted: dict[float, Tensor] = {}
    tried = {}
    strong = START_PENALTY / num_outputs if loss == "cross-entropy" else START_PENALTIES[loss]
    for penalty in sorted({strong, *penalties}, reverse=True):
        fitted[penalty] = weights = _minimise(weights, features, targets, penalty, lowered)
        if penalty in penalties:
            logits = others @ weights[:, :-1].T + weights[:, -1]
            tried[penalty] = float(mean_loss(logits, other_targets))
    best = min(tried, key=tried.__getitem__)
    return Probe(
        best=_unscaled(fitted[best], mean, deviation),
        start=_unscaled(fitted[max(best, strong)], mean, deviation),
        normalize=normalize,
        penalty=best,
        validation_loss=tried[best],
        tried=tried,
        class_weights=class_weights,
    )


def _unscaled(weights: Tensor, mean: Float[np.ndarray, " D"], deviation: float) -> LinearLayer:
    """Weights [C, D + 1] for centred and scaled features, as a layer on the features as they come."""
    weight = weights[:, :-1].numpy() / deviation
    return LinearLayer(weight=weight.astype(np.float32), bias=(weights[:, -1].numpy() - weight @ mean).astype(np.float32))


def _mean_loss(loss: ProbeLoss, balance: Tensor | None) -> MeanLoss:
    """(outputs, targets) -> the mean over rows."""
    if loss == "cross-entropy":
        return lambda outputs, targets: functional.cross_entropy(outputs, targets, weight=balance)
    if loss == "binary":
        return lambda outputs, targets: (
            functional.binary_cross_entropy_with_logits(outputs, targets, reduction="sum") / max(1, len(targets))
        )
    return lambda outputs, targets: functional.mse_loss(outputs, targets, reduction="sum") / max(1, len(targets))


def _weighted_loss(loss: ProbeLoss, balance: Tensor | None, rows: Tensor) -> MeanLoss:
    """(outputs, targets) of all rows of train -> their mean by weight."""

    def weighted(outputs: Tensor, targets: Tensor) -> Tensor:
        if loss == "cross-entropy":
            losses = functional.cross_entropy(outputs, targets, weight=balance, reduction="none")
            weights = rows if balance is None else rows * balance[targets]
            return (losses * rows).sum() / weights.sum()
        if loss == "binary":
            losses = functional.binary_cross_entropy_with_logits(outputs, targets, reduction="none").flatten(1).sum(1)
        else:
            losses = functional.mse_loss(outputs, targets, reduction="none").flatten(1).sum(1)
        return (losses * rows).sum() / rows.sum()

    return weighted


def _minimise(start: Tensor, features: Tensor, targets: Tensor, penalty: float, mean_loss: MeanLoss) -> Tensor:
    """Mean loss plus penalty / 2 times the squared weights, by L-BFGS."""
    weights = start.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS(
        [weights], max_iter=60, history_size=8, tolerance_grad=1e-5, tolerance_change=1e-7, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = mean_loss(features @ weights[:, :-1].T + weights[:, -1], targets)
        loss = loss + 0.5 * penalty * weights[:, :-1].square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return weights.detach()
