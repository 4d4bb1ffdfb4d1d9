"""What trains: the tensors that were asked for, each of which moves; and nothing else."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from luthier.training.fit_settings import FitSettings
from luthier.training.model import TunedModel
from luthier.training.preflight.subject import FEW_ROWS, TRIAL_ROWS, Checked, Subject, fault, names_of, plain_outputs, shown
from luthier.training.snapshot import copies
from luthier.training.step import Stepper

TRIAL_STEPS = 2


def check_parameters(subject: Subject) -> Checked:
    """What has a gradient, what the optimizer holds and what was asked for are the same tensors."""
    moving = {name for name, item in subject.model.named_parameters() if item.requires_grad}
    optimizer = Stepper(subject.model, subject.trainable, subject.settings, loss=subject.loss).optimizer
    names = {id(item): name for name, item in subject.model.named_parameters()}
    held = [
        names.get(id(item), "a tensor outside of the model") for group in optimizer.param_groups for item in group["params"]
    ]
    for who, found in (("are free to move", moving), ("are in the optimizer", set(held))):
        missing, extra = sorted(subject.asked - found), sorted(found - subject.asked)
        if missing or extra:
            lists = [f"missing: {shown(missing)}"] * bool(missing) + [f"not asked for: {shown(extra)}"] * bool(extra)
            raise fault(
                "trainable tensors",
                f"expected {len(subject.asked):,} tensors; {len(found):,} {who} ({'; '.join(lists)})",
                "another --method, or report it: the method frees other tensors than it says",
            )
    return Checked(name="trainable tensors", found=f"the {len(held):,} asked for, and no others")


def check_moved(subject: Subject) -> Checked:
    """After two trial steps everything that trains has changed, and nothing else has.

    A tensor may stay as it is only if the outputs do not depend on it: an unused pooler, the bias of a key projection (which
    softmax takes out again). Whether they do is found out by moving it by hand.
    """
    stepper = Stepper(subject.model, subject.trainable, _trial_settings(subject), loss=subject.loss)
    places = subject.some_rows(TRIAL_ROWS, purpose="steps")
    before, frozen = copies(subject.trainable), _fingerprints(subject.model)
    reached: set[str] = set()
    for step in range(TRIAL_STEPS):
        update = stepper.update(subject.rows, places, factor=1.0)
        if not update.is_finite:
            raise fault(
                "trial steps",
                f"the loss of trial step {step + 1} is {update.loss}, its gradient {update.gradient_norm:.2g} "
                f"(rows {names_of(subject, places)})",
                f"--precision float32, or --learning-rate {subject.settings.learning_rate / 10:g}",
            )
        reached |= {name for name, item in subject.trainable.items() if item.grad is not None and item.grad.any()}
    drifted = [name for name, value in _fingerprints(subject.model).items() if value != frozen[name]]
    if drifted:
        raise fault("trial steps", f"frozen tensors have changed: {shown(drifted)}", "another --model")
    unmoved = [name for name, item in subject.trainable.items() if torch.equal(item, before[name])]
    held = {id(item) for group in stepper.optimizer.param_groups for item in group["params"]}
    exceptions = [name for name in unmoved if _is_excused(subject, name, places, reached=reached, held=held)]
    stuck = [name for name in unmoved if name not in exceptions]
    if stuck:
        why = "a gradient arrives, but no step moves them" if set(stuck) <= reached else "no gradient arrives"
        raise fault(
            "trial steps",
            f"expected every trainable tensor to change in {TRIAL_STEPS} steps; {len(stuck):,} of {len(subject.trainable):,} "
            f"did not, although the outputs depend on them ({why}): {shown(stuck)}",
            "look for .detach(), .data or torch.no_grad() in the network" if why.startswith("no") else "--block-decay 1",
        )
    unused = f"; without influence, and left as they are: {shown(exceptions)}" if exceptions else ""
    count = len(subject.trainable) - len(exceptions)
    return Checked(name="trial steps", found=f"{count:,} tensors changed in {TRIAL_STEPS} steps, frozen ones did not{unused}")


def _trial_settings(subject: Subject) -> FitSettings:
    """Rates of at least the method's: whoever asks for tiny ones has a reason, and it is the wiring that is tested."""
    backbone, head = subject.rates
    calm = subject.calm
    return replace(
        calm,
        learning_rate=max(calm.learning_rate, backbone),
        head_learning_rate=max(calm.head_learning_rate, head),
    )


def _is_excused(subject: Subject, name: str, places: Int[np.ndarray, " B"], *, reached: set[str], held: set[int]) -> bool:
    """Whether a tensor that did not move is without influence, or was left out of the trial steps by chance (layer drop)."""
    few = places[:FEW_ROWS]
    parameter = subject.trainable[name]
    with torch.no_grad():
        as_is = plain_outputs(subject, few)
        kept = parameter.detach().clone()
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(kept.shape, generator=generator).to(kept)
        parameter.add_(noise * (0.5 * kept.float().square().mean().sqrt() + 0.05).to(kept))
        moved = plain_outputs(subject, few)
        parameter.copy_(kept)
    scale = float(as_is.abs().max()) + 1e-6
    if float((moved - as_is).abs().max()) < 1e-4 * scale:
        return True
    if name in reached or id(parameter) not in held:
        return False
    subject.model.zero_grad(set_to_none=True)
    outputs, targets = subject.outputs(few)
    subject.loss(outputs, targets).sum.backward()  # type: ignore[no-untyped-call]
    return parameter.grad is not None and bool(parameter.grad.any())


def _fingerprints(model: TunedModel) -> dict[str, int]:
    """A cheap sum over the bits of every frozen tensor and buffer."""
    frozen = [(name, item) for name, item in model.named_parameters() if not item.requires_grad]
    return {name: _bit_sum(item) for name, item in [*frozen, *model.named_buffers()]}


def _bit_sum(tensor: Tensor) -> int:
    kinds = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    bits = tensor.detach().contiguous().reshape(-1).view(kinds[tensor.element_size()]) if tensor.numel() else tensor
    return int(bits.sum(dtype=torch.int64))
