"""A short training that is interrupted as a test wishes and goes on in what stands for a new process."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from luthier.core.process import StopRequest
from luthier.core.progress import Quiet
from luthier.core.storage import append_line
from luthier.errors import Stopped
from luthier.tasks.protocol import LossSum
from luthier.training.data import TrainingRows
from luthier.training.fit_settings import FitSettings
from luthier.training.loop import FitResult, Objective, Supervision, fit
from luthier.training.model import TunedModel
from luthier.training.shelf import Shelf

Event = Mapping[str, Any]
NAME = "top-blocks:1"


class Killed(BaseException):
    """The process ends here: nothing is saved, nothing is tidied up by the loop."""


class Notes(Quiet):
    """Keeps what the user is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, message: str, *, level: str = "info") -> None:
        self.said.append(message)


def cross_entropy(outputs: Tensor, targets: Tensor) -> LossSum:
    return LossSum(sum=functional.cross_entropy(outputs, targets, reduction="sum"), weight=float(len(targets)))


@dataclass(frozen=True)
class Trained:
    """The end of a training: everything in which two could differ."""

    result: FitResult
    weights: Mapping[str, Tensor]
    journal: str

    def assert_equals(self, other: "Trained") -> None:
        np.testing.assert_array_equal(self.result.losses, other.result.losses)
        assert self.result.outputs.tobytes() == other.result.outputs.tobytes()
        for name in ("scores", "best_step", "steps", "epochs", "stopped_early"):
            assert getattr(self.result, name) == getattr(other.result, name), name
        assert self.weights.keys() == other.weights.keys()
        for name, value in self.weights.items():
            assert torch.equal(value, other.weights[name]), name
        assert self.journal == other.journal


@dataclass
class Training:
    """One training in a folder of its own.

    Attributes:
        make_model: Always the same model.
        seconds: Between two states.
        loss: Of a micro-batch.
        parts: Boundary -> rows; `part` for every one by default.
    """

    folder: Path
    make_model: Callable[[], TunedModel]
    part: TrainingRows
    settings: FitSettings
    seconds: float | None = 0.0
    loss: Callable[[Tensor, Tensor], LossSum] = cross_entropy
    score: Callable[[np.ndarray], Mapping[str, float]] | None = None
    parts: Callable[[int], TrainingRows] | None = None

    def __post_init__(self) -> None:
        self.notes = Notes()
        self.starts: list[int] = []

    @property
    def journal(self) -> Path:
        return self.folder / "journal.jsonl"

    def shelf(self) -> Shelf:
        return Shelf(
            self.folder / "checkpoints", journal=self.journal, seconds=self.seconds, observer=self.notes, origin={"data": 1}
        )

    def go(self, watch: Callable[[Event, StopRequest], None] = lambda event, stop: None) -> Trained:
        """Run as one process does: from the newest whole state to the end, or to where `watch` ends it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        model, stop, shelf = self.make_model(), StopRequest(), self.shelf()
        if shelf.rewind() is None:
            append_line(self.journal, {"event": "rung_started", "rung": NAME})

        def record(event: Event) -> None:
            append_line(self.journal, {"rung": NAME, **event})
            watch(event, stop)

        def accuracy(outputs: np.ndarray) -> Mapping[str, float]:
            return {"accuracy": float((outputs.argmax(1) == self.part.targets).mean())}

        objective = Objective(loss=self.loss, score=self.score or accuracy, primary="accuracy")
        watched = Supervision(observer=self.notes, record=record, stop=stop, checkpoints=shelf.checkpoints(NAME))
        parts = self.parts or (lambda boundary: self.part)
        result = fit(model, lambda boundary: (parts(boundary),) * 2, self.settings, objective=objective, supervision=watched)
        weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
        return Trained(result, weights, self.journal.read_text())

    def interrupted(self, *ends: Callable[[Event, StopRequest], None]) -> Trained:
        """One process after the other, each ended by the next of `ends`; the last one comes to its end."""
        for end in ends:
            try:
                return self.go(end)
            except (Stopped, Killed):
                torch.manual_seed(987)  # what a new process would not have inherited
        return self.go()

    def events(self) -> list[Event]:
        return [json.loads(line) for line in self.journal.read_text().splitlines()]


def stop_at(step: int, kind: str = "step") -> Callable[[Event, StopRequest], None]:
    """Ask to stop while a certain event is written down."""

    def watch(event: Event, stop: StopRequest) -> None:
        if event["event"] in (kind, f"skipped_{kind}") and event["step"] == step:
            stop.signal_name = "SIGTERM"

    return watch


def kill_at(step: int, kind: str = "step") -> Callable[[Event, StopRequest], None]:
    """End the process after an event was written down, and before the state that belongs to it is."""

    def watch(event: Event, stop: StopRequest) -> None:
        if event["event"] in (kind, f"skipped_{kind}") and event["step"] == step:
            raise Killed

    return watch
