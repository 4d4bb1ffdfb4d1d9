"""Every member of the family of tasks."""

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


def test_every_task_has_its_class() -> None:
    assert {kind.name for kind in TaskConformance.__subclasses__()} >= set(TASKS)
