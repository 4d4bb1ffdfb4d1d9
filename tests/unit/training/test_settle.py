"""What was settled before a rung's first step is the same for whoever goes on with the run."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from luthier.core.process import StopRequest
from luthier.core.progress import Quiet
from luthier.tasks.protocol import LossSum
from luthier.training.data import TrainingRows
from luthier.training.fit_settings import FitSettings
from luthier.training.loop import Supervision
from luthier.training.methods import build_rung
from luthier.training.model import TunedModel
from luthier.training.settle import Opening


def cross_entropy(outputs: Tensor, targets: Tensor) -> LossSum:
    return LossSum(sum=functional.cross_entropy(outputs, targets, reduction="sum"), weight=float(len(targets)))


def test_a_rate_that_was_found_is_remembered_with_its_reason(
    make_model: Callable[..., TunedModel], part: TrainingRows, settings: FitSettings, tmp_path: Path
) -> None:
    model, rung = make_model(), build_rung("top-blocks:2", num_blocks=3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    opening = Opening(finds_rate=True, file=tmp_path / "checkpoints" / "settled.json")
    supervision = Supervision(observer=Quiet(), record=lambda event: None, stop=StopRequest())
    found = opening.settle(model, rung, (part, part), settings, loss=cross_entropy, supervision=supervision)
    assert found.learning_rate != settings.learning_rate
    assert found.head_learning_rate / found.learning_rate == pytest.approx(settings.head_learning_rate / settings.learning_rate)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    again = Opening(finds_rate=True, file=opening.file)
    again.remember()
    assert again.settled["top-blocks:2"].applied(settings) == found
    assert again.decisions == opening.decisions
    assert opening.decisions[0].evidence["rung"] == "top-blocks:2"


def test_where_nothing_is_tried_the_settings_stay(
    make_model: Callable[..., TunedModel], part: TrainingRows, settings: FitSettings
) -> None:
    rung = build_rung("top-blocks:2", num_blocks=3)
    supervision = Supervision(observer=Quiet(), record=lambda event: None, stop=StopRequest())
    opening = Opening()
    assert opening.settle(make_model(), rung, (part, part), settings, loss=cross_entropy, supervision=supervision) == settings
    assert opening.decisions == []
