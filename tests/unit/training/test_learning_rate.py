"""The range test: what it reads from a curve, that real curves lead to rates that learn, and that it leaves no trace."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from luthier.core.decision import Decision
from luthier.core.process import StopRequest
from luthier.core.progress import Quiet
from luthier.errors import DivergedError
from luthier.tasks.protocol import LossSum
from luthier.training.data import TrainingRows
from luthier.training.fit_settings import FitSettings
from luthier.training.learning_rate import choose_learning_rate, read_curve, smooth, with_rate
from luthier.training.loop import FitResult
from luthier.training.model import TunedModel

Make = Callable[..., TunedModel]
Run = Callable[..., FitResult]


def cross_entropy(outputs: Tensor, targets: Tensor) -> LossSum:
    return LossSum(sum=functional.cross_entropy(outputs, targets, reduction="sum"), weight=float(len(targets)))


def choose(model: TunedModel, rows: TrainingRows, settings: FitSettings, **other: Any) -> Decision[float]:
    with model.tuning(settings.boundary, settings.moves) as trainable:
        given = {"loss": cross_entropy, "observer": Quiet(), "stop": StopRequest()} | other
        return choose_learning_rate(model, trainable, rows, settings, **given)


def test_the_average_begins_with_the_first_value_and_forgets_it() -> None:
    values = [3.0] + [1.0] * 200
    assert smooth(values)[0] == pytest.approx(3.0)
    assert smooth(values)[-1] == pytest.approx(1.0, abs=1e-6)
    assert smooth([5.0] * 7) == pytest.approx([5.0] * 7)


def test_a_curve_with_a_valley_gives_the_rate_where_it_falls_fastest() -> None:
    """Falls from 1e-4 on, lowest at 1e-2, explodes after 1e-1."""
    rates = np.geomspace(1e-6, 1, 121)
    losses = -np.clip(np.log10(rates) + 4, 0, 2) + 8 * np.clip(np.log10(rates) + 1.7, 0, None)
    curve = read_curve(rates.tolist(), losses.tolist())
    assert 5e-3 < curve.lowest < 5e-2
    assert 1e-4 < curve.steepest < curve.lowest
    assert curve.suggestion == pytest.approx(curve.steepest, rel=0.06)


def test_too_few_points_are_no_curve() -> None:
    with pytest.raises(DivergedError) as caught:
        read_curve([1e-5, 2e-5], [0.1, 0.2])
    assert "after 2" in caught.value.problem
    assert "--learning-rate" in caught.value.remedy


def test_it_leaves_no_trace(make_model: Make, run: Run, settings: FitSettings, part: TrainingRows) -> None:
    plain, tried = make_model(), make_model()
    choose(tried, part, settings)
    assert run(plain, settings).losses == run(tried, settings).losses
    assert all(torch.equal(a, b) for a, b in zip(plain.state_dict().values(), tried.state_dict().values(), strict=True))


def test_the_rate_does_not_depend_on_the_rate_it_begins_from(
    make_model: Make, settings: FitSettings, part: TrainingRows
) -> None:
    """Within a factor of three: curves of 100 steps are coarse."""
    settings = replace(settings, boundary=0)
    found = [
        choose(make_model(dropout=0.0), part, replace(settings, learning_rate=rate, head_learning_rate=2.5 * rate)).value
        for rate in (3e-4, 3e-3)
    ]
    assert 1 / 3 < found[0] / found[1] < 3


def test_it_is_repeatable_and_says_what_it_saw(make_model: Make, settings: FitSettings, part: TrainingRows) -> None:
    first, second = (choose(make_model(), part, settings) for _ in range(2))
    assert first == second
    evidence = first.evidence
    assert len(evidence["rates"]) == len(evidence["losses"]) == len(evidence["smoothed"]) > 30
    assert evidence["rates"] == sorted(evidence["rates"])
    assert first.override == f"--learning-rate {first.value:g}"
    assert evidence["method"] == settings.learning_rate


def test_a_loss_that_explodes_ends_it_early(make_model: Make, settings: FitSettings, part: TrainingRows) -> None:
    steps = []

    def counts(outputs: Tensor, targets: Tensor) -> LossSum:
        steps.append(outputs.requires_grad)
        return cross_entropy(outputs, targets)

    decision = choose(make_model(), part, replace(settings, boundary=0, max_gradient_norm=1e9), loss=counts)
    assert sum(steps) < 100
    assert max(decision.evidence["rates"]) < 1e3 * settings.learning_rate


def test_a_loss_that_is_never_a_number_is_told(make_model: Make, settings: FitSettings, part: TrainingRows) -> None:
    with pytest.raises(DivergedError, match="after 0"):
        choose(make_model(), part, settings, loss=lambda outputs, targets: LossSum(sum=outputs.sum() * torch.nan, weight=1.0))


def test_head_and_blocks_keep_their_ratio(settings: FitSettings) -> None:
    rates = with_rate(replace(settings, learning_rate=1e-4, head_learning_rate=1e-3), 5e-4)
    assert (rates.learning_rate, rates.head_learning_rate) == pytest.approx((5e-4, 5e-3))
    only_head = with_rate(replace(settings, learning_rate=0.0, head_learning_rate=1e-3), 5e-3)
    assert (only_head.learning_rate, only_head.head_learning_rate) == pytest.approx((0.0, 5e-3))
