"""What every task, method, optimizer, loss, mixing, penalty, schedule and backbone must be. A test is a subclass of it.

class TestMyTask(TaskConformance):
    name = "my-task"
"""

from luthier.testing.conformance.backbones import BackboneConformance
from luthier.testing.conformance.losses import LossConformance
from luthier.testing.conformance.methods import MethodConformance
from luthier.testing.conformance.mixings import MixingConformance
from luthier.testing.conformance.optimizers import OptimizerConformance
from luthier.testing.conformance.penalties import PenaltyConformance
from luthier.testing.conformance.schedules import ScheduleConformance
from luthier.testing.conformance.tasks import TaskConformance

__all__ = [
    "BackboneConformance",
    "LossConformance",
    "MethodConformance",
    "MixingConformance",
    "OptimizerConformance",
    "PenaltyConformance",
    "ScheduleConformance",
    "TaskConformance",
]
