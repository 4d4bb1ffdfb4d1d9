"""Every member of the family of optimizers."""

from luthier.testing.conformance import OptimizerConformance
from luthier.training.optimizer import OPTIMIZERS


class TestAdamw(OptimizerConformance):
    name = "adamw"


class TestAdam(OptimizerConformance):
    name = "adam"


class TestSgd(OptimizerConformance):
    name = "sgd"
    good = ("", "0", "0.5", "0.9")
    bad = ("x", "1", "-0.1", "nan", "inf")


class TestAdafactor(OptimizerConformance):
    name = "adafactor"


def test_every_optimizer_has_its_class() -> None:
    assert {kind.name for kind in OptimizerConformance.__subclasses__()} >= set(OPTIMIZERS)
