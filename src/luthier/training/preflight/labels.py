"""Labels and the loss at the start: what can be judged before any weight has moved."""

import math

import numpy as np
import torch
from torch import Tensor

from luthier.core.names import count_of
from luthier.training.preflight.subject import ALL_THE_SAME, MOST_NAMED, TRIAL_ROWS, Checked, Subject, fault, names_of

LOOKED_AT = 64  # rows whose loss is compared with what it must be
IGNORED = -100  # the target that PyTorch's losses pass over


def check_labels(subject: Subject) -> Checked:
    """Every target is one of the outputs, some target counts, and the loss listens to them."""
    places = subject.some_rows(TRIAL_ROWS, purpose="labels")
    outputs, targets = subject.outputs(places)
    outputs = outputs.detach().float().requires_grad_(True)
    number = outputs.shape[-1]
    _refuse_targets(subject, number)
    try:
        pull, weight = _pull(subject, outputs, targets)
        other, _ = _pull(subject, outputs, _others(targets, number))
    except (IndexError, RuntimeError, ValueError) as error:
        said = str(error).splitlines()[0][:200]
        raise fault(
            "labels", f"the loss refuses the targets of rows {names_of(subject, places)}: {said}", ALL_THE_SAME
        ) from error
    if not weight:
        raise fault(
            "labels",
            f"the loss counts none of the rows {names_of(subject, places)}: every target is masked",
            "luthier check DATA",
        )
    if torch.allclose(pull, other, rtol=1e-4, atol=1e-7):
        raise fault(
            "labels",
            "the loss pulls the outputs the same way when every label is another one: it does not depend on the labels",
            "look at the task's `loss`: its second argument are the targets",
        )
    fit = "are numbers" if np.issubdtype(subject.rows.targets.dtype, np.floating) else f"are among {number:,} outputs"
    return Checked(name="labels", found=f"all targets {fit}, and the loss depends on them")


def _refuse_targets(subject: Subject, number: int) -> None:
    """Targets that are class indices must be from 0 to `number` - 1, or masked; not all of them may be masked."""
    targets = subject.rows.targets
    if np.issubdtype(targets.dtype, np.floating):
        _refuse_no_numbers(subject)
    if targets.ndim != 1 or not np.issubdtype(targets.dtype, np.integer):
        return
    masked = targets == IGNORED
    if masked.all():
        raise fault("labels", f"every one of {count_of(len(targets), 'target')} is masked ({IGNORED})", "luthier check DATA")
    wrong = np.flatnonzero(~masked & ((targets < 0) | (targets >= number)))
    if len(wrong):
        found = ", ".join(map(str, sorted(set(targets[wrong].tolist()))[:MOST_NAMED]))
        raise fault(
            "labels",
            f"expected targets from 0 to {number - 1}; found {found} in {count_of(len(wrong), 'row')} "
            f"(the first: {names_of(subject, wrong)})",
            "luthier check DATA",
        )


def _refuse_no_numbers(subject: Subject) -> None:
    """Targets that are numbers must be finite."""
    targets = subject.rows.targets
    wrong = np.flatnonzero(~np.isfinite(targets.reshape(len(targets), -1)).all(axis=1))
    if len(wrong):
        raise fault(
            "labels",
            f"expected finite numbers; {count_of(len(wrong), 'row')} {'has' if len(wrong) == 1 else 'have'} others "
            f"(the first: {names_of(subject, wrong)})",
            "luthier check DATA",
        )


def _pull(subject: Subject, outputs: Tensor, targets: Tensor) -> tuple[Tensor, float]:
    """Gradient of the loss by the outputs, and what the loss counts."""
    part = subject.loss(outputs, targets)
    if not part.sum.requires_grad:
        return torch.zeros_like(outputs), part.weight
    return torch.autograd.grad(part.sum, outputs)[0], part.weight


def _others(targets: Tensor, number: int) -> Tensor:
    """Another target for each row: the next class, the opposite of yes and no, another number, or else the next row's."""
    if targets.is_floating_point() and targets.ndim <= 2:
        return 1 - targets if bool(((targets == 0) | (targets == 1)).all()) else targets + 1
    if targets.ndim == 1:
        return torch.where(targets == IGNORED, targets, (targets + 1) % number)
    return targets.roll(1, dims=0)


def check_start_loss(subject: Subject) -> Checked:
    """The loss at the start is what the task and the head's origin must give."""
    places = subject.some_rows(LOOKED_AT, purpose="start")
    total, weight = 0.0, 0.0
    with torch.no_grad():
        for begin in range(0, len(places), TRIAL_ROWS):
            part = subject.plain_loss(*subject.outputs(places[begin : begin + TRIAL_ROWS]))
            total, weight = total + float(part.sum), weight + part.weight
    loss = total / max(weight, 1e-12)
    low, high = subject.start(places) if subject.start is not None else (-math.inf, math.inf)
    if not low <= loss <= high:
        raise fault(
            "loss at the start",
            f"expected {low:.3f} to {high:.3f} from where the head starts; found {loss:.3f} on {count_of(len(places), 'row')} "
            f"(the first: {names_of(subject, places)})",
            f"--store off, --precision float32; {ALL_THE_SAME}",
        )
    within = f", within {low:.3f} to {high:.3f}" if subject.start is not None else ""
    return Checked(name="loss at the start", found=f"{loss:.3f}{within}")
