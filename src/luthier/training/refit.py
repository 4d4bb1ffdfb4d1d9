"""Refit: what was chosen on validation is trained once more, on train and validation together.

Use when: the choice is made and every labelled row counts (small data sets gain most).
Cost: the steps of the rungs that were kept, once more. There is nothing left to stop early by or to choose on, so the step
at which each rung was best is taken over: as many steps per row, with the same schedule.
Source: Goodfellow, Bengio & Courville 2016, "Deep learning", algorithm 7.2 (retrain for as many steps as early stopping found).
"""

from collections.abc import Callable

from luthier.core.process import Cost
from luthier.core.progress import counted
from luthier.training.course import Course
from luthier.training.data import TrainingRows
from luthier.training.fit_settings import FitSettings, count_steps
from luthier.training.loop import Supervision, step_event
from luthier.training.model import TunedModel
from luthier.training.step import Loss, Stepper
from luthier.training.unfreezing import training_from


def train_again(
    model: TunedModel,
    rows_at: Callable[[int], TrainingRows],
    settings: FitSettings,
    *,
    fraction: float,
    loss: Loss,
    supervision: Supervision,
) -> Cost:
    """Train on all rows up to the given fraction of the schedule, and keep the last step.

    Args:
        rows_at: Boundary -> all rows.
        settings: Those of the training that is repeated.
        fraction: How much of that training its best step came after, above 0 and at most 1.
        supervision: Who is told, and who may end it.

    Raises:
        DivergedError: the loss became NaN or infinite.
        ResourceError: not even one example fits into memory.
        Stopped: the user asked to stop; the state is saved.
    """
    rows = rows_at(settings.boundary)
    last = max(1, round(fraction * count_steps(len(rows.rows), settings)))
    with model.tuning(settings.boundary, settings.moves) as trainable:
        course = Course(Stepper(model, trainable, settings, loss=loss, processes=supervision.processes), rows, settings)
        supervision.resume(course)
        with counted(supervision.observer, "refit", last, "steps") as observer:
            if course.step:
                observer.advance(course.step)
            while course.step < last and not supervision.stop.is_agreed:
                if course.is_unfreezing_due:
                    supervision.tell_unfreezing(course, course.unfreeze())
                with training_from(model, course.boundary, lambda boundary: (rows_at(boundary), rows)) as (course.rows, _):
                    while course.step < last and not (course.is_unfreezing_due or supervision.stop.is_agreed):
                        update, factor = course.advance()
                        supervision.record({**step_event(course, update, factor), "event": "refit_step"})
                        observer.advance(1, f"loss {update.loss:.3f}")
                        supervision.after_step(course)
        course.stepper.averaged.keep()
    supervision.refuse_stopped(course)
    return course.cost
