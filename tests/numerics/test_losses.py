"""Losses beside torch's own and a plain reference, and class weights beside scikit-learn's."""

import math

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from luthier.tasks.losses import build_loss
from luthier.tasks.protocol import LossRecipe
from luthier.tasks.text_classification import TASK
from luthier.training.balance import balanced_weights

WEIGHTS = (0.5, 2.0, 1.25)


def rows(number: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return 3 * torch.randn(number, 3, generator=generator), torch.randint(0, 3, (number,), generator=generator)


@pytest.mark.parametrize("weights", [(), WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.15])
def test_the_mean_over_micro_batches_is_torchs_mean(weights: tuple[float, ...], smoothing: float) -> None:
    logits, labels = rows()
    recipe = LossRecipe(label_smoothing=smoothing, class_weights=weights)
    parts = [TASK.loss(logits[part], labels[part], recipe=recipe) for part in (slice(0, 4), slice(4, 5), slice(5, 9))]
    mean = sum(float(part.sum) for part in parts) / sum(part.weight for part in parts)
    expected = functional.cross_entropy(
        logits, labels, weight=torch.tensor(weights) if weights else None, label_smoothing=smoothing, reduction="mean"
    )
    assert mean == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 2.0, 3.0])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.15])
def test_focal_loss_is_that_of_the_paper(gamma: float, weights: tuple[float, ...] | None, smoothing: float) -> None:
    """Equation 5 of Lin et al.: alpha (1 - p)^gamma times minus log p, one row and one class after the other."""
    logits, labels = rows()
    expected = 0.0
    for scores, label in zip(logits.tolist(), labels.tolist(), strict=True):
        total = sum(math.exp(score) for score in scores)
        for place, score in enumerate(scores):
            p = math.exp(score) / total
            share = smoothing / 3 + (1 - smoothing) * (place == label)
            expected -= share * (weights[place] if weights else 1) * (1 - p) ** gamma * math.log(p)
    balance = torch.tensor(weights) if weights else None
    found = build_loss(f"focal:{gamma}").total(logits, labels, balance, smoothing)
    assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.15])
def test_focal_loss_without_gamma_is_cross_entropy(smoothing: float) -> None:
    logits, labels = rows()
    for weights in (None, torch.tensor(WEIGHTS)):
        pair = [build_loss(name).total(logits, labels, weights, smoothing) for name in ("focal:0", "cross-entropy")]
        torch.testing.assert_close(*pair)


def test_balanced_weights_are_scikit_learns() -> None:
    targets = np.array([0] * 7 + [1] * 2 + [2] * 31)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=targets)
    np.testing.assert_allclose(balanced_weights(targets, 3), expected)
    assert balanced_weights(targets, 3)[targets].mean() == pytest.approx(1)


def test_a_class_without_rows_weighs_nothing() -> None:
    assert balanced_weights(np.array([0, 0, 2]), 3)[1] == 0
