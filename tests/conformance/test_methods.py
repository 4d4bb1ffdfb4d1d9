"""Every member of the family of methods."""

from luthier.testing.conformance import MethodConformance
from luthier.training.methods import METHODS


class TestProbe(MethodConformance):
    name = "probe"
    good = (("", 6),)


class TestTopBlocks(MethodConformance):
    name = "top-blocks"
    good = (("1", 5), ("2", 4), ("5", 1))
    bad = ("", "0", "6", "99", "-1", "two", "1.5")


class TestFull(MethodConformance):
    name = "full"
    good = (("", 0),)


class TestGradual(MethodConformance):
    name = "gradual"
    good = (("", 0), ("2", 0), ("0.5", 0), ("stall", 0))
    bad = ("0", "-1", "x", "1000", "stalls")


class TestBitfit(MethodConformance):
    name = "bitfit"
    good = (("", 0), ("1", 5), ("6", 0))
    bad = ("0", "7", "-1", "x", "2:2")


class TestLora(MethodConformance):
    name = "lora"
    good = (("8", 0), ("1", 0), ("8:3", 3), ("4:6", 0))
    bad = ("", "0", "abc", "-1", "1.5", "8:0", "8:7", "8:99", "8:x", "8:3:1", ":3", "\u00b2")


class TestDora(TestLora):
    name = "dora"


class TestIa3(MethodConformance):
    name = "ia3"
    good = (("", 0), ("1", 5), ("6", 0))
    bad = ("0", "7", "-1", "x", "2:2")


def test_every_method_has_its_class() -> None:
    classes = [*MethodConformance.__subclasses__(), *TestLora.__subclasses__()]
    assert {kind.name for kind in classes} >= set(METHODS)
