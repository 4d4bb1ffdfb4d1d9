"""Which of the processes that a launcher started together this one is. Read from the environment; torch is not needed."""

import os
import socket
from dataclasses import dataclass

MEETING_FILE = "LUTHIER_MEETING_FILE"  # names a file on a disk that all processes share, where they find each other


@dataclass(frozen=True, kw_only=True)
class Seat:
    """One process among those that do one piece of work together.

    Attributes:
        rank: Its number among all of them; 0 is the main process, which alone speaks and writes.
        count: How many there are on all machines.
        local_rank: Its number among those on its machine.
        local_count: How many there are on its machine.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that speaks and writes."""
        return self.rank == 0

    @property
    def is_on_one_machine(self) -> bool:
        """Whether all processes are on this machine."""
        return self.local_count == self.count


ONLY_SEAT = Seat()


def taken_seat() -> Seat:
    """The seat that torchrun, `accelerate launch` or Ray Train have given this process; the only one if nobody has.

    Example:
        >>> taken_seat()
        Seat(rank=0, count=1, local_rank=0, local_count=1)
    """
    count = _number("WORLD_SIZE", 1)
    if count < 2:
        return ONLY_SEAT
    return Seat(
        rank=_number("RANK", 0),
        count=count,
        local_rank=_number("LOCAL_RANK", 0),
        local_count=_number("LOCAL_WORLD_SIZE", count),
    )


def _number(name: str, default: int) -> int:
    said = os.environ.get(name, "")
    return int(said) if said.isdigit() else default


def loopback_interface() -> str:
    """The name of the network interface that does not leave this machine, `lo` or `lo0`; empty if there is none."""
    return next((name for _, name in socket.if_nameindex() if name in ("lo", "lo0")), "")
