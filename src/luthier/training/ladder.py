"""The ladder: start with the cheapest thing that could work, climb while validation says that it pays, keep the best.

Rules: each rung starts from the pre-trained weights under a strongly penalised probe (starting from the rung before, which has
learnt train by heart, ended worse: docs/lab-notebook.md); at least one rung that moves pre-trained weights is tried; the
climb ends after two rungs in a row without a gain, or when the budget is spent; a dearer rung is kept only if it beats the best
so far by more than one standard error of the paired difference on validation.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from luthier.core.names import count_of
from luthier.core.process import Cost, StopRequest
from luthier.core.progress import Observer
from luthier.core.records import from_plain
from luthier.core.storage import format_bytes
from luthier.errors import DivergedError
from luthier.evaluation.bootstrap import summed_stats
from luthier.evaluation.compare import paired_standard_error
from luthier.evaluation.display import format_difference, format_score, measure_title
from luthier.evaluation.measures import MEASURES
from luthier.evaluation.records import Predictions
from luthier.features.probe import LinearLayer, Probe
from luthier.models.heads import LinearHead
from luthier.tasks.protocol import HeadOrigin
from luthier.training.checkpoint import shared_state
from luthier.training.data import TrainingRows
from luthier.training.fit_settings import FitSettings
from luthier.training.loop import FitResult, Judge, Objective, Record, Supervision, fit
from luthier.training.methods.rung import AdapterSettings, Moment, Rung
from luthier.training.model import TunedModel
from luthier.training.moving import count_moving
from luthier.training.optimizer import build_recipe
from luthier.training.processes import ALONE, Processes
from luthier.training.rung_event import started_event
from luthier.training.settle import Opening
from luthier.training.shelf import Shelf
from luthier.training.step import Loss

Predict = Callable[[Float[np.ndarray, "U K"]], Predictions]
MAX_RUNGS_WITHOUT_GAIN = 2
MIN_STEPS = 150
MAX_EPOCHS = 10


@dataclass(frozen=True, kw_only=True)
class RungResult:
    """What one rung gave.

    Attributes:
        score: Primary measure on validation.
        predictions: On validation.
        weights: Of everything that differs from the pre-trained model, by name; none if it was not kept.
        kept: Whether it became the best so far.
        reason: Why, or why not.
        epochs: Passes over train at the best step.
        unfroze: Epoch and boundary of each time that a further block began to train.
    """

    rung: Rung
    score: float
    predictions: Predictions
    weights: Mapping[str, Tensor]
    cost: Cost
    kept: bool
    reason: str
    epochs: float = 0.0
    unfroze: Sequence[Moment] = ()


@dataclass(frozen=True, kw_only=True)
class Workbench:
    """What every rung works with.

    Attributes:
        parts: Boundary -> (train, validation) rows, from the store where there is one; boundary 0 is always there.
        predict: What was decoded of validation -> predictions.
        measure: Name of the measure that decides.
        measures: Those that the journal keeps of each evaluation; the deciding one among them.
        settings: Of the loop; boundary, epochs and rates are filled in by each rung.
        start: Weights of the head that each rung starts from.
        head_origin: Where they come from: a fitted probe, or nowhere (`fresh`).
        rates: What the user fixed: num_epochs, learning_rate, head_learning_rate (None: the rung's default).
        shelf: Where trainings save themselves; None where they do not.
        is_resumed: Whether the journal already tells of the probe: the run goes on from a saved state.
        processes: Those that train together; the main process's choices are everyone's.
        judge: Is told each evaluation of a rung, and may raise to end it.
        opening: What is found out before the first step of each rung.
    """

    parts: Mapping[int, tuple[TrainingRows, TrainingRows]]
    predict: Predict
    measure: str
    measures: Sequence[str]
    settings: FitSettings
    start: Mapping[str, Tensor]
    rates: Mapping[str, float | None]
    loss: Loss
    observer: Observer
    record: Record
    stop: StopRequest
    head_origin: HeadOrigin = "probe"
    shelf: Shelf | None = None
    is_resumed: bool = False
    opening: Opening = field(default_factory=Opening)
    budget_seconds: float | None = None
    processes: Processes = ALONE
    judge: Judge | None = None

    def supervision(self, name: str) -> Supervision:
        """Who watches over one training; its events bear its name."""

        def record(event: Mapping[str, Any]) -> None:
            self.record({"rung": name, **event})

        checkpoints = self.shelf.checkpoints(name) if self.shelf is not None else None
        return Supervision(
            observer=self.observer,
            record=record,
            stop=self.stop,
            checkpoints=checkpoints,
            processes=self.processes,
            judge=self.judge,
        )

    def rows(self, boundary: int) -> tuple[TrainingRows, TrainingRows]:
        """Train and validation rows for a boundary; without a store they are those of the whole network."""
        return self.parts.get(boundary, self.parts[0])


def use_probe(model: TunedModel, probe: Probe) -> None:
    """Make the probe the model's head."""
    head = model.head
    assert isinstance(head, LinearHead)
    head.normalize = probe.normalize
    model.restore(head_weights(probe.best))


def head_weights(layer: LinearLayer) -> dict[str, Tensor]:
    """A linear layer as the weights of a model's head."""
    return {"head.linear.weight": torch.from_numpy(layer.weight), "head.linear.bias": torch.from_numpy(layer.bias)}


def first_result(model: TunedModel, rung: Rung, predictions: Predictions, *, measure: str, cost: Cost) -> RungResult:
    """The probe as the ladder's first rung."""
    return RungResult(
        rung=rung,
        score=score_of(predictions, measure),
        predictions=predictions,
        weights=model.changed(),
        cost=cost,
        kept=True,
        reason="the first rung",
    )


def train_head(model: TunedModel, rung: Rung, bench: Workbench) -> RungResult:
    """The ladder's first rung for a head that no probe can be fitted for: that head, trained on frozen features."""
    return _finished_before(rung, bench) or _try(model, rung, None, bench, always_keep=True)


def climb(
    model: TunedModel, rungs: Sequence[Rung], first: RungResult, bench: Workbench, *, always_keep: bool
) -> list[RungResult]:
    """Try rungs one after the other; the model ends with the weights of the best.

    Args:
        rungs: Those after the probe.
        first: The probe's result.
        always_keep: Keep the last rung whatever validation says: the user asked for this method by name.

    Returns:
        All results, the probe's first; the last with `kept` is the winner.
    """
    results, best, without_gain = [first], first, 0
    for number, rung in enumerate(rungs):
        spent = sum(result.cost.wall_seconds for result in results[1:])
        if number and bench.budget_seconds is not None and bench.processes.decided(spent > bench.budget_seconds):
            bench.observer.note(f"The budget is spent: {rung.name} is not tried.", level="warning")
            break
        try:
            result = _finished_before(rung, bench) or _try(model, rung, best, bench, always_keep=always_keep)
        except DivergedError as error:
            if always_keep:
                raise
            bench.observer.note(f"{rung.name}: not kept. {error.problem}", level="warning")
            without_gain += 1
            continue
        results.append(result)
        without_gain = 0 if result.kept else without_gain + 1
        best = result if result.kept else best
        if without_gain >= MAX_RUNGS_WITHOUT_GAIN:
            break
    model.restore(best.weights, boundary=best.rung.boundary, moves=best.rung.moves)
    return results


def _finished_before(rung: Rung, bench: Workbench) -> RungResult | None:
    """What this rung gave before the run was interrupted, if it came to its end."""
    saved = shared_state(bench.shelf.finished(rung.name) if bench.shelf is not None else None, bench.processes)
    if saved is None:
        return None
    bench.observer.note(f"{rung.name}: finished before the interruption")
    state = saved.state
    if "diverged" in state:
        raise DivergedError(state["diverged"], remedy=state["remedy"])
    return RungResult(
        rung=rung,
        score=state["score"],
        predictions=bench.predict(saved.tensors["outputs"]["outputs"].numpy()),
        weights=saved.tensors["weights"],
        cost=from_plain(Cost, state["cost"]),
        kept=state["kept"],
        reason=state["reason"],
        epochs=state["epochs"],
        unfroze=[(epoch, boundary) for epoch, boundary in state["unfroze"]],
    )


def _try(model: TunedModel, rung: Rung, best: RungResult | None, bench: Workbench, *, always_keep: bool) -> RungResult:
    model.restore(bench.start)
    settings, supervision = rung_settings(rung, bench), bench.supervision(rung.name)
    rate = settings.learning_rate if rung.boundary < model.backbone.num_blocks else settings.head_learning_rate
    known = not bench.opening.finds_rate or rung.name in bench.opening.settled
    bench.observer.note(f"{rung.name}: {describe(model, rung)}" + (f", learning rate {rate:g}" if known else ""))
    goes_on = supervision.checkpoints is not None and supervision.checkpoints.has_any
    if not bench.processes.decided(goes_on):  # the states are the main process's; what is tried is tried by all, or by none
        parts = bench.rows(rung.boundary)
        settings = bench.opening.settle(model, rung, parts, settings, loss=bench.loss, supervision=supervision)
        bench.record(started_event(model, rung, settings))

    def score(outputs: Float[np.ndarray, "U K"]) -> Mapping[str, float]:
        return scores_of(bench.predict(outputs), bench.measures)

    objective = Objective(loss=bench.loss, score=score, primary=bench.measure, direction=MEASURES[bench.measure].direction)
    try:
        done = fit(model, bench.rows, settings, objective=objective, supervision=supervision)
    except DivergedError as diverged:
        if bench.shelf is not None and not always_keep:
            bench.shelf.finish(rung.name, {}, {"diverged": diverged.problem, "remedy": diverged.remedy})
        raise
    predictions = bench.predict(done.outputs)
    result_score = score_of(predictions, bench.measure)
    judged = _judge(predictions, result_score, best, bench.measure, always_keep=always_keep)
    kept, reason, error = bench.processes.decided(judged)
    difference = gain_of(result_score, best.score, bench.measure) if best else None
    more: dict[str, Any] = {"zero_weights": zero_weights(model.head)} if settings.penalties.l1 else {}
    if rung.name in bench.opening.settled:
        more["memory"] = bench.opening.memory_of(rung, settings.device)
    bench.record({**_finished(rung, result_score, difference, error, kept, reason, done), **more})
    shown = "" if difference is None else f" ({format_difference(bench.measure, difference)})"
    said = f"{measure_title(bench.measure)} {format_score(bench.measure, result_score)}"
    bench.observer.note(f"{rung.name}: {said} on validation{shown}; {reason}")
    result = RungResult(
        rung=rung,
        score=result_score,
        predictions=predictions,
        weights=model.changed() if kept else {},
        cost=done.cost,
        kept=kept,
        reason=reason,
        epochs=done.best_step / max(1, done.steps) * done.epochs,
        unfroze=done.unfroze,
    )
    _keep_result(result, done.outputs, bench)
    return result


def _keep_result(result: RungResult, outputs: Float[np.ndarray, "U K"], bench: Workbench) -> None:
    """Save what a rung gave, so that an interrupted run need not train it again."""
    if bench.shelf is None:
        return
    tensors = {"weights": result.weights, "outputs": {"outputs": torch.from_numpy(outputs)}}
    state = {name: getattr(result, name) for name in ("score", "cost", "kept", "reason", "epochs", "unfroze")}
    bench.shelf.finish(result.rung.name, tensors, state)


def _judge(
    predictions: Predictions, score: float, best: RungResult | None, measure: str, *, always_keep: bool
) -> tuple[bool, str, float | None]:
    if best is None:
        return True, "the first rung", None
    error = paired_standard_error(predictions, best.predictions, MEASURES[measure])
    gain, shown = gain_of(score, best.score, measure), format_difference(measure, error, unit=True).lstrip("+")
    if always_keep:
        return True, "kept: this method was asked for", error
    if gain > error:
        return True, f"kept: the gain over {best.rung.name} is more than one standard error ({shown})", error
    if gain > 0:
        return False, f"not kept: within one standard error ({shown}) of {best.rung.name}, which is cheaper", error
    return False, f"not kept: no gain over {best.rung.name}", error


def gain_of(score: float, best: float, measure: str) -> float:
    """By how much a score is better than another, whichever way the measure points.

    Example:
        >>> gain_of(0.25, 0.5, "log_loss"), gain_of(0.25, 0.5, "accuracy")
        (0.25, -0.25)
    """
    return score - best if MEASURES[measure].direction == "higher" else best - score


def rung_settings(rung: Rung, bench: Workbench) -> FitSettings:
    """The loop's settings for one rung: what the user fixed or a trial has settled, else defaults, rates for the optimizer."""
    rates, factor = bench.rates, build_recipe(bench.settings.optimizer).rate_factor
    rows = len(bench.rows(rung.boundary)[0].rows)
    settings = replace(
        bench.settings,
        boundary=rung.boundary,
        moves=rung.moves,
        unfreezing=rung.unfreezing,
        num_epochs=rates["num_epochs"] or default_epochs(rung, rows, batch_size=bench.settings.batch_size),
        learning_rate=rates["learning_rate"] or factor * rung.learning_rate,
        head_learning_rate=rates["head_learning_rate"] or factor * rung.head_learning_rate,
    )
    settled = bench.opening.settled.get(rung.name)
    return settings if settled is None else settled.applied(settings)


def default_epochs(rung: Rung, rows: int, *, batch_size: int) -> float:
    """The method's epochs; more where so few rows would give fewer than `MIN_STEPS` steps, but at most `MAX_EPOCHS`.

    Example:
        >>> from luthier.training.methods import build_rung
        >>> full = build_rung("full", num_blocks=6)
        >>> default_epochs(full, 9000, batch_size=32) == full.num_epochs, default_epochs(full, 640, batch_size=32)
        (True, 8)
    """
    steps_per_epoch = max(1, math.ceil(rows / batch_size))
    return max(rung.num_epochs, min(MAX_EPOCHS, math.ceil(MIN_STEPS / steps_per_epoch)))


def describe(model: TunedModel, rung: Rung) -> str:
    """What trains, for people."""
    if rung.boundary >= model.backbone.num_blocks:
        return "only the head trains"
    if rung.unfreezing is not None:
        when = "after each phase" if rung.unfreezing.epochs else "whenever validation stalls"
        return f"the last block and the head train, and one more block {when}"
    count = model.backbone.num_blocks - rung.boundary
    blocks = "every block" if rung.boundary <= 0 else f"the last {count} of {model.backbone.num_blocks} blocks"
    if isinstance(rung.moves, AdapterSettings):
        count = count_moving(model.backbone, rung)
        return f"an adapter in {blocks} ({count_of(count, 'weight')}, {format_bytes(4 * count)}) and the head train"
    return f"{blocks} and the head train" if rung.moves == "all" else f"the biases of {blocks} and the head train"


def score_of(predictions: Predictions, measure: str) -> float:
    """One measure of a set of predictions."""
    return scores_of(predictions, (measure,))[measure]


def scores_of(predictions: Predictions, measures: Sequence[str]) -> dict[str, float]:
    """Some measures of a set of predictions."""
    scores = {}
    for name in measures:
        item = MEASURES[name]
        if hasattr(item, "value_of"):
            scores[name] = float(item.value_of(predictions, np.arange(predictions.table.num_rows)))
        else:
            scores[name] = float(item.value(summed_stats(item.stats, predictions)))
    return scores


def zero_weights(head: nn.Module) -> tuple[int, int]:
    """How many entries of a head's matrices are exactly zero, and how many there are.

    Example:
        >>> zero_weights(nn.Linear(3, 2))
        (0, 6)
    """
    matrices = [item.detach() for item in head.parameters() if item.ndim >= 2]
    return sum(int((item == 0).sum()) for item in matrices), sum(item.numel() for item in matrices)


def _finished(
    rung: Rung, score: float, difference: float | None, error: float | None, kept: bool, reason: str, done: FitResult
) -> dict[str, Any]:
    return {
        "event": "rung_finished",
        "rung": rung.name,
        "score": score,
        "difference": difference,
        "standard_error": error,
        "kept": kept,
        "reason": reason,
        "best_step": done.best_step,
        "steps": done.steps,
        "stopped_early": done.stopped_early,
        "cost": done.cost,
    }
