"""What a piece of work costs: it runs in a fresh process, whose CPU and wall seconds and peak memory are read from the kernel.

Also here: the machine (processor, cores, versions, a calibration by matrix products), the phases of a process, and the
arithmetic of repeats. Standard library only, so that measuring adds nothing to what is measured.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("torch", "transformers", "sentence-transformers", "keras", "numpy", "pyarrow", "polars", "scikit-learn")
CALIBRATION = """
import json, time, torch
found = {}
for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
    a, b = torch.ones(1024, 1024, dtype=dtype), torch.ones(1024, 1024, dtype=dtype)
    best = {"cpu": float("inf"), "wall": float("inf")}
    for attempt in range(12):
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(8 if attempt else 1):
            a @ b
        if attempt:
            best["cpu"] = min(best["cpu"], time.process_time() - cpu)
            best["wall"] = min(best["wall"], time.perf_counter() - wall)
    work = 8 * 2 * 1024**3 / 1e9
    found[name] = round(work / best["cpu"], 1)
    found[name + "_wall"] = round(work / best["wall"], 1)
print(json.dumps(found))
"""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a process and all its descendants used.

    Attributes:
        cpu_seconds: User and system time.
        wall_seconds: Time on the clock.
        peak_bytes: The largest resident set of any one of the processes.
        output: What it printed on stdout.
        exit_code: 0 unless another one was permitted.
    """

    cpu_seconds: float
    wall_seconds: float
    peak_bytes: int
    output: str
    exit_code: int


class Failed(RuntimeError):
    """A command ended with an exit code that was not permitted."""


def run_command(
    command: Sequence[str | Path], *, environment: Mapping[str, str] | None = None, permitted: Sequence[int] = (0,)
) -> Cost:
    """Run a command to its end and read what the kernel says it used.

    Raises:
        Failed: its exit code is not among `permitted`; the message ends with the last lines of its stderr.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(  # waited for below: wait4 is what tells the cost of the whole tree
            [str(part) for part in command], stdout=output, stderr=errors, env={**os.environ, **(environment or {})}
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode not in permitted:
            tail = "\n".join(errors.read().splitlines()[-15:])
            raise Failed(f"{' '.join(map(str, command))[:300]} ended with exit code {process.returncode}:\n{tail}")
        return Cost(
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            wall_seconds=wall,
            peak_bytes=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
            output=output.read(),
            exit_code=process.returncode,
        )


def run_case(script: Path, function: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Run one function of a benchmark in a fresh process with a cache of its own.

    The process prints what it found as JSON on its last line; whatever of the cost the function measured itself counts.
    """
    with tempfile.TemporaryDirectory(prefix="luthier-benchmark-") as scratch:
        cost = run_command(
            [sys.executable, script, "--case", function, "--settings", json.dumps(settings)],
            environment=case_environment(Path(scratch), int(settings["threads"])),
        )
    found: dict[str, Any] = json.loads(cost.output.splitlines()[-1])
    return {"cpu_seconds": cost.cpu_seconds, "wall_seconds": cost.wall_seconds, "peak_bytes": cost.peak_bytes} | found


def case_environment(scratch: Path, threads: int) -> dict[str, str]:
    """Nothing on disk to reuse, no network, this many threads."""
    return {
        "BENCHMARK_SCRATCH": str(scratch),
        "LUTHIER_CACHE": str(scratch / "cache"),
        "KERAS_HOME": str(scratch / "keras"),
        "KERAS_BACKEND": "torch",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "OMP_NUM_THREADS": str(threads),
    }


def scratch_folder() -> Path:
    """Where a case may write; removed afterwards."""
    return Path(os.environ["BENCHMARK_SCRATCH"])


def luthier_command() -> list[str]:
    """How the command `luthier` of this Python is started."""
    script = Path(sys.executable).parent / "luthier"
    return [str(script)] if script.exists() else [sys.executable, "-m", "luthier"]


def shared_folder() -> Path:
    """Where data and weights lie: LUTHIER_SHARED, or `shared` beside the repository."""
    folder = Path(os.environ.get("LUTHIER_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        sys.exit(f"No data at {folder}.\n  Try: LUTHIER_SHARED=/path/to/shared {' '.join(sys.argv)}")
    return folder.resolve()


class Phases:
    """Splits the cost of this process into parts; children that were waited for count.

    Example:
        >>> phases = Phases()
        >>> phases.end("imports")
        >>> list(phases.cpu)
        ['imports']
    """

    def __init__(self) -> None:
        self.cpu: dict[str, float] = {}
        self.wall: dict[str, float] = {}
        self._cpu = 0.0  # the start of Python belongs to the first phase
        self._wall = time.perf_counter()

    def end(self, name: str) -> None:
        """What was used since the last call was `name`."""
        used, now = sum(os.times()[:4]), time.perf_counter()
        self.cpu[name] = self.cpu.get(name, 0.0) + used - self._cpu
        self.wall[name] = self.wall.get(name, 0.0) + now - self._wall
        self._cpu, self._wall = used, now

    def found(self) -> dict[str, Any]:
        """For the result of a case."""
        return {
            "phases_cpu": {name: round(value, 3) for name, value in self.cpu.items()},
            "phases_wall": {name: round(value, 3) for name, value in self.wall.items()},
        }


def num_cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """The model of the processor."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "model name" not in facts:
        return platform.processor() or platform.machine()
    return f"{facts['model name']} (family {facts.get('cpu family', '?')}, model {facts.get('model', '?')})"


def describe_environment() -> dict[str, Any]:
    """The machine and the versions that decide a measurement."""
    return {
        "processor": processor(),
        "cores": num_cores(),
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def calibrate() -> dict[str, float]:
    """GFLOP per CPU second (and per wall second: `_wall`) of matrix products of 1024 by 1024, the best of eleven rounds."""
    found: dict[str, float] = json.loads(run_command([sys.executable, "-c", CALIBRATION]).output.splitlines()[-1])
    return found


def is_same_speed(a: Mapping[str, float], b: Mapping[str, float], *, tolerance: float = 0.25) -> bool:
    """Whether two calibrations show the same machine; a virtual machine's neighbours make some difference.

    Example:
        >>> is_same_speed({"float32": 100, "bfloat16": 300}, {"float32": 90, "bfloat16": 310})
        True
    """
    return all(abs(ratio(a[name], b[name]) - 1) <= tolerance for name in ("float32", "bfloat16"))


def ratio(larger: float, smaller: float) -> float:
    """How many times `smaller` goes into `larger`; infinite where it is 0."""
    return larger / smaller if smaller else float("inf")


def median_of(measurements: Sequence[Mapping[str, Any]], value: str) -> float:
    """The median over repeats of one value, which may lie deeper: `phases_cpu.train`.

    Example:
        >>> median_of([{"a": {"b": 1}}, {"a": {"b": 9}}, {"a": {"b": 2}}], "a.b")
        2.0
    """
    return median(_dig(measurement, value) for measurement in measurements)


def _dig(measurement: Mapping[str, Any], value: str) -> float:
    found: Any = measurement
    for name in value.split("."):
        found = found[name]
    return float(found)
