"""This process: what it has cost so far, and how it is asked to stop."""

import ctypes
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

from luthier.core.seat import taken_seat


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a piece of work cost.

    Attributes:
        cpu_seconds: User and system time of this process and of the children it has waited for.
        wall_seconds: Time on the clock.
        peak_memory_bytes: The largest resident set of the process so far (never falls within a process).
    """

    cpu_seconds: float
    wall_seconds: float
    peak_memory_bytes: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            cpu_seconds=self.cpu_seconds + other.cpu_seconds,
            wall_seconds=self.wall_seconds + other.wall_seconds,
            peak_memory_bytes=max(self.peak_memory_bytes, other.peak_memory_bytes),
        )


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # of glibc's malloc.h
NO_COST = Cost(cpu_seconds=0.0, wall_seconds=0.0, peak_memory_bytes=0)


class Stopwatch:
    """Measures cost from its making on.

    Example:
        >>> watch = Stopwatch()
        >>> watch.read().cpu_seconds >= 0
        True
    """

    def __init__(self) -> None:
        self._cpu = _cpu_seconds()
        self._wall = time.perf_counter()

    def read(self) -> Cost:
        """The cost since this watch was made."""
        return Cost(
            cpu_seconds=_cpu_seconds() - self._cpu,
            wall_seconds=time.perf_counter() - self._wall,
            peak_memory_bytes=peak_memory_bytes(),
        )


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def peak_memory_bytes() -> int:
    """The largest resident set of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def resident_memory_bytes() -> int:
    """What this process holds in memory now, in bytes (the peak so far, where the system does not say)."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return peak_memory_bytes()


class _AllocatorState(ctypes.Structure):
    """`struct mallinfo2` of glibc's malloc.h."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    ]


def reusable_memory_bytes() -> int:
    """What this process has freed and the C library keeps for it, in bytes (0, where the library does not say)."""
    ask = getattr(ctypes.CDLL(None), "mallinfo2", None) if sys.platform == "linux" else None
    if ask is None:
        return 0
    ask.restype = _AllocatorState
    return int(ask().fordblks)


def available_memory_bytes() -> int:
    """Memory that new allocations can have without swapping, in bytes (all of it, where the system does not say)."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def process_identity() -> dict[str, str | int]:
    """What this process is known by to others: host (with the namespace of its process numbers), number, time of its start."""
    return {"host": _host(), "pid": os.getpid(), "started": _start_of(os.getpid())}


def is_surely_dead(identity: Mapping[str, object]) -> bool:
    """Whether a process that gave its identity is known to have ended; of other hosts nothing is known.

    Example:
        >>> is_surely_dead(process_identity()), is_surely_dead({**process_identity(), "started": "never"})
        (False, True)
        >>> is_surely_dead({"host": "elsewhere", "pid": 1, "started": ""})
        False
    """
    return identity.get("host") == _host() and _start_of(int(str(identity.get("pid", 0)))) != identity.get("started")


def _host() -> str:
    try:
        return f"{socket.gethostname()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _start_of(pid: int) -> str:
    """When a process began, in the kernel's own ticks; empty if there is none. A number is given again, its time is not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
            return "" if fields[0] in "ZX" else fields[19]
    except OSError:
        return ""


def keep_freed_memory() -> None:
    """Ask the C library not to hand freed memory back to the system between training steps.

    Every step frees and takes the same large blocks; each time they come from the system, all their pages must be filled with
    zeros and mapped anew. Measured on MiniLM, everything trained: 28 % more samples a second. Without glibc nothing happens.
    """
    _set_malloc({M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1})


def give_back_freed_memory() -> None:
    """Undo `keep_freed_memory`: what is large comes from the system piece by piece, and goes back to it, so that no gaps stay.

    Measured on MiniLM with LoRA in every block: 1.7 instead of 2.4 GB, and steps that take a third longer.
    """
    _set_malloc({M_MMAP_MAX: 65_536, M_MMAP_THRESHOLD: 1 << 20, M_TRIM_THRESHOLD: 1 << 20})


def _set_malloc(options: Mapping[int, int]) -> None:
    """Options of the C library's allocator, where there are such."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for option, value in options.items():
            mallopt(option, value)


def wait_without_spinning() -> None:
    """Ask OpenMP's threads to sleep soon while they wait for each other; must be called before torch is imported.

    By default they spin for long, which makes training ten times slower where another process wants one of the cores
    (MiniLM, everything trained, two threads, milliseconds a step: 1,312; sleeping at once 143; after a short spin 92). What the
    user has set stays.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def leave_at_once(code: int) -> NoReturn:
    """End this process with nothing more than its last words: threads that wait for other processes are left behind.

    Taken down in order they may abort (`terminate called without an active exception`), and hide the exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


class StopRequest:
    """Set once the user asked to stop; long work looks at it between steps.

    Attributes:
        signal_name: `SIGINT` or `SIGTERM`; empty until then.
        ends_at_once: Whether the work that is going on keeps nothing that is worth waiting for.
        is_agreed: Whether all processes that work together know of it, so that all of them leave after the same step.
    """

    def __init__(self) -> None:
        self.signal_name = ""
        self.ends_at_once = False
        self.is_agreed = False

    def __bool__(self) -> bool:
        return bool(self.signal_name)

    def agree(self) -> None:
        """Take note that all processes stop here, whichever of them was asked to."""
        self.signal_name = self.signal_name or "another process"
        self.is_agreed = True

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside the block a signal does not wait for anybody to look: it raises KeyboardInterrupt, an earlier one too."""
        if self:
            raise KeyboardInterrupt
        before, self.ends_at_once = self.ends_at_once, True
        try:
            yield
        finally:
            self.ends_at_once = before


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn the first Ctrl-C or SIGTERM into a request; the second one ends the process at once.

    Outside the main thread signals cannot be caught: the request then simply stays unset.
    """
    request = StopRequest()

    def handle(number: int, frame: FrameType | None) -> None:
        if request:
            os._exit(128 + number)
        request.signal_name = signal.Signals(number).name
        if request.ends_at_once:
            raise KeyboardInterrupt
        if taken_seat().is_main:
            print("\nStopping after this step. Press Ctrl-C again to leave at once.", file=sys.stderr)

    try:
        previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:
        yield request
        return
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
