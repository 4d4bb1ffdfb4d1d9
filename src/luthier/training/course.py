"""A training between two steps: how far it is, what it has seen, and everything needed to go on from there to the bit."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from luthier.core.process import NO_COST, Cost, Stopwatch
from luthier.core.records import from_plain
from luthier.core.seeding import generator_for, seed_for
from luthier.data.batches import epoch_batches
from luthier.errors import DivergedError
from luthier.training.checkpoint import Saved
from luthier.training.data import TrainingRows
from luthier.training.early_stopping import EarlyStopping
from luthier.training.fit_settings import FitSettings, count_steps, steps_per_epoch
from luthier.training.methods.rung import Moment
from luthier.training.mixing import draw_mixture
from luthier.training.schedules import build_schedule, learning_rate_factor
from luthier.training.soup import Larder
from luthier.training.step import Stepper, Update

MOST_SKIPPED = 10  # steps in a row without a number: then the training has diverged, whatever the policy
MOST_VIEWS = 1 << 40


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best step by validation.

    Attributes:
        outputs: What was decoded of the validation rows.
        weights: Copies of everything that trains.
    """

    step: int
    scores: Mapping[str, float]
    outputs: Float[np.ndarray, "U K"]
    weights: Mapping[str, Tensor]


class Course:
    """The steps of one training.

    Args:
        stepper: Makes them.
        rows: What is trained on.
        settings: Of the training.

    Attributes:
        step: How many are done.
        losses: Of each step, without penalties; NaN for those that were skipped.
        evaluated: The step after which validation was last scored; -1 before that.
        best: The best evaluation so far.
        larder: Copies of the best few states, for a mean of them.
        boundary: First block that trains now.
        unfroze: Epoch and boundary of each time that a further block began to train.
    """

    def __init__(self, stepper: Stepper, rows: TrainingRows, settings: FitSettings) -> None:
        self.stepper, self.rows, self.settings = stepper, rows, settings
        self.early_stopping = EarlyStopping(patience=settings.patience, silence=settings.silence)
        self.step, self.evaluated, self.skipped = 0, -1, 0
        self.losses: list[float] = []
        self.best: Best | None = None
        self.larder = Larder(settings.soup)
        self.boundary = settings.unfreezing.boundaries[0] if settings.unfreezing else settings.boundary
        self.unfroze: list[Moment] = []
        self.num_steps = count_steps(len(rows.rows), settings)
        self.steps_per_epoch = steps_per_epoch(len(rows.rows), settings)
        self._evaluate_every = max(1, self.steps_per_epoch // settings.evaluations_per_epoch)
        self._schedule = build_schedule(settings.schedule)
        self._batches = self._batches_from(0)
        self._viewed: tuple[int, TrainingRows, TrainingRows] | None = None
        self._cost_before: Cost = NO_COST
        self._watch = Stopwatch()

    @property
    def epoch(self) -> float:
        """Passes over the rows so far."""
        return self.step / self.steps_per_epoch

    @property
    def is_evaluation_due(self) -> bool:
        """Whether validation is to be scored before the next step."""
        is_time = self.step % self._evaluate_every == 0 or self.step == self.num_steps
        return self.step > 0 and is_time and self.evaluated != self.step

    @property
    def is_over(self) -> bool:
        """Whether no step is left, or validation has not got better for a while and no block is left to unfreeze."""
        is_stalled = self.early_stopping.is_over and not self.is_unfreezing_due
        return not self.is_evaluation_due and (self.step >= self.num_steps or is_stalled)

    @property
    def is_unfreezing_due(self) -> bool:
        """Whether a further block begins to train before the next step."""
        unfreezing = self.settings.unfreezing
        if unfreezing is None or self.is_evaluation_due or self.step >= self.num_steps:
            return False
        if unfreezing.next_after(self.boundary) is None:
            return False
        return unfreezing.is_time(self.boundary, self.epoch) or (unfreezing.on_stall and self.early_stopping.is_over)

    def unfreeze(self) -> str:
        """Let the next block train; patience begins anew. Returns why it was time."""
        unfreezing = self.settings.unfreezing
        further = unfreezing.next_after(self.boundary) if unfreezing else None
        assert further is not None
        is_stalled = self.early_stopping.is_over
        self.boundary = further
        self.unfroze.append((self.epoch, further))
        self.early_stopping.wait_anew()
        return "validation does not get better" if is_stalled else f"epoch {self.epoch:g}"

    @property
    def cost(self) -> Cost:
        """Of this training so far, in all its processes and in those it goes on from; all of them must ask together."""
        return self._cost_before + self.stepper.processes.total_cost(self._watch.read())

    def advance(self) -> tuple[Update, float]:
        """One step; returns what it showed, and its learning rate as a share of the peak.

        Raises:
            DivergedError: loss or gradients are no numbers, and the policy is to stop (or too many steps were skipped).
            ResourceError: not even one example fits into memory.
        """
        places = next(self._batches)
        warmup_steps = round(self.settings.warmup_fraction * self.num_steps)
        factor = learning_rate_factor(
            self.step,
            num_steps=self.num_steps,
            warmup_steps=warmup_steps,
            schedule=self._schedule,
            gains=self.early_stopping.gains,
        )
        mixture = draw_mixture(self.settings.mixing, seed=self.settings.seed, step=self.step, size=len(places))
        update = self.stepper.update(self._rows_in_view(), places, factor=factor, mixture=mixture)
        if not update.is_finite:
            self.skipped += 1
            if self.settings.on_divergence == "stop" or self.skipped >= MOST_SKIPPED:
                raise _diverged(update, self.step + 1, self.rows.names_of(places), self.settings)
        else:
            self.skipped = 0
        self.step += 1
        self.losses.append(update.loss if update.is_finite else math.nan)
        return update, factor

    def _rows_in_view(self) -> TrainingRows:
        """The rows as this epoch looks at them: which view that is follows from the seed alone."""
        epoch = self.step // self.steps_per_epoch
        if self._viewed is None or self._viewed[0] != epoch or self._viewed[1] is not self.rows:
            view = 1 + seed_for(self.settings.seed, f"view/{epoch}") % MOST_VIEWS
            self._viewed = (epoch, self.rows, self.rows.in_view(view))
        return self._viewed[2]

    def judge(self, outputs: Float[np.ndarray, "U K"], scores: Mapping[str, float], *, signed: float) -> bool:
        """Take an evaluation in; returns whether it is the best so far.

        Args:
            signed: The score that decides, with the sign that makes more of it better.
        """
        self.evaluated = self.step
        self.early_stopping.update(signed)
        self.larder.offer(self.step, signed, self.stepper.trainable)
        if self.early_stopping.is_best:
            weights = {name: item.detach().clone() for name, item in self.stepper.trainable.items()}
            self.best = Best(step=self.step, scores=dict(scores), outputs=outputs, weights=weights)
        return self.early_stopping.is_best

    def _batches_from(self, first: int) -> Iterator[Int[np.ndarray, " B"]]:
        """The rows of each step from a step on, epoch after epoch; each epoch's order follows from the seed alone."""
        epoch, done = divmod(first, self.steps_per_epoch)
        while True:
            generator = generator_for(self.settings.seed, f"shuffle/{epoch}")
            batches = epoch_batches(
                self.rows.lengths,
                batch_size=self.settings.batch_size,
                generator=generator,
                balance=self.rows.targets if self.settings.sampling == "balanced" else None,
                drawn=self.rows.mixed.draw(generator) if self.rows.mixed else None,
            )
            yield from batches[done:]
            epoch, done = epoch + 1, 0

    @property
    def name(self) -> str:
        """Of the state after this step; what an evaluation has added comes later."""
        return f"step-{self.step:08}" + ("-evaluated" if self.evaluated == self.step else "")

    def num_bytes(self) -> int:
        """About the size of a state: weights, two moments of each, those of the best step and of the best few."""
        return (4 + len(self.larder.candidates)) * sum(item.nbytes for item in self.stepper.trainable.values())

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """All tensors that `load` puts back, by file."""
        best = {} if self.best is None else {**self.best.weights, OUTPUTS: torch.from_numpy(self.best.outputs)}
        return {**self.stepper.tensors(), "best": best, "larder": self.larder.tensors()}

    def state(self) -> dict[str, Any]:
        """Everything else that `load` puts back, as JSON."""
        best = None if self.best is None else {"step": self.best.step, "scores": self.best.scores}
        return {
            "step": self.step,
            "evaluated": self.evaluated,
            "skipped": self.skipped,
            "losses": self.losses,
            "early_stopping": self.early_stopping.state(),
            "best": best,
            "larder": self.larder.state(),
            "micro_batch": self.stepper.micro_batch,
            "recomputes": self.stepper.recomputes,
            "cost": self.cost,
            "processes": self.stepper.processes.count,
            "boundary": self.boundary,
            "unfroze": self.unfroze,
        }

    def load(self, saved: Saved) -> None:
        """Go on from a state."""
        state = saved.state
        self.step, self.evaluated, self.skipped = int(state["step"]), int(state["evaluated"]), int(state["skipped"])
        self.losses[:] = [math.nan if loss is None else loss for loss in state["losses"]]
        self.early_stopping.load(state["early_stopping"])
        self.boundary = int(state["boundary"])
        self.unfroze[:] = [(float(epoch), int(boundary)) for epoch, boundary in state["unfroze"]]
        self.stepper.load(saved.tensors)
        self.stepper.micro_batch, self.stepper.recomputes = int(state["micro_batch"]), bool(state["recomputes"])
        if state["best"] is not None:
            weights = {name: value for name, value in saved.tensors["best"].items() if name != OUTPUTS}
            outputs = saved.tensors["best"][OUTPUTS].numpy()
            self.best = Best(step=state["best"]["step"], scores=state["best"]["scores"], outputs=outputs, weights=weights)
        self.larder.load(saved.tensors["larder"], state["larder"])
        self._cost_before, self._watch = from_plain(Cost, state["cost"]), Stopwatch()
        self._batches = self._batches_from(self.step)


OUTPUTS = "outputs on validation"


def restore_weights(trainable: Mapping[str, nn.Parameter], weights: Mapping[str, Tensor]) -> None:
    """Copy weights back into what trains."""
    with torch.no_grad():
        for name, parameter in trainable.items():
            parameter.copy_(weights[name])


def _diverged(update: Update, step: int, rows: Sequence[str], settings: FitSettings) -> DivergedError:
    shown = ", ".join(rows[:3])
    skipped = "" if settings.on_divergence == "stop" else f"; the last {MOST_SKIPPED} steps were all like this"
    return DivergedError(
        f"Loss became {update.loss} at step {step} (learning rate {settings.learning_rate:g}, gradient norm "
        f"{update.gradient_norm:.2g}; rows {shown}{skipped}).",
        remedy=f"--learning-rate {settings.learning_rate / 10:g}",
    )
