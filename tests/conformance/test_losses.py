"""Every member of the family of losses."""

from luthier.tasks.losses import LOSSES
from luthier.testing.conformance import LossConformance


class TestCrossEntropy(LossConformance):
    name = "cross-entropy"
    bad = ("2",)


class TestFocal(LossConformance):
    name = "focal"
    good = ("", "0", "0.5", "2", "5")
    bad = ("-1", "two", "nan", "inf")


def test_every_loss_has_its_class() -> None:
    assert {kind.name for kind in LossConformance.__subclasses__()} >= set(LOSSES)
