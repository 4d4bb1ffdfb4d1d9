"""Every member of the family of tasks."""

from luthier.data.schema import Kind
from luthier.tasks import TASKS
from luthier.testing.conformance import TaskConformance


class TestTextClassification(TaskConformance):
    name = "text-classification"


class TestTextPairClassification(TaskConformance):
    name = "text-pair-classification"


class TestImageClassification(TaskConformance):
    name = "image-classification"


class TestAudioClassification(TaskConformance):
    name = "audio-classification"


LISTS = ('["lost"]', '["broken", "late"]', '["lost", "late"]', "[]", '["late"]', None, '["lost"]', '["broken"]')
NUMBERS = ("1.5", "2", "3.25", "-4", "0.5", "1e1", "7", "2.25")


class ListConformance(TaskConformance):
    values = LISTS
    unknown = None

    def kinds(self) -> dict[str, Kind]:
        return {"answer": Kind.LIST}


class NumberConformance(TaskConformance):
    values = NUMBERS
    unknown = "not a number"

    def kinds(self) -> dict[str, Kind]:
        return {"answer": Kind.NUMBER}


class TestTextMultiLabel(ListConformance):
    name = "text-multi-label"


class TestTextPairMultiLabel(ListConformance):
    name = "text-pair-multi-label"


class TestImageMultiLabel(ListConformance):
    name = "image-multi-label"


class TestTextRegression(NumberConformance):
    name = "text-regression"


class TestTextPairRegression(NumberConformance):
    name = "text-pair-regression"


class TestImageRegression(NumberConformance):
    name = "image-regression"


def judges(kind: type) -> set[str]:
    return {name for judge in kind.__subclasses__() for name in {getattr(judge, "name", ""), *judges(judge)}}


def test_every_task_has_its_class() -> None:
    assert judges(TaskConformance) >= set(TASKS)
