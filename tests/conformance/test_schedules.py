"""Every member of the family of learning-rate schedules."""

from luthier.testing.conformance import ScheduleConformance
from luthier.training.schedules import SCHEDULES


class TestConstant(ScheduleConformance):
    name = "constant"
    end = 1.0


class TestLinear(ScheduleConformance):
    name = "linear"


class TestCosine(ScheduleConformance):
    name = "cosine"


class TestPolynomial(ScheduleConformance):
    name = "polynomial"
    good = ("", "0.5", "3")
    bad = ("x", "0", "-1", "nan", "inf")


class TestTriangular(ScheduleConformance):
    name = "triangular"
    end = 1.0
    good = ("", "1", "7")
    bad = ("x", "0", "1.5", "1000")


class TestTriangular2(TestTriangular):
    name = "triangular2"
    end = 0.25


class TestExponentialCycles(TestTriangular):
    name = "exponential-cycles"
    end = 0.1


class TestOneCycle(ScheduleConformance):
    name = "one-cycle"
    start = 0.04
    end = 1e-4


class TestWarmRestarts(ScheduleConformance):
    name = "warm-restarts"
    good = ("", "1", "7")
    bad = ("x", "0", "1.5", "1000")


class TestPlateau(ScheduleConformance):
    name = "plateau"
    end = 1.0
    good = ("", "1", "7")
    bad = ("x", "0", "1.5", "1000")


def test_every_schedule_has_its_class() -> None:
    classes = [*ScheduleConformance.__subclasses__(), *TestTriangular.__subclasses__()]
    assert {kind.name for kind in classes} >= set(SCHEDULES)
