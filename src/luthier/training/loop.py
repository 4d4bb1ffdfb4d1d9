"""The one training loop, to be read from top to bottom."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from luthier.core.names import count_of
from luthier.core.process import Cost, StopRequest
from luthier.core.progress import Observer, counted
from luthier.core.rows import RowBuffer, finite_rows
from luthier.errors import DivergedError, ResourceError, Stopped
from luthier.evaluation.display import format_score
from luthier.evaluation.records import Direction
from luthier.training.checkpoint import Checkpoints, shared_state
from luthier.training.course import Best, Course, restore_weights
from luthier.training.data import TrainingRows
from luthier.training.device import autocast
from luthier.training.fit_settings import FitSettings
from luthier.training.memory import free_memory, is_out_of_memory
from luthier.training.methods.rung import Moment
from luthier.training.model import TunedModel
from luthier.training.processes import ALONE, Processes
from luthier.training.soup import stir
from luthier.training.step import Loss, Stepper, Update
from luthier.training.unfreezing import training_from

Score = Callable[[Float[np.ndarray, "U K"]], Mapping[str, float]]
Record = Callable[[Mapping[str, Any]], None]
Parts = Callable[[int], tuple[TrainingRows, TrainingRows]]
Judge = Callable[[float, Mapping[str, float]], None]


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What training lowers, and what decides which step is best.

    Attributes:
        loss: (outputs, targets) -> LossSum of a micro-batch.
        score: What was decoded of validation -> scores by measure; `primary` is among them.
        primary: The measure that decides.
        direction: Whether more of it is better.
    """

    loss: Loss
    score: Score
    primary: str
    direction: Direction = "higher"

    @property
    def sign(self) -> int:
        """1 if more is better, else -1."""
        return 1 if self.direction == "higher" else -1


@dataclass(frozen=True, kw_only=True)
class Supervision:
    """Who watches over a training.

    Attributes:
        observer: Is told what happens.
        record: Receives what goes into the journal.
        stop: Looked at after each step, and during each evaluation.
        checkpoints: Where the training saves itself, and goes on from if something whole is there; the main process's count.
        processes: Those that train together.
        judge: Is told each evaluation as (share of the steps that are done, scores), and may raise to end the training.
    """

    observer: Observer
    record: Record
    stop: StopRequest
    checkpoints: Checkpoints | None = None
    processes: Processes = ALONE
    judge: Judge | None = None

    def resume(self, course: Course) -> None:
        """Go on from the newest whole state; where there is none, measure what must be known before the first step."""
        saved = shared_state(self.checkpoints.newest() if self.checkpoints is not None else None, self.processes)
        if saved is not None:
            course.load(saved)
            self.observer.note(f"goes on from step {course.step:,} of {course.num_steps:,}")
            if (before := saved.state.get("processes", 1)) != self.processes.count:
                self.observer.note(
                    f"It was begun by {count_of(before, 'process', 'processes')} and goes on in {self.processes.count}: "
                    "the same steps, not the same bits.",
                    level="warning",
                )
            return
        for name in course.stepper.idle_penalties:
            self.observer.note(
                f"--{name.replace('_', '-')} has no weight to act on among those that train here", level="warning"
            )
        if importance := course.stepper.begin(course.rows):
            self.record(importance.event())
            self.observer.note(f"{importance} in {importance.seconds:.1f} s")

    def after_step(self, course: Course) -> None:
        """Tell what memory has made necessary; save when it is time, and whenever the user asks to stop.

        All processes save together, each its random generators, and all of them stop after the same step.
        """
        for problem in course.stepper.take_problems():
            self.observer.note(problem, level="warning")
            self.record({"event": "memory", "step": course.step, "problem": problem})
        is_due = self.checkpoints is not None and self.checkpoints.is_due(course.num_bytes)
        stops, saves = self.processes.sum([float(bool(self.stop)), float(is_due)])
        if stops:
            self.stop.agree()
        if not (stops or saves):
            return
        tensors, state = course.tensors(), course.state()
        if self.checkpoints is not None:
            self.checkpoints.try_to_save(course.name, tensors, state)

    def tell_unfreezing(self, course: Course, why: str) -> None:
        """Tell that a further block begins to train."""
        count = course.stepper.model.backbone.num_blocks
        train = count - course.boundary
        self.observer.note(f"step {course.step:,}: now the last {train} of {count} blocks train ({why})")
        event = {"event": "unfroze", "step": course.step, "epoch": course.epoch, "boundary": course.boundary, "reason": why}
        self.record(event)

    def refuse_stopped(self, course: Course) -> None:
        """Raise `Stopped` if the user asked for it before the training was over."""
        if self.stop.is_agreed:
            raise Stopped(
                f"Stopped by {self.stop.signal_name} at step {course.step:,}.", remedy="the same command begins again"
            )


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """What training gave. The model holds the weights of the best step.

    Attributes:
        outputs: What was decoded of the validation rows at the best step.
        losses: Loss of each step, without penalties.
        unfroze: Epoch and boundary of each time that a further block began to train.
    """

    scores: Mapping[str, float]
    outputs: Float[np.ndarray, "U K"]
    best_step: int
    steps: int
    epochs: float
    stopped_early: bool
    cost: Cost
    losses: list[float] = field(default_factory=list)
    unfroze: Sequence[Moment] = ()


def fit(
    model: TunedModel,
    parts: Parts,
    settings: FitSettings,
    *,
    objective: Objective,
    supervision: Supervision,
) -> FitResult:
    """Train what lies from block `settings.boundary` on, and the head; keep the best step by validation.

    Args:
        model: Gets the weights of the best step.
        parts: Boundary -> (train, validation) rows.
        objective: What is lowered, and what decides.
        supervision: Who is told, and who may end it.

    Raises:
        DivergedError: the loss became NaN or infinite.
        ResourceError: not even one example fits into memory.
        Stopped: the user asked to stop; the state is saved, and the model holds the best weights so far.
    """
    with model.tuning(settings.boundary, settings.moves) as trainable:
        stepper = Stepper(model, trainable, settings, loss=objective.loss, processes=supervision.processes)
        course = Course(stepper, parts(settings.boundary)[0], settings)
        supervision.resume(course)
        with counted(supervision.observer, "train", course.num_steps, "steps") as observer:
            if course.step:
                observer.advance(course.step)
            while not (course.is_over or supervision.stop.is_agreed):
                if course.is_unfreezing_due:
                    supervision.tell_unfreezing(course, course.unfreeze())
                with training_from(model, course.boundary, parts) as (course.rows, validation):
                    while not (course.is_over or course.is_unfreezing_due or supervision.stop.is_agreed):
                        if course.is_evaluation_due:
                            _evaluate(course, validation, objective=objective, supervision=supervision)
                        else:
                            update, factor = course.advance()
                            supervision.record(step_event(course, update, factor))
                            observer.advance(1, f"loss {update.loss:.3f}")
                        supervision.after_step(course)
        if course.best is not None:
            with training_from(model, course.boundary, parts) as (_, validation):
                _average_best(course, validation, objective=objective, supervision=supervision)
            restore_weights(trainable, course.best.weights)
    supervision.refuse_stopped(course)
    assert course.best is not None
    return _result(course, course.best)


def _result(course: Course, best: Best) -> FitResult:
    return FitResult(
        scores=best.scores,
        outputs=best.outputs,
        best_step=best.step,
        steps=course.step,
        epochs=course.epoch,
        stopped_early=course.step < course.num_steps,
        cost=course.cost,
        losses=course.losses,
        unfroze=course.unfroze,
    )


def _evaluate(course: Course, validation: TrainingRows, *, objective: Objective, supervision: Supervision) -> None:
    """Score validation; if the user asks to stop meanwhile, leave it for the next time."""
    with course.stepper.averaged.applied():
        look = _look(course, validation, objective=objective, supervision=supervision)
        if look is None:
            return
        outputs, scores, signed = look
        is_best = course.judge(outputs, scores, signed=signed)
    event = {"event": "evaluation", "step": course.step, "epoch": course.epoch, "scores": scores, "best": is_best}
    supervision.record(event)
    if supervision.judge is not None:
        supervision.judge(course.step / course.num_steps, scores)


def _look(
    course: Course, validation: TrainingRows, *, objective: Objective, supervision: Supervision
) -> tuple[Float[np.ndarray, "U K"], Mapping[str, float], float] | None:
    """What was decoded of validation, its scores, and the one that decides, more of it better; None if asked to stop."""
    outputs = predict_rows(
        course.stepper.model, validation, course.settings, stop=supervision.stop, processes=supervision.processes
    )
    if outputs is None:
        return None
    if not finite_rows(outputs).all():
        raise DivergedError(
            f"The model's outputs on validation are no numbers after step {course.step:,}.",
            remedy=f"--learning-rate {course.settings.learning_rate / 10:g}",
        )
    scores = objective.score(outputs)
    return outputs, scores, supervision.processes.of_main(objective.sign * scores[objective.primary])


def _average_best(course: Course, validation: TrainingRows, *, objective: Objective, supervision: Supervision) -> None:
    """Let a mean of the best few states be the best, if it is no worse on validation."""
    candidates, best = course.larder.candidates, course.best
    if len(candidates) < 2 or best is None or supervision.stop.is_agreed:
        return

    def taste(weights: Mapping[str, Tensor]) -> tuple[float, Best] | None:
        restore_weights(course.stepper.trainable, weights)
        look = _look(course, validation, objective=objective, supervision=supervision)
        if look is None:
            return None
        return look[2], Best(step=best.step, scores=look[1], outputs=look[0], weights=weights)

    stirred = stir(candidates, best, taste)
    if stirred is None:
        supervision.after_step(course)
        return
    chosen, course.best = stirred
    event = {"event": "soup", "step": course.step, "steps": [one.step for one in chosen], "tried": len(candidates)}
    supervision.record({**event, "scores": course.best.scores, "single": best.scores})
    mean, single = (format_score(objective.primary, one.scores[objective.primary]) for one in (course.best, best))
    said = f"the mean of {len(chosen)} states has {objective.primary} {mean} on validation, the best state alone {single}"
    supervision.observer.note(f"soup: {said}" if len(chosen) > 1 else "soup: no mean is as good as the best state alone")


def predict_rows(
    model: TunedModel,
    part: TrainingRows,
    settings: FitSettings,
    *,
    stop: StopRequest | None = None,
    processes: Processes = ALONE,
) -> Float[np.ndarray, "U K"] | None:
    """What the model says of the rows of a part, decoded batch by batch, in their order; None if asked to stop meanwhile.

    Each process computes every `count`-th batch, and has the outputs of all rows in the end. Large ones are not in memory: see
    `RowBuffer`.

    Raises:
        ResourceError: not even one row fits into memory, or the disk has no room for large outputs.
    """
    from luthier.features.passes import batches_by_length

    model.eval_mode()
    outputs = RowBuffer(len(part.rows))
    pending = list(batches_by_length(part.lengths, is_media=not part.is_padded))[processes.rank :: processes.count][::-1]
    while pending and not stop:
        places = pending.pop()
        values = _outputs(model, part, places, settings)
        if values is None:
            pending += [places[len(places) // 2 :], places[: len(places) // 2]]
            continue
        kept = part.decoded(values, places)
        kept[np.isnan(values).reshape(len(values), -1).any(axis=1)] = np.nan  # the best of numbers that are none is none
        outputs.put(places, kept)
    return None if processes.any(bool(pending)) else processes.merged(outputs.array, len(part.rows))


def _outputs(
    model: TunedModel, part: TrainingRows, places: Int[np.ndarray, " B"], settings: FitSettings
) -> Float[np.ndarray, "B ..."] | None:
    """Outputs of one batch; None if it does not fit into memory and can be cut."""
    try:
        with torch.inference_mode(), autocast(settings.device, settings.precision):
            batch = part.batch(places)
            return model(batch.inputs, batch.stored).float().cpu().numpy()  # type: ignore[no-any-return]
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if len(places) == 1:
            said = str(error).splitlines()[0][:200]
            raise ResourceError(f"Memory is short to score one row: {said}", remedy="a smaller --max-length") from error
    free_memory(settings.device)
    return None


def step_event(course: Course, update: Update, factor: float) -> dict[str, Any]:
    """What the journal keeps of a step."""
    return {
        "event": "step" if update.is_finite else "skipped_step",
        "step": course.step,
        "epoch": round(course.epoch, 4),
        "loss": update.loss,
        "learning_rate": factor * course.settings.learning_rate,
        "gradient_norm": update.gradient_norm,
    }
