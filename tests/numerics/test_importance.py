"""The importance of weights and the pull of EWC beside the definition, written out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from luthier.core.seeding import generator_for
from luthier.models.heads import LinearHead
from luthier.tasks.protocol import LossSum
from luthier.testing.backbones import tiny_backbone
from luthier.testing.inputs import family_inputs
from luthier.training import importance
from luthier.training.data import TrainingRows
from luthier.training.importance import measure_importance
from luthier.training.model import TunedModel
from luthier.training.regularization import Penalties, Regularizer

NUM_ROWS = 9


@pytest.fixture
def rows() -> TrainingRows:
    inputs = family_inputs("bert", num_rows=NUM_ROWS, seed=0)
    return TrainingRows(inputs=inputs, rows=np.arange(NUM_ROWS), targets=np.zeros(NUM_ROWS, dtype=np.int64))


@pytest.fixture
def model() -> TunedModel:
    backbone = tiny_backbone("bert", seed=0)
    model = TunedModel(backbone, LinearHead(backbone.width, 3, dropout=0.5, seed=0))
    with torch.no_grad():
        model.head.linear.weight.mul_(40)  # type: ignore[union-attr, operator]
    return model


def test_it_is_the_mean_of_squared_gradients_of_single_rows(model: TunedModel, rows: TrainingRows) -> None:
    """Labels from the model's own probabilities, drawn with the same lots; gradients of log p by a plain backward pass."""
    generator = generator_for(4, "importance")
    places = generator.permutation(NUM_ROWS)
    lots = generator.random(NUM_ROWS)
    with model.tuning(1) as trainable:
        weights = {name: item for name, item in trainable.items() if name.startswith("backbone.")}
        found = measure_importance(model, weights, rows, seed=4)
        expected = {name: torch.zeros_like(item) for name, item in weights.items()}
        labels = []
        for place, lot in zip(places, lots, strict=True):
            model.zero_grad()
            log_probs = torch.log_softmax(model(rows.batch(np.array([place])).inputs)[0], dim=0)
            label = int(np.searchsorted(np.cumsum(log_probs.detach().double().exp().numpy()), lot))
            labels.append(label)
            log_probs[label].backward()  # type: ignore[no-untyped-call]
            for name, item in weights.items():
                expected[name] += item.grad**2 / NUM_ROWS if item.grad is not None else 0
    assert len(set(labels)) > 1
    assert found.rows == NUM_ROWS
    for name, value in expected.items():
        torch.testing.assert_close(found.values[name], value, rtol=1e-4, atol=1e-9)
    assert found.mean == pytest.approx(float(torch.cat([value.flatten() for value in expected.values()]).mean()), rel=1e-4)


def test_it_takes_no_random_number_of_the_training(model: TunedModel, rows: TrainingRows) -> None:
    with model.tuning(1) as trainable:
        before = torch.get_rng_state()
        pair = [measure_importance(model, trainable, rows, seed=seed) for seed in (0, 0)]
        assert torch.equal(torch.get_rng_state(), before)
        assert all(torch.equal(pair[0].values[name], pair[1].values[name]) for name in trainable)
        assert all(item.grad is None for item in trainable.values())


def test_of_many_rows_some_are_drawn(model: TunedModel, rows: TrainingRows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importance, "MOST_ROWS", 4)
    with model.tuning(2) as trainable:
        first, other = (measure_importance(model, trainable, rows, seed=seed) for seed in (0, 1))
    assert first.rows == 4
    assert first.mean != other.mean


def test_a_batch_of_targets_changes_nothing(model: TunedModel, rows: TrainingRows) -> None:
    """The labels of the data are not asked."""
    with model.tuning(2) as trainable:
        others = replace(rows, targets=np.full(NUM_ROWS, 2))
        pair = [measure_importance(model, trainable, part, seed=0).mean for part in (rows, others)]
    assert pair[0] == pair[1]


def test_the_pull_is_the_gradient_of_the_penalty() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = {"backbone.network.a": (3, 2), "backbone.network.b": (4,), "head.linear.weight": (2, 4)}
    trainable = {name: torch.nn.Parameter(torch.randn(shape, generator=generator)) for name, shape in shapes.items()}
    anchors = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items() if name.startswith("backbone")}
    values = {name: torch.rand(shapes[name], generator=generator) for name in anchors}
    penalty = 0.5 * 7.0 * sum((values[name] * (trainable[name] - anchors[name]) ** 2).sum() for name in anchors)
    expected = torch.autograd.grad(penalty, list(trainable.values()), allow_unused=True)
    for item in trainable.values():
        item.grad = torch.ones_like(item)
    regularizer = Regularizer(trainable, Penalties(ewc=7.0), pretrained=anchors)
    assert set(regularizer.held) == set(anchors)
    regularizer.know_importance(values)
    regularizer.add_gradients()
    for item, gradient in zip(trainable.values(), expected, strict=True):
        assert item.grad is not None
        torch.testing.assert_close(item.grad, 1.0 + (torch.zeros_like(item) if gradient is None else gradient))


@pytest.mark.parametrize("loss_name", ["binary", "squared"])
def test_of_other_targets_it_is_the_empirical_fisher(model: TunedModel, rows: TrainingRows, loss_name: str) -> None:
    """The mean of the squared gradients of each row's own loss under its own targets, by a plain backward pass."""
    targets = np.random.default_rng(0).integers(0, 2, (NUM_ROWS, 3)).astype(np.float32)
    rows = replace(rows, targets=targets)
    function = {"binary": functional.binary_cross_entropy_with_logits, "squared": functional.mse_loss}[loss_name]

    def loss(outputs: torch.Tensor, wanted: torch.Tensor) -> LossSum:
        return LossSum(sum=function(outputs, wanted, reduction="sum"), weight=float(len(wanted)))

    with model.tuning(1) as trainable:
        weights = {name: item for name, item in trainable.items() if name.startswith("backbone.")}
        found = measure_importance(model, weights, rows, loss=loss, seed=4)
        expected = {name: torch.zeros_like(item) for name, item in weights.items()}
        for place in range(NUM_ROWS):
            model.zero_grad()
            outputs = model(rows.batch(np.array([place])).inputs)
            loss(outputs, torch.from_numpy(targets[place : place + 1])).sum.backward()  # type: ignore[no-untyped-call]
            for name, item in weights.items():
                expected[name] += item.grad**2 / NUM_ROWS if item.grad is not None else 0
    assert found.is_empirical
    assert "empirical Fisher" in str(found)
    for name, value in expected.items():
        torch.testing.assert_close(found.values[name], value, rtol=1e-4, atol=1e-9)
