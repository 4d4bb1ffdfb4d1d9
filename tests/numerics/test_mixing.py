"""Mixup and CutMix beside plain loops, as pixels, as stored states and as pooled vectors; cut into micro-batches or not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional

from luthier.errors import SpecError
from luthier.models.heads import LinearHead
from luthier.tasks.protocol import LossSum
from luthier.testing.backbones import tiny_backbone
from luthier.testing.fitting import SHORT_FIT
from luthier.testing.inputs import family_inputs
from luthier.training.data import TrainingRows
from luthier.training.mixing import MIXINGS, draw_mixture, refuse_unfit_mixing
from luthier.training.mixing.batch import MixedBatch
from luthier.training.mixing.mixture import MixingSettings, Mixture
from luthier.training.model import TunedModel
from luthier.training.step import Stepper

BATCH = 12


def rows_of(family: str) -> TrainingRows:
    targets = np.random.default_rng(0).integers(0, 3, 20)
    padded = family == "bert"
    return TrainingRows(
        inputs=family_inputs(family, num_rows=20, seed=0), rows=np.arange(20), targets=targets, is_padded=padded
    )


def model_of(family: str) -> TunedModel:
    backbone = tiny_backbone(family, seed=0)
    model = TunedModel(backbone, LinearHead(backbone.width, 3, dropout=0.0, seed=0))
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def cross_entropy(outputs: torch.Tensor, targets: torch.Tensor) -> LossSum:
    weights = torch.tensor([0.5, 1.0, 3.0])
    total = functional.cross_entropy(outputs, targets, weight=weights, reduction="sum")
    return LossSum(sum=total, weight=float(weights.double()[targets].sum()))


def drawn(name: str, step: int = 0) -> Mixture:
    mixture = draw_mixture(MixingSettings(**{name: 1.0}), seed=1, step=step, size=BATCH)
    assert mixture is not None
    return mixture


def test_mixup_is_the_weighted_mean() -> None:
    first, second, mixture = torch.randn(BATCH, 5), torch.randn(BATCH, 5), drawn("mixup")
    mixed, share = MIXINGS["mixup"].mix(first, second, mixture)
    assert share == mixture.share
    for row in range(BATCH):
        for place in range(5):
            expected = share * float(first[row, place]) + (1 - share) * float(second[row, place])
            assert float(mixed[row, place]) == pytest.approx(expected, abs=1e-6)


def test_cutmix_pastes_one_rectangle_of_the_area_that_it_says() -> None:
    """Algorithm 1 of Yun et al.: sides of sqrt(1 - lambda), cut off at the edges, lambda adjusted to the area that is left."""
    height, width = 32, 20
    first, second = torch.zeros(1, 3, height, width), torch.ones(1, 3, height, width)
    for step in range(50):
        mixture = drawn("cutmix", step)
        mixed, share = MIXINGS["cutmix"].mix(first, second, mixture)
        side = (1 - mixture.share) ** 0.5
        rows, columns = int(mixture.centre[0] * height), int(mixture.centre[1] * width)
        tall, wide = int(height * side) // 2, int(width * side) // 2
        for row in range(height):
            for column in range(width):
                inside = rows - tall <= row < rows + tall and columns - wide <= column < columns + wide
                assert float(mixed[0, 0, row, column]) == inside
        assert share == pytest.approx(1 - float(mixed.mean()), abs=1e-6)


def test_shares_follow_the_beta_distribution() -> None:
    shares = [draw_mixture(MixingSettings(mixup=0.4), seed=0, step=step, size=2).share for step in range(400)]  # type: ignore[union-attr]
    assert stats.kstest(shares, stats.beta(0.4, 0.4).cdf).pvalue > 0.01


def test_of_two_ways_each_step_takes_one() -> None:
    names = [draw_mixture(MixingSettings(mixup=1, cutmix=1), seed=0, step=step, size=2).name for step in range(60)]  # type: ignore[union-attr]
    assert 15 < names.count("mixup") < 45


@pytest.mark.parametrize(("family", "name"), [("bert", "mixup"), ("mobilenet_v2", "mixup"), ("mobilenet_v2", "cutmix")])
def test_a_mixed_step_is_the_plain_sum_over_pairs(family: str, name: str) -> None:
    """The loss of the whole batch, written out, whatever the size of the micro-batches; and so are the gradients."""
    rows, places, mixture = rows_of(family), np.random.default_rng(5).permutation(20)[:BATCH], drawn(name, 3)
    model = model_of(family)
    with model.tuning(0) as trainable:
        model.training_mode()
        first, second = rows.batch(places), rows.batch(places[mixture.partners])
        if family == "bert":
            pooled, share = MIXINGS[name].mix(model.pooled(first.inputs), model.pooled(second.inputs), mixture)
            outputs = model.head(pooled)
        else:
            pixels, share = MIXINGS[name].mix(first.inputs["pixel_values"], second.inputs["pixel_values"], mixture)
            outputs = model({"pixel_values": pixels})
        pairs = cross_entropy(outputs, first.targets), cross_entropy(outputs, second.targets)
        total = share * pairs[0].sum + (1 - share) * pairs[1].sum
        weight = share * pairs[0].weight + (1 - share) * pairs[1].weight
        expected = torch.autograd.grad(total / weight, list(trainable.values()), allow_unused=True)
        for size in (BATCH, 5, 1):
            stepper = Stepper(model, trainable, replace(SHORT_FIT, batch_size=BATCH, micro_batch=size), loss=cross_entropy)
            found, over = stepper.accumulate(rows, places, mixture)
            assert found / over == pytest.approx(float((total / weight).detach()), rel=1e-5)
            for parameter, gradient in zip(trainable.values(), expected, strict=True):
                if gradient is not None:
                    assert parameter.grad is not None
                    torch.testing.assert_close(parameter.grad / over, gradient, rtol=1e-3, atol=1e-5)


def test_stored_states_of_one_shape_are_mixed_where_they_enter() -> None:
    """The tail of the network sees the mean of what the frozen blocks gave."""
    rows, model, mixture = rows_of("mobilenet_v2"), model_of("mobilenet_v2"), drawn("mixup")
    places = np.arange(BATCH)
    batch = rows.batch(places)
    model.backbone.rehearse(batch.inputs)
    stored = model.backbone.activations(batch.inputs, [3])[3].detach()

    class Stored(TrainingRows):
        def batch(self, places):  # type: ignore[no-untyped-def]
            return replace(super().batch(places), stored=stored[places])

    with model.backbone.starting_at(3):
        mixed, share = MixedBatch(Stored(**vars(rows)), places, places, mixture).outputs(model)
        expected = model(batch.inputs, share * stored + (1 - share) * stored[mixture.partners])
    torch.testing.assert_close(mixed, expected)


def test_nothing_is_mixed_where_nothing_was_asked_for() -> None:
    assert draw_mixture(MixingSettings(), seed=0, step=0, size=4) is None


def test_texts_cannot_be_cut() -> None:
    with pytest.raises(SpecError, match="CutMix pastes a piece of one picture into another, and the data are text") as caught:
        refuse_unfit_mixing(MixingSettings(cutmix=1.0), "text")
    assert caught.value.remedy.startswith("--mixup 1")
