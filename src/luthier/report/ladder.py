"""What the journal says about the rungs of the ladder: steps, evaluations, outcome.

A run that was resumed repeats steps: of equal steps the last counts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from luthier.core.process import Cost
from luthier.core.records import from_plain


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One look at the validation part during training."""

    step: int
    epoch: float
    loss: float | None
    scores: Mapping[str, float]
    best: bool


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One rung of the ladder.

    Attributes:
        trainable_parameters, boundary, num_blocks, learning_rate: None where the journal does not say.
        moves: What of the blocks trained: `all`, `biases`, or the kind of adapter.
        steps: (step, training loss), in order of step.
        unfroze: Steps after which a further block began to train.
        score: Validation score at its best step; None if the rung did not finish.
        zero_weights: How many of the head's weights an L1 penalty has made zero, of how many; None without one.
        averaged: Of how many states its weights are the mean, of how many that were tried; None where none was.
        memory: The peak of memory that was predicted, and the one that was measured, in bytes; None where none was predicted.
        checks: (name, what was found) of the self-test before the first step; empty if it was left out.
        difference: Score minus the score of the best rung before it, with its standard error; None for the first.
    """

    name: str
    trainable_parameters: int | None = None
    boundary: int | None = None
    num_blocks: int | None = None
    learning_rate: float | None = None
    moves: str = "all"
    steps: tuple[tuple[int, float], ...] = ()
    unfroze: tuple[int, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    finished: bool = False
    score: float | None = None
    difference: float | None = None
    standard_error: float | None = None
    kept: bool = False
    reason: str = ""
    cost: Cost | None = None
    zero_weights: tuple[int, int] | None = None
    averaged: tuple[int, int] | None = None
    memory: tuple[int, int] | None = None
    checks: tuple[tuple[str, str], ...] = ()


def read_rungs(events: Iterable[Mapping[str, Any]]) -> tuple[Rung, ...]:
    """The rungs of a journal, in the order in which they were started; events of other kinds are passed over."""
    by_rung: dict[str, list[Mapping[str, Any]]] = {}
    for event in events:
        if event.get("rung"):
            by_rung.setdefault(str(event["rung"]), []).append(event)
    return tuple(_rung(name, own) for name, own in by_rung.items())


def _rung(name: str, events: list[Mapping[str, Any]]) -> Rung:
    finished = _last(events, "rung_finished")
    # A rung that takes no steps may only say at its end what it trained.
    soup = _last(events, "soup")
    started = {**finished, **_last(events, "rung_started")}
    losses = {event["step"]: event["loss"] for event in events if event["event"] == "step" and event.get("loss") is not None}
    unfroze = list({event["step"]: event for event in events if event["event"] == "unfroze"}.values())
    looks = {event["step"]: event for event in events if event["event"] == "evaluation"}
    return Rung(
        name=name,
        trainable_parameters=started.get("trainable_parameters"),
        boundary=(unfroze[-1] if unfroze else started).get("boundary"),
        num_blocks=started.get("num_blocks"),
        learning_rate=started.get("learning_rate"),
        moves=_moves(started.get("moves", "all")),
        steps=tuple(sorted(losses.items())),
        unfroze=tuple(event["step"] for event in unfroze),
        evaluations=tuple(_evaluation(looks[step]) for step in sorted(looks)),
        finished=bool(finished),
        score=finished.get("score"),
        difference=finished.get("difference"),
        standard_error=finished.get("standard_error"),
        kept=bool(finished.get("kept")),
        reason=str(finished.get("reason") or ""),
        cost=from_plain(Cost, finished["cost"]) if finished.get("cost") else None,
        zero_weights=tuple(finished["zero_weights"]) if finished.get("zero_weights") else None,
        averaged=(len(soup["steps"]), soup["tried"]) if soup else None,
        memory=_memory(finished.get("memory") or {}),
        checks=tuple((check["name"], check["found"]) for check in _last(events, "preflight").get("checks", ())),
    )


def _moves(said: str | Mapping[str, Any]) -> str:
    return said if isinstance(said, str) else str(said["kind"])


def _memory(said: Mapping[str, int]) -> tuple[int, int] | None:
    return (said["predicted_bytes"], said["measured_bytes"]) if said.get("predicted_bytes") else None


def _last(events: list[Mapping[str, Any]], kind: str) -> Mapping[str, Any]:
    return next((event for event in reversed(events) if event["event"] == kind), {})


def _evaluation(event: Mapping[str, Any]) -> Evaluation:
    return Evaluation(
        step=int(event["step"]),
        epoch=float(event.get("epoch") or 0),
        loss=event.get("loss"),
        scores={name: value for name, value in (event.get("scores") or {}).items() if value is not None},
        best=bool(event.get("best")),
    )
