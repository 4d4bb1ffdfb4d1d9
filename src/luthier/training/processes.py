"""The processes of one training: each computes its share of every step, and all of them hold the same weights.

A step is the same whatever the number of processes: each takes its share of the same batch, leaves the gradient of the *sum* of
its losses, and gradients, losses and weights of units are summed over all processes; then every process makes the same
update. No averages of averages: shares may differ in size, and may be empty. The main process (rank 0) alone speaks, writes
and decides; the others learn from it what it has decided.

accelerate finds out how the processes were launched, joins them and picks the device of each; only tensors travel, and JSON
as bytes: nothing is pickled.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from luthier.core.process import Cost
from luthier.core.records import to_json
from luthier.core.rows import slices_of, zero_rows
from luthier.core.seat import MEETING_FILE, ONLY_SEAT, Seat, loopback_interface
from luthier.errors import LostProcessError, UsageError

BUCKET_BYTES = 32 << 20  # gradients travel in pieces of about this size
STEP_PATIENCE = timedelta(minutes=30)  # for a process that neither answers nor dies; one that dies is noticed at once
MAIN_PATIENCE = timedelta(days=7)  # for the main process, which does some things alone: passes, baselines, packaging
Tensors = Mapping[str, Mapping[str, Tensor]]


class Processes:
    """This process and those that it works with; with a count of 1 everything below costs nothing.

    Args:
        seat: This process among the others.
        wire: Device that tensors are on while they travel in a step: the CPU over gloo, the accelerator over nccl.
        patient: The group over which the others wait for the main process; None for one process.

    Example:
        >>> ALONE.sum([1.5, 2.0]), ALONE.any(False), ALONE.share_of(np.arange(3)).tolist()
        ([1.5, 2.0], False, [0, 1, 2])
    """

    def __init__(self, seat: Seat, *, wire: str = "cpu", patient: Any = None) -> None:
        self.seat, self._wire, self._patient = seat, wire, patient

    @property
    def rank(self) -> int:
        """The number of this process."""
        return self.seat.rank

    @property
    def count(self) -> int:
        """How many there are."""
        return self.seat.count

    @property
    def is_main(self) -> bool:
        """Whether this is the process that speaks, writes and decides."""
        return self.seat.is_main

    def share_of(self, places: Int[np.ndarray, " B"]) -> Int[np.ndarray, " b"]:
        """What of a batch this process computes: every `count`-th place, so that shares of sorted rows are equally long."""
        return places[self.rank :: self.count]

    def sum(self, values: Sequence[float]) -> list[float]:
        """Numbers summed over all processes, in double precision."""
        if self.count == 1:
            return list(values)
        numbers = torch.tensor(list(values), dtype=torch.float64, device=self._wire)
        with _noticing_the_lost():
            torch.distributed.all_reduce(numbers)
        return numbers.tolist()

    def any(self, flag: bool) -> bool:
        """Whether it is so in some process."""
        return flag if self.count == 1 else self.sum([float(flag)])[0] > 0

    def of_main(self, value: float) -> float:
        """The main process's number, on every process."""
        return value if self.count == 1 else self.sum([value if self.is_main else 0.0])[0]

    def sum_tensors(self, tensors: Sequence[Tensor]) -> None:
        """Sum tensors over all processes, in place and in pieces; every process ends with the same bits."""
        if self.count == 1:
            return
        under_way = []
        with _noticing_the_lost():
            for bucket in _buckets(tensors):
                flat = torch.cat([item.detach().reshape(-1) for item in bucket]).to(self._wire)
                under_way.append((bucket, flat, torch.distributed.all_reduce(flat, async_op=True)))
            for bucket, flat, work in under_way:
                work.wait()
                for item, values in zip(bucket, torch.split(flat, [item.numel() for item in bucket]), strict=True):
                    item.detach().copy_(values.view_as(item))

    def merged(self, own: Float[np.ndarray, "N C"] | None, num_rows: int) -> Float[np.ndarray, "N C"] | None:
        """Rows that the processes have computed between them, on every process.

        Args:
            own: Those of this process, with zeros for the others; None if it had none to compute.
        """
        if self.count == 1:
            return own
        columns = self.gather(torch.tensor([0 if own is None else own.shape[1]]))
        rows = zero_rows((num_rows, int(torch.cat(columns).max()))) if own is None else own
        for part in slices_of(rows):
            self.sum_tensors([torch.from_numpy(rows[part])])
        return rows

    def gather(self, value: Tensor) -> list[Tensor]:
        """A tensor of every process, in the order of ranks; all must have the same shape. They come on the CPU."""
        if self.count == 1:
            return [value]
        sent = value.detach().cpu().contiguous()
        received = [torch.empty_like(sent) for _ in range(self.count)]
        with _noticing_the_lost():
            torch.distributed.all_gather(received, sent, group=self._patient)
        return received

    def share(self, tensors: Tensors, facts: Any = None) -> tuple[dict[str, dict[str, Tensor]], Any]:
        """What the main process has, on every process: named tensors by file, and facts that JSON can say.

        The others wait for it as long as it takes; what they give themselves does not matter. Tensors come on the CPU.
        """
        if self.count == 1:
            return {file: dict(items) for file, items in tensors.items()}, facts
        shapes = {file: {name: _shape_of(item) for name, item in items.items()} for file, items in tensors.items()}
        told = json.loads(self._share_text(to_json({"shapes": shapes, "facts": facts})))
        received: dict[str, dict[str, Tensor]] = {}
        with _noticing_the_lost():
            for file, items in told["shapes"].items():
                received[file] = {}
                for name, (dtype, shape) in items.items():
                    value = torch.empty(shape, dtype=getattr(torch, dtype))
                    if self.is_main:
                        value = tensors[file][name].detach().cpu().contiguous()
                    torch.distributed.broadcast(value, src=0, group=self._patient)
                    received[file][name] = value
        return received, told["facts"]

    def decided(self, value: Any) -> Any:
        """What the main process has decided; anything that JSON can say."""
        return value if self.count == 1 else self.share({}, value)[1]

    def total_cost(self, own: Cost) -> Cost:
        """What some work has cost in all processes: their processor time, the main process's clock, and the memory of all."""
        if self.count == 1:
            return own
        cpu, wall, memory = self.sum([own.cpu_seconds, own.wall_seconds * self.is_main, own.peak_memory_bytes])
        return Cost(cpu_seconds=cpu, wall_seconds=wall, peak_memory_bytes=int(memory))

    def leave(self) -> None:
        """Let go of the connections; what still holds one when the process ends may abort it."""
        self._patient = None

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.count > 1:
            with _noticing_the_lost():
                torch.distributed.barrier(group=self._patient)

    @contextmanager
    def one_at_a_machine_first(self) -> Iterator[None]:
        """Inside the block, the first process of each machine works while the others of that machine wait for it.

        For what is done once and then found on the machine's disk.
        """
        if self.seat.local_rank:
            self.wait()
        yield
        if not self.seat.local_rank:
            self.wait()

    def refuse_difference(self, what: str, fingerprint: str) -> None:
        """Make sure that all processes work on the same thing.

        Raises:
            UsageError: this process has something else than the main process.
        """
        expected = self.decided(fingerprint)
        if self.any(fingerprint != expected):
            raise UsageError(
                f"Not all {self.count} processes have the same {what}.",
                remedy="give every machine the same files, and the same version of Luthier",
            )

    def _share_text(self, text: str) -> str:
        sent = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
        size = torch.tensor([len(sent)])
        with _noticing_the_lost():
            torch.distributed.broadcast(size, src=0, group=self._patient)
            received = sent if self.is_main else torch.empty(int(size), dtype=torch.uint8)
            torch.distributed.broadcast(received, src=0, group=self._patient)
        return received.numpy().tobytes().decode()


ALONE = Processes(ONLY_SEAT)


@contextmanager
def joined(seat: Seat, *, device: str = "auto") -> Iterator[Processes]:
    """The processes of this training, joined to each other until the block ends.

    Args:
        seat: This process among the others; alone it joins nobody, and no code for several processes is imported.
        device: That of the spec; `cpu` keeps accelerators out of it.
    """
    if seat.count == 1:
        yield ALONE
        return
    import os

    from accelerate import PartialState

    if seat.is_on_one_machine and (name := loopback_interface()):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", name)  # gloo would listen where the host's name points to
    was_joined = torch.distributed.is_initialized()
    meeting = {}
    if file := os.environ.get(MEETING_FILE):
        meeting = {"init_method": f"file://{file}", "rank": seat.rank, "world_size": seat.count}
    state = PartialState(cpu=device.startswith("cpu"), timeout=STEP_PATIENCE, **meeting)
    patient = torch.distributed.new_group(backend="gloo", timeout=MAIN_PATIENCE)
    wire = "cpu" if state.backend == "gloo" else str(state.device)
    processes = Processes(seat, wire=wire, patient=patient)
    del patient
    is_whole = True
    try:
        yield processes
        processes.wait()  # gloo may abort a process that leaves while the others are still connected to it
    except LostProcessError:
        is_whole = False  # connections to a process that is gone cannot be taken down in order
        raise
    finally:
        processes.leave()
        if is_whole and not was_joined:
            torch.distributed.destroy_process_group()
            state._reset_state()


@contextmanager
def _noticing_the_lost() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # what torch.distributed raises, whatever the backend
        raise LostProcessError(
            f"Another process of this training has ended or does not answer: {str(error).splitlines()[0][:200]}",
            remedy="look at what the other process said; the same command with --resume goes on from the last state",
        ) from error


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """The tensors in their order, in groups of one kind of number and about `BUCKET_BYTES`."""
    bucket: list[Tensor] = []
    size = 0
    for item in tensors:
        if bucket and (item.dtype != bucket[0].dtype or size + item.nbytes > BUCKET_BYTES):
            yield bucket
            bucket, size = [], 0
        bucket.append(item)
        size += item.nbytes
    if bucket:
        yield bucket


def _shape_of(value: Tensor) -> tuple[str, list[int]]:
    return str(value.dtype).removeprefix("torch."), list(value.shape)
