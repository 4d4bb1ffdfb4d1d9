"""A few rows learnt by heart: the shortest proof that the gradient leads somewhere."""

import math
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Int
from torch import nn

from luthier.core.names import count_of
from luthier.models.heads import OwnHead
from luthier.training.optimizer import set_learning_rate
from luthier.training.preflight.subject import ALL_THE_SAME, FEW_ROWS, Checked, Subject, fault, names_of
from luthier.training.snapshot import copies, restore
from luthier.training.step import Stepper

STEPS = 80
RATES = (1.0, 3.0, 10.0, 0.3)  # times the method's own
LEARNT = 0.2  # of the loss at the start
LEARNT_SLOWLY = 0.5  # where a model first learns to say nothing: sums over alignments (CTC) stay long on that plateau
LEARNT_OF_TEXTS, FEW_TEXTS = 0.7, 2  # where every token is told: that is hundreds of things to be learnt in each row
NEGLIGIBLE = 0.1  # of the loss of a model that says the same about every row: nothing is left to be learnt


def check_overfitting(subject: Subject) -> Checked:
    """A few rows can be learnt by heart, with penalties and dropout off: the gradient leads down, and far."""
    tells_texts = isinstance(subject.model.head, OwnHead)
    few = subject.some_rows(FEW_TEXTS if tells_texts else FEW_ROWS, purpose="overfit")
    start = copies(subject.trainable)
    first, floor = _loss_of(subject, few), NEGLIGIBLE * _loss_of_nothing(subject, few)
    share = LEARNT_SLOWLY if math.isfinite(subject.settings.silence) else LEARNT
    wanted, lowest = max((LEARNT_OF_TEXTS if tells_texts else share) * first, floor), first
    for factor in RATES:
        restore(subject.trainable, start)
        losses = _overfit(subject, few, factor=factor, wanted=wanted)
        lowest = min(lowest, *losses)
        if lowest <= wanted:
            found = f"the loss of {count_of(len(few), 'row')} fell from {first:.3f} to {lowest:.3f} in {len(losses)} steps"
            return Checked(name="overfitting", found=found)
    raise fault(
        "overfitting",
        f"expected the loss of {count_of(len(few), 'row')} to fall from {first:.3f} below {wanted:.3f} when they are learnt by "
        f"heart; found {lowest:.3f} at best in {len(RATES)} times {STEPS} steps (rows {names_of(subject, few)})",
        f"--method full, or another --model; {ALL_THE_SAME}",
    )


def _overfit(subject: Subject, places: Int[np.ndarray, " B"], *, factor: float, wanted: float) -> list[float]:
    """Losses after each step on the same rows, until one is low enough or no number.

    It is the gradient that is tried, under the optimizer that needs fewest steps; the trial steps try the one asked for.
    """
    backbone, head = subject.rates
    settings = replace(subject.calm, learning_rate=backbone, head_learning_rate=head, optimizer="adamw")
    optimizer = Stepper(subject.model, subject.trainable, settings, loss=subject.plain_loss).optimizer
    set_learning_rate(optimizer, factor)
    losses: list[float] = []
    for _ in range(STEPS):
        optimizer.zero_grad(set_to_none=True)
        part = subject.plain_loss(*subject.outputs(places))
        if losses or part.sum.isfinite():
            losses.append(float(part.sum.detach()) / part.weight)
        if not part.sum.isfinite() or losses[-1] <= wanted:
            break
        (part.sum / part.weight).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(list(subject.trainable.values()), settings.max_gradient_norm)
        optimizer.step()
    return [loss for loss in losses if math.isfinite(loss)] or [math.inf]


@torch.no_grad()
def _loss_of(subject: Subject, places: Int[np.ndarray, " B"]) -> float:
    part = subject.plain_loss(*subject.outputs(places))
    return float(part.sum) / float(part.weight)


@torch.no_grad()
def _loss_of_nothing(subject: Subject, places: Int[np.ndarray, " B"]) -> float:
    """The loss of outputs that say the same about every row."""
    outputs, targets = subject.outputs(places)
    part = subject.plain_loss(torch.zeros_like(outputs), targets)
    return float(part.sum) / float(part.weight)
