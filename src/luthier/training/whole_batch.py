"""The gradient of a loss over a whole batch, in micro-batches: no such loss is a sum over pieces of the batch.

First the outputs of all units are computed piece by piece, without gradients; then the loss of them all and its gradient by
each output; then every piece once more, whose own gradient begins with that of its outputs. What is random in a piece (dropout)
is drawn the same way twice. Memory is that of one micro-batch and of the outputs, which are one vector for each unit.

Cost: a second forward pass; none where the whole batch goes through at once.
Source: Gao et al. 2021, "Scaling deep contrastive learning batch size under memory limited setup" (GradCache).
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from luthier.tasks.protocol import LossSum
from luthier.training.data import TrainingRows
from luthier.training.device import autocast
from luthier.training.fit_settings import FitSettings
from luthier.training.generators import generator_states, restore_generators
from luthier.training.memory import is_out_of_memory
from luthier.training.model import TunedModel
from luthier.training.processes import Processes

Loss = Callable[[Tensor, Tensor], LossSum]
Places = Int[np.ndarray, " m"]


def backward_over_batch(
    model: TunedModel,
    rows: TrainingRows,
    places: Int[np.ndarray, " B"],
    *,
    loss: Loss,
    settings: FitSettings,
    micro_batch: int,
    processes: Processes,
) -> tuple[float, float]:
    """Leave the gradient of a batch's loss in the weights; with several processes each leaves that of its own units.

    Args:
        model: In training mode.
        rows: With companions.
        places: The rows of the batch.
        loss: (outputs of all units, targets) -> the loss of the batch.
        micro_batch: Examples, with their companions, in one forward pass.

    Returns:
        The loss and its weight; of several processes the main one's counts, and the others give 0.
    """
    units, targets = rows.whole_batch(places)
    lengths, wanted = rows.inputs.lengths[units], torch.from_numpy(targets).to(settings.device)
    own = processes.share_of(np.argsort(lengths, kind="stable"))
    size = micro_batch * -(-len(units) // len(places))

    def outputs_of(some: Places) -> Tensor:
        batch = rows.read(units[some], targets[some])
        with autocast(settings.device, settings.precision):
            outputs: Tensor = model(batch.inputs, batch.stored)
        return outputs.to(torch.promote_types(outputs.dtype, torch.float32))

    if processes.count == 1 and len(own) <= size:
        return _at_once(outputs_of, alike(own, lengths), wanted, loss=loss)
    pieces = [own[start : start + size] for start in range(0, len(own), size)]
    part, gradients, states = _looked_ahead(outputs_of, pieces, wanted, loss=loss, settings=settings, processes=processes)
    for some, state in zip(pieces, states, strict=True):
        restore_generators(state)
        outputs_of(some).backward(gradients[some])  # type: ignore[no-untyped-call]
    return (float(part.sum.detach()), part.weight) if processes.is_main else (0.0, 0.0)


def alike(places: Places, lengths: Int[np.ndarray, " M"]) -> list[Places]:
    """Places in groups, within which no length is twice another: short queries need not be filled up to long documents.

    Example:
        >>> [group.tolist() for group in alike(np.array([0, 2, 1]), np.array([5, 40, 6]))]
        [[0, 2], [1]]
    """
    sizes = np.ceil(np.log2(np.maximum(lengths[places], 1))).astype(np.int64)
    return [places[sizes == size] for size in np.unique(sizes)]


def _at_once(
    outputs_of: Callable[[Places], Tensor], groups: Sequence[Places], targets: Tensor, *, loss: Loss
) -> tuple[float, float]:
    """All units go through, and are held, at once."""
    outputs = torch.cat([outputs_of(some) for some in groups])
    part = loss(outputs[torch.from_numpy(np.argsort(np.concatenate(groups)))], targets)
    part.sum.backward()  # type: ignore[no-untyped-call]
    return float(part.sum.detach()), part.weight


def _looked_ahead(
    outputs_of: Callable[[Places], Tensor],
    pieces: Sequence[Places],
    targets: Tensor,
    *,
    loss: Loss,
    settings: FitSettings,
    processes: Processes,
) -> tuple[LossSum, Float[Tensor, "M D"], list[dict[str, Tensor]]]:
    """The loss of all outputs, its gradient by each, and the state of the random generators before each piece."""
    states: list[dict[str, Tensor]] = []
    found: list[Tensor] = []
    shortage: Exception | None = None
    try:
        with torch.no_grad():
            for some in pieces:
                states.append(generator_states(settings.device))
                found.append(outputs_of(some))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        shortage = error
    if processes.any(shortage is not None):  # all begin again together: nobody may wait for outputs that do not come
        raise shortage or MemoryError("it was short in another process")
    width = int(processes.of_main(float(found[0].shape[1]) if found else 0.0))
    outputs = torch.zeros((len(targets), width), device=settings.device, dtype=found[0].dtype if found else torch.float32)
    for some, values in zip(pieces, found, strict=True):
        outputs[some] = values
    processes.sum_tensors([outputs])
    outputs.requires_grad_(True)
    part = loss(outputs, targets)
    part.sum.backward()  # type: ignore[no-untyped-call]
    assert outputs.grad is not None
    return part, outputs.grad, states
