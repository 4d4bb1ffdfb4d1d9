"""The self-test where targets are several labels or numbers."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from luthier.errors import PreflightError
from luthier.tasks.protocol import LossSum
from luthier.testing.fitting import SHORT_FIT
from luthier.testing.inputs import family_inputs
from luthier.training.data import TrainingRows
from luthier.training.model import TunedModel
from luthier.training.preflight import Preflight, run_preflight
from luthier.training.preflight.subject import Subject, asked_names

Loss = Callable[[Tensor, Tensor], LossSum]
RATES = (2e-3, 2e-2)


def binary(outputs: Tensor, targets: Tensor) -> LossSum:
    return LossSum(
        sum=functional.binary_cross_entropy_with_logits(outputs, targets, reduction="sum"), weight=float(len(targets))
    )


def squared(outputs: Tensor, targets: Tensor) -> LossSum:
    return LossSum(sum=functional.mse_loss(outputs, targets, reduction="sum"), weight=float(len(targets)))


def deaf(outputs: Tensor, targets: Tensor) -> LossSum:
    return LossSum(sum=outputs.square().sum(), weight=float(len(targets)))


def rows_with(targets: np.ndarray) -> TrainingRows:
    inputs = family_inputs("bert", num_rows=len(targets), seed=0)
    return TrainingRows(inputs=inputs, rows=np.arange(len(targets)), targets=targets.astype(np.float32))


def stubborn(outputs: Tensor, targets: Tensor) -> LossSum:
    """A third of the loss stays whatever is learnt."""
    learnable = squared(outputs, targets)
    return LossSum(sum=learnable.sum + 1.0 * len(targets), weight=learnable.weight)


def examine(model: TunedModel, rows: TrainingRows, loss: Loss, *, silence: float = -math.inf) -> Preflight:
    settings = replace(SHORT_FIT, boundary=1, learning_rate=RATES[0], head_learning_rate=RATES[1], silence=silence)
    with model.tuning(1, "all") as trainable:
        given = {"trainable": trainable, "asked": asked_names(model, 1, "all"), "loss": loss, "plain_loss": loss}
        return run_preflight(Subject(model=model, rows=rows, settings=settings, rates=RATES, **given))  # type: ignore[arg-type]


@pytest.mark.parametrize("rare", [False, True])
def test_several_labels_pass_also_where_hardly_a_row_has_one(make_model: Callable[..., TunedModel], rare: bool) -> None:
    targets = np.zeros((20, 2)) if rare else np.random.default_rng(0).integers(0, 2, (20, 2))
    targets[3, 1] = 1
    done = examine(make_model(), rows_with(targets), binary)
    found = {check.name: check.found for check in done.checks}
    assert found["labels"] == "all targets are numbers, and the loss depends on them"
    assert "overfitting" in found


def test_numbers_pass(make_model: Callable[..., TunedModel]) -> None:
    targets = np.random.default_rng(0).normal(size=(20, 2))
    done = examine(make_model(), rows_with(targets), squared)
    assert {"labels", "trial steps", "overfitting"} <= {check.name for check in done.checks}


def test_half_of_the_loss_is_enough_only_where_a_model_first_learns_to_say_nothing(
    make_model: Callable[..., TunedModel],
) -> None:
    """That nothing is known of the first loss is no reason to ask for less."""
    targets = rows_with(np.random.default_rng(0).choice([-1.0, 1.0], size=(20, 2)))
    with pytest.raises(PreflightError, match="overfitting"):
        examine(make_model(), targets, stubborn)
    done = examine(make_model(), targets, stubborn, silence=-1.0)
    assert "overfitting" in {check.name for check in done.checks}


def test_a_number_that_is_none_is_named(make_model: Callable[..., TunedModel]) -> None:
    targets = np.zeros((20, 2))
    targets[7, 0] = np.nan
    with pytest.raises(PreflightError, match=r"expected finite numbers; 1 row has others \(the first: 7\)"):
        examine(make_model(), rows_with(targets), squared)


@pytest.mark.parametrize("targets", [np.zeros((20, 2)), np.full((20, 2), 0.5)])
def test_a_loss_that_does_not_listen_is_found_whatever_the_targets_are(
    make_model: Callable[..., TunedModel], targets: np.ndarray
) -> None:
    torch.manual_seed(0)
    with pytest.raises(PreflightError, match="does not depend on the labels"):
        examine(make_model(), rows_with(targets), deaf)
