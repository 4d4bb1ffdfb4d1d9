"""What a piece of work costs, and how it is asked to stop."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from luthier.core.process import NO_COST, Cost, Stopwatch, available_memory_bytes, stop_on_signals

# Large pieces between small ones that stay: what is freed leaves gaps in a heap.
GAPS = """
import sys
import numpy as np
from luthier.core.process import give_back_freed_memory, keep_freed_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

keep_freed_memory()
if sys.argv[1] == "give back":
    give_back_freed_memory()
pairs = [(np.ones(2_500_000), np.ones(64)) for _ in range(10)]
before = resident()
small = [few for _, few in pairs]
del pairs
print(before - resident())
"""


def test_costs_add_up_and_peaks_do_not() -> None:
    total = Cost(cpu_seconds=1, wall_seconds=2, peak_memory_bytes=30) + Cost(
        cpu_seconds=3, wall_seconds=4, peak_memory_bytes=20
    )
    assert total == Cost(cpu_seconds=4, wall_seconds=6, peak_memory_bytes=30)
    assert total + NO_COST == total


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is that of Linux")
def test_freed_memory_is_kept_or_given_back() -> None:
    released = {}
    for how in ("keep", "give back"):
        command = [sys.executable, "-c", GAPS, how]
        released[how] = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert released["keep"] < 20_000_000
    assert released["give back"] > 180_000_000


def test_a_stopwatch_counts_work_and_waiting_apart() -> None:
    watch = Stopwatch()
    time.sleep(0.05)
    waited = watch.read()
    assert waited.wall_seconds >= 0.05 > waited.cpu_seconds
    np.sort(np.random.default_rng(0).random(3_000_000))
    assert watch.read().cpu_seconds > waited.cpu_seconds


def test_work_of_a_finished_child_is_counted() -> None:
    watch = Stopwatch()
    subprocess.run([sys.executable, "-c", "sum(i * i for i in range(3_000_000))"], check=True)
    assert watch.read().cpu_seconds > 0.05


def test_the_first_signal_is_a_request_and_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_on_signals() as request:
        assert not request
        os.kill(os.getpid(), signal.SIGINT)
        assert request.signal_name == "SIGINT"
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_signal_ends_the_process_at_once() -> None:
    code = (
        "import os, signal, time\n"
        "from luthier.core.process import stop_on_signals\n"
        "with stop_on_signals():\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(30)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=20, check=False)
    assert done.returncode == 128 + signal.SIGTERM


def test_outside_the_main_thread_nothing_is_caught() -> None:
    seen = []

    def work() -> None:
        with stop_on_signals() as request:
            seen.append(bool(request))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


def test_available_memory_is_a_part_of_all_memory() -> None:
    everything = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < available_memory_bytes() <= everything
