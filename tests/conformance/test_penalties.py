"""Every member of the family of penalties."""

from dataclasses import fields

from torch import Tensor

from luthier.testing.conformance import PenaltyConformance
from luthier.training.penalties import PENALTIES
from luthier.training.regularization import Penalties
from luthier.training.settings import TrainingSettings


class TestL1(PenaltyConformance):
    name = "l1"
    is_smooth = False

    def cost(self, weight: Tensor, pretrained: Tensor, importance: Tensor) -> Tensor:
        return weight.abs().sum()


class TestL2(PenaltyConformance):
    name = "l2"

    def cost(self, weight: Tensor, pretrained: Tensor, importance: Tensor) -> Tensor:
        return 0.5 * (weight**2).sum()


class TestTowardsPretrained(PenaltyConformance):
    name = "towards_pretrained"

    def cost(self, weight: Tensor, pretrained: Tensor, importance: Tensor) -> Tensor:
        return 0.5 * ((weight - pretrained) ** 2).sum()


class TestEwc(PenaltyConformance):
    name = "ewc"

    def cost(self, weight: Tensor, pretrained: Tensor, importance: Tensor) -> Tensor:
        return 0.5 * (importance * (weight - pretrained) ** 2).sum()


def test_every_penalty_has_its_class_and_its_setting() -> None:
    assert {kind.name for kind in PenaltyConformance.__subclasses__()} >= set(PENALTIES)
    assert {field.name for field in fields(Penalties)} == set(PENALTIES) <= set(TrainingSettings.model_fields)
