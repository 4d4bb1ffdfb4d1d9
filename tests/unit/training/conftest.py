"""A tiny text model, encoded rows with learnable targets, and settings of the loop."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from luthier.core.process import StopRequest
from luthier.core.progress import Quiet
from luthier.models.heads import LinearHead
from luthier.tasks.inputs import TokenInputs
from luthier.tasks.protocol import LossSum
from luthier.testing.backbones import tiny_backbone
from luthier.testing.fitting import SHORT_FIT
from luthier.testing.inputs import family_inputs
from luthier.training.data import TrainingRows
from luthier.training.fit_settings import FitSettings
from luthier.training.loop import FitResult, Objective, Supervision, fit
from luthier.training.model import TunedModel

NUM_ROWS = 48


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def settings() -> FitSettings:
    return replace(SHORT_FIT, boundary=1, learning_rate=2e-3, head_learning_rate=5e-3, warmup_fraction=0.2)


@pytest.fixture
def part() -> TrainingRows:
    """48 texts whose target is whether low or high ids prevail in them."""
    inputs = family_inputs("bert", num_rows=NUM_ROWS, seed=0)
    assert isinstance(inputs, TokenInputs)
    means = [inputs.ids[inputs.offsets[row] : inputs.offsets[row + 1]].mean() for row in range(NUM_ROWS)]
    targets = (np.array(means) > np.median(means)).astype(np.int64)
    return TrainingRows(inputs=inputs, rows=np.arange(NUM_ROWS), targets=targets)


@pytest.fixture
def make_model() -> Callable[..., TunedModel]:
    """A fresh model of a family, always with the same weights."""

    def make(family: str = "bert", *, dropout: float = 0.1) -> TunedModel:
        backbone = tiny_backbone(family, seed=0)
        return TunedModel(backbone, LinearHead(backbone.width, 2, dropout=dropout, seed=0))

    return make


def cross_entropy(outputs: Tensor, targets: Tensor) -> LossSum:
    return LossSum(sum=functional.cross_entropy(outputs, targets, reduction="sum"), weight=float(len(targets)))


@pytest.fixture
def run(part: TrainingRows) -> Callable[..., FitResult]:
    """`fit` on the part, validated on the same, with what a test does not care about filled in."""

    def accuracy(outputs: np.ndarray) -> Mapping[str, float]:
        return {"accuracy": float((outputs.argmax(1) == part.targets).mean())}

    def run(model: TunedModel, settings: FitSettings, **other: Any) -> FitResult:
        given = {
            "loss": cross_entropy,
            "score": accuracy,
            "observer": Quiet(),
            "record": lambda event: None,
            "stop": StopRequest(),
        }
        everything = {**given, **other}
        objective = Objective(loss=everything.pop("loss"), score=everything.pop("score"), primary="accuracy")
        return fit(model, lambda boundary: (part, part), settings, objective=objective, supervision=Supervision(**everything))

    return run
