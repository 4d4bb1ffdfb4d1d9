"""Every member of the family of learning-rate schedules."""

from luthier.testing.conformance import ScheduleConformance
from luthier.training.schedules import SCHEDULES


class TestConstant(ScheduleConformance):
    name = "constant"
    end = 1.0


class TestLinear(ScheduleConformance):
    name = "linear"
    end = 0.0


class TestCosine(ScheduleConformance):
    name = "cosine"
    end = 0.0


def test_every_schedule_has_its_class() -> None:
    assert {kind.name for kind in ScheduleConformance.__subclasses__()} >= set(SCHEDULES)
