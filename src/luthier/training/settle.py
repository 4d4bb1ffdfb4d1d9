"""What is found out by trial before the first step of a rung: memory, whether the training is sound, at which rate it learns.

What was settled is kept beside the states of the training, so that a run that goes on, and a refit, use the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from luthier.core.decision import Decision
from luthier.core.process import give_back_freed_memory
from luthier.core.records import from_plain, to_plain
from luthier.core.storage import read_json, write_json
from luthier.training.data import TrainingRows
from luthier.training.fit_settings import FitSettings
from luthier.training.footprint import Footprint, measure_footprint
from luthier.training.learning_rate import choose_learning_rate, with_rate
from luthier.training.loop import Supervision
from luthier.training.memory import peak_bytes
from luthier.training.methods.rung import Rung
from luthier.training.micro_batch import choose_micro_batch
from luthier.training.model import TunedModel
from luthier.training.preflight import SelfTest
from luthier.training.step import Loss
from luthier.training.unfreezing import starting
from luthier.training.worst import try_worst

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What trials have settled for one rung.

    Attributes:
        predicted_bytes: The peak of memory that was predicted; 0 in records from before it was.
        decisions: With what was found.
    """

    micro_batch: int
    recompute: str
    learning_rate: float
    head_learning_rate: float
    predicted_bytes: int = 0
    decisions: tuple[Decision[Any], ...] = ()

    def applied(self, settings: FitSettings) -> FitSettings:
        """The settings of the rung, with what was settled."""
        return replace(
            settings,
            micro_batch=self.micro_batch,
            recompute=self.recompute,
            learning_rate=self.learning_rate,
            head_learning_rate=self.head_learning_rate,
        )


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What is tried before the first step of each rung.

    Attributes:
        self_test: What is tested; None to leave it out.
        finds_rate: Whether a range test finds the learning rate.
        finds_micro_batch: Whether the micro-batch is found by timing.
        file: Where what was settled is kept; None keeps it in memory only.
        settled: By rung.
        made: What was decided before any of it.
    """

    self_test: SelfTest | None = None
    finds_rate: bool = False
    finds_micro_batch: bool = False
    file: Path | None = None
    settled: dict[str, Settled] = field(default_factory=dict)
    made: Sequence[Decision[Any]] = ()

    def remember(self) -> None:
        """Read what was settled before the run was interrupted."""
        if self.file is not None and self.file.is_file():
            self.settled.update(from_plain(dict[str, Settled], read_json(self.file)))

    @property
    def decisions(self) -> list[Decision[Any]]:
        """All that were made so far."""
        return [*self.made, *(decision for settled in self.settled.values() for decision in settled.decisions)]

    def settle(
        self,
        model: TunedModel,
        rung: Rung,
        parts: tuple[TrainingRows, TrainingRows],
        settings: FitSettings,
        *,
        loss: Loss,
        supervision: Supervision,
    ) -> FitSettings:
        """Try what is to be tried; returns the settings to train with.

        Args:
            model: With the weights that the training starts from; it has them afterwards.
            parts: Train and validation rows.
            settings: Of the rung, as far as they are known.

        Raises:
            PreflightError: the training would be worthless.
            ResourceError: not even one row fits into memory.
            DivergedError: no rate is small enough.
        """
        train, _ = parts
        decisions: list[Decision[Any]] = []
        with model.tuning(rung.boundary, rung.moves) as trainable, starting(model, train):
            seats = supervision.processes.seat.local_count
            footprint = measure_footprint(model, trainable, train, settings, loss=loss, seats=seats)
            if self.finds_micro_batch:
                processes = supervision.processes
                size = choose_micro_batch(
                    model, trainable, train, settings, footprint=footprint, loss=loss, processes=processes
                )
                settings = replace(settings, micro_batch=size.value)
                decisions.append(_decided(size, rung, supervision))
            _tell(footprint, settings, supervision)
            if self.self_test is not None or self.finds_micro_batch:
                settings = try_worst(model, trainable, parts, settings, loss=loss, supervision=supervision)
        if self.self_test is not None and supervision.processes.is_main:
            self.self_test.run(model, rung, train, settings, loss=loss, supervision=supervision)
        if self.finds_rate:
            found = self._find_rate(model, rung, train, settings, loss=loss, supervision=supervision)
            settings = with_rate(settings, found.value)
            decisions.append(found)
        self._keep(
            rung,
            Settled(
                micro_batch=settings.micro_batch,
                recompute=settings.recompute,
                learning_rate=settings.learning_rate,
                head_learning_rate=settings.head_learning_rate,
                predicted_bytes=footprint.peak(settings.micro_batch),
                decisions=tuple(decisions),
            ),
            supervision,
        )
        return settings

    def memory_of(self, rung: Rung, device: str) -> dict[str, int]:
        """The peak of memory that was predicted for a rung that is over, and the one that was measured."""
        return {"predicted_bytes": self.settled[rung.name].predicted_bytes, "measured_bytes": peak_bytes(device)}

    def _find_rate(
        self,
        model: TunedModel,
        rung: Rung,
        train: TrainingRows,
        settings: FitSettings,
        *,
        loss: Loss,
        supervision: Supervision,
    ) -> Decision[float]:
        with model.tuning(rung.boundary, rung.moves) as trainable, starting(model, train):
            decision = choose_learning_rate(
                model,
                trainable,
                train,
                settings,
                loss=loss,
                observer=supervision.observer,
                stop=supervision.stop,
                processes=supervision.processes,
            )
        return _decided(decision, rung, supervision)

    def _keep(self, rung: Rung, settled: Settled, supervision: Supervision) -> None:
        self.settled[rung.name] = settled
        if self.file is not None and supervision.processes.is_main:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.file, to_plain(self.settled))


def _decided(decision: Decision[Value], rung: Rung, supervision: Supervision) -> Decision[Value]:
    decision = replace(decision, evidence={"rung": rung.name, **decision.evidence})
    supervision.observer.decided(decision)
    return decision


def _tell(footprint: Footprint, settings: FitSettings, supervision: Supervision) -> None:
    """Keep the prediction in the journal, warn where memory will be near its end or beyond, be sparing where it is not ample.

    It may be wrong, so nothing is refused because of it: the longest rows are tried next, and pieces halved if they must.
    """
    supervision.record(footprint.event(settings.micro_batch))
    said = footprint.warning(settings.micro_batch, batch_size=settings.batch_size, device=settings.device)
    if said:
        supervision.observer.note(said, level="warning")
    if settings.device == "cpu" and not footprint.is_ample(settings.micro_batch):
        give_back_freed_memory()
        supervision.observer.note("memory is not ample: what is freed goes back to the system, and steps take a third longer")
        supervision.record({"event": "memory", "step": 0, "problem": "not ample: freed memory goes back to the system"})
