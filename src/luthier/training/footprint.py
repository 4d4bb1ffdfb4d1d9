"""How much memory a training will need, said before its first step: what is held already, and what comes on top, by name.

Nothing is guessed that can be measured: what a forward pass keeps for the backward pass is counted on the longest rows, tensor
by tensor, at two sizes of the micro-batch; copies, gradients and the optimizer's state follow from what trains. The parts are
added up, although gradients come while activations go; left out are what an operation needs in passing, gaps in the heap, and
the second pass that mixup makes through texts in micro-batches. On a processor it was at most 13 % below what was taken where
everything trains, and half of it at worst, with an adapter in every block (docs/lab-notebook.md).
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from luthier.core.storage import format_bytes
from luthier.training.data import TrainingRows
from luthier.training.device import autocast
from luthier.training.fit_settings import FitSettings
from luthier.training.memory import held_bytes, peak_bytes, room_bytes
from luthier.training.model import TunedModel
from luthier.training.optimizer import build_recipe
from luthier.training.snapshot import put_back
from luthier.training.step import Loss
from luthier.training.worst import longest_rows

FEW, MORE = 2, 4  # rows of the two forward passes that are counted
NEAR = 0.8  # of the memory that is free: from there on it is said
GAPS = 2.5  # times what is counted may be taken at worst, where the heap has gaps
COPIES_OF_BEST = 2  # a new best state is copied before the old one is let go


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """Memory of one training in one process, in bytes.

    Attributes:
        held: By this process now: program, data, weights.
        before: The most it has held so far.
        copies: Of what trains: the best state, the moving average, a soup's states, importances.
        gradients: Of what trains.
        optimizer: The optimizer's state.
        fixed: What a forward pass keeps whatever the number of rows, such as weights in another precision.
        row: What it keeps of one of the longest rows.
        store: Stored activations, whose pages are mapped as they are read; the system takes them back when it needs room.
        room: What is free for this process.
    """

    held: int
    before: int
    copies: int
    gradients: int
    optimizer: int
    fixed: int
    row: int
    store: int
    room: int

    def need(self, micro_batch: int) -> int:
        """What comes on top of what is held, without the store's pages."""
        return self.copies + self.gradients + self.optimizer + self.fixed + micro_batch * self.row

    def peak(self, micro_batch: int) -> int:
        """The most that the process will have held at the end."""
        return max(self.before, self.held + self.need(micro_batch) + self.store)

    def fits(self, micro_batch: int) -> bool:
        """Whether there is room for it."""
        return self.need(micro_batch) <= self.room

    def is_ample(self, micro_batch: int) -> bool:
        """Whether there is room even for a heap with gaps."""
        return GAPS * self.need(micro_batch) <= self.room

    def largest(self, at_most: int) -> int:
        """The largest power of two, and no more than `at_most`, that fits; 0 if not even one row does."""
        powers = [1 << exponent for exponent in range(at_most.bit_length())]
        return max((size for size in powers if self.fits(size)), default=0)

    def event(self, micro_batch: int) -> dict[str, Any]:
        """What the journal says of it."""
        parts = {
            "held": self.held,
            "copies": self.copies,
            "gradients": self.gradients,
            "optimizer": self.optimizer,
            "activations": self.fixed + micro_batch * self.row,
            "store": self.store,
        }
        return {
            "event": "memory_predicted",
            "micro_batch": micro_batch,
            "parts": parts,
            "bytes_per_row": self.row,
            "peak_bytes": self.peak(micro_batch),
            "room_bytes": self.room,
        }

    def warning(self, micro_batch: int, *, batch_size: int, device: str) -> str:
        """What to tell before the training: empty while there is ample room."""
        need = self.need(micro_batch)
        if need <= NEAR * self.room:
            return ""
        where = "" if device == "cpu" else f" on {device}"
        said = f"Micro-batch {micro_batch} needs about {format_bytes(need)}{where}; {format_bytes(self.room)} are free."
        if self.fits(micro_batch):
            return said
        smaller = self.largest(micro_batch)
        if not smaller:
            return f"{said} Try: --method top-blocks:1, a smaller --max-length, or --gradient-checkpointing on"
        pieces = -(-batch_size // smaller)
        return (
            f"{said} Try: --micro-batch auto ({smaller} fits; {pieces} micro-batches keep the effective batch at {batch_size})"
        )


def measure_footprint(
    model: TunedModel,
    trainable: Mapping[str, nn.Parameter],
    rows: TrainingRows,
    settings: FitSettings,
    *,
    loss: Loss,
    seats: int = 1,
) -> Footprint:
    """Count what a training will need; two small forward passes, and everything is put back to the bit.

    Args:
        model: Inside `tuning` and `starting`, so that the pre-trained values of what trains are among what is held.
        trainable: What trains, by name.
        rows: What is trained on.
        settings: Of the training.
        loss: Of a micro-batch.
        seats: Processes that share this machine's memory.
    """
    device = settings.device
    fixed, row = _activations(model, rows, settings, loss=loss)
    # Only now: a first pass makes torch and others load what they need, which took more than 200 MB.
    held, before, room = held_bytes(device), peak_bytes(device), room_bytes(device, seats=seats)
    weights = sum(item.numel() * item.element_size() for item in trainable.values())
    copies = COPIES_OF_BEST + bool(settings.ema_decay) + bool(settings.penalties.ewc) + settings.soup
    recipe = build_recipe(settings.optimizer)
    is_mapped = device == "cpu" and rows.store is not None
    return Footprint(
        held=held,
        before=before,
        copies=copies * weights,
        gradients=weights,
        optimizer=sum(item.element_size() * recipe.state_size(tuple(item.shape)) for item in trainable.values()),
        fixed=fixed,
        row=row,
        store=rows.store.num_bytes if is_mapped and rows.store is not None else 0,
        room=room,
    )


def _activations(model: TunedModel, rows: TrainingRows, settings: FitSettings, *, loss: Loss) -> tuple[int, int]:
    """(whatever the number of rows, for each of the longest rows): what a forward pass keeps for the backward pass.

    Where blocks are computed twice, that is what lies between them, and one block's share of all the rest.
    """
    plain = _kept_at_two_sizes(model, rows, settings, loss=loss, boundary=None)
    if settings.recompute != "on":
        return plain
    between = _kept_at_two_sizes(model, rows, settings, loss=loss, boundary=model.boundary)
    blocks = max(1, model.backbone.num_blocks - max(0, model.boundary))
    fixed, row = (less + max(0, more - less) // blocks for less, more in zip(between, plain, strict=True))
    return fixed, row


def _kept_at_two_sizes(
    model: TunedModel, rows: TrainingRows, settings: FitSettings, *, loss: Loss, boundary: int | None
) -> tuple[int, int]:
    few, more = min(FEW, len(rows.rows)), min(MORE, len(rows.rows))
    kept = []
    with put_back(model, {}, device=settings.device), model.backbone.recomputing(boundary):
        model.training_mode()
        for number in (few, more):
            batch, counter = rows.batch(longest_rows(rows, number)), SavedBytes(model)
            with counter.counting(), autocast(settings.device, settings.precision):
                part = loss(model(batch.inputs, batch.stored), batch.targets)
            kept.append(counter.num_bytes)
            del part  # it holds the graph, and the graph what was counted: no two tensors had the same place
    row = (kept[1] - kept[0]) // (more - few) if more > few else kept[0] // few
    return max(0, kept[0] - few * row), row


class SavedBytes:
    """Counts what autograd keeps for the backward pass, each piece of memory once, the model's own tensors apart.

    Example:
        >>> import torch
        >>> linear = nn.Linear(3, 2)
        >>> counter = SavedBytes(linear)
        >>> with counter.counting():
        ...     kept = linear(torch.ones(5, 3))
        >>> counter.num_bytes
        60
    """

    def __init__(self, model: nn.Module) -> None:
        self._seen = {value.untyped_storage().data_ptr() for value in [*model.parameters(), *model.buffers()]}
        self.num_bytes = 0

    def counting(self) -> AbstractContextManager[None]:
        """The context in which tensors are counted."""
        return saved_tensors_hooks(self._count, lambda tensor: tensor)

    def _count(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._seen:
            self._seen.add(storage.data_ptr())
            self.num_bytes += storage.nbytes()
        return tensor
