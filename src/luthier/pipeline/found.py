"""What was found for a run to start from: a pre-trained model, and the rows as it reads them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from luthier.core.decision import Decision
from luthier.core.process import NO_COST, Cost
from luthier.core.progress import Observer
from luthier.models.processors import Processor
from luthier.models.source import PretrainedFolder
from luthier.tasks.inputs import Inputs


@dataclass(frozen=True, kw_only=True)
class Found:
    """A pre-trained model, how it reads rows, all rows as it reads them, and what was decided on the way.

    Attributes:
        cost: Of making it, where it is made in the run (whenever that was: it is paid for once); nothing else.
    """

    source: PretrainedFolder
    processor: Processor
    inputs: Inputs
    decisions: Sequence[Decision[Any]] = field(default=())
    cost: Cost = NO_COST


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """Where and how things are computed: device, threads, precision where it was not chosen for a network; who is told."""

    device: str
    threads: int
    precision: str
    observer: Observer
