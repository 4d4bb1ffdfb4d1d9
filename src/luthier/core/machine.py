"""What this machine and its installed packages are like, for run folders and for the checks of `environment.py`.

Nothing is imported to find out: versions come from the packages' metadata, the rest from the system's own files. A broken
torchvision or a hole in transformers is found although importing either would crash, or be unwise.
"""

import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from luthier.core.process import available_memory_bytes
from luthier.core.storage import free_bytes

KEY_PACKAGES = (
    "luthier",
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "numpy",
    "pyarrow",
    "polars",
    "scikit-learn",
    "scipy",
)
FLAGS_OF_INTEREST = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8", "asimd", "bf16")
GPU_FILES = ("/dev/nvidia0", "/proc/driver/nvidia/version", "/dev/kfd", "/dev/dxg")


@dataclass(frozen=True, kw_only=True)
class Package:
    """An installed package, from its metadata.

    Attributes:
        name: In lower case, with hyphens.
        version: As it states it (`2.13.0+cpu`).
        requires: Its requirements, as it states them.
    """

    name: str
    version: str
    requires: tuple[str, ...] = ()

    @property
    def release(self) -> tuple[int, ...]:
        """The numbers of the version, without what follows them.

        Example:
            >>> Package(name="torch", version="2.13.0+cpu").release
            (2, 13, 0)
        """
        return release_of(self.version)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """All that the checks look at; made by `look_around`, or by a test.

    Attributes:
        packages: Installed packages by name.
        python: Version of Python.
        cpu: Name of the processor.
        cpu_flags: What it can do, as the system calls it.
        cores: Cores that this process may use.
        cores_present: Cores of the machine.
        memory_bytes: Memory of the machine. `memory_free_bytes`: what new work can have.
        cache: Luthier's cache folder. `cache_writable`: whether files can be put there.
        disk_free_bytes: What is free on its disk.
        gpu_file: A file that shows a graphics processor; empty if there is none.
        hub_offline: Whether HF_HUB_OFFLINE keeps the hub's library from the network.
    """

    packages: Mapping[str, Package]
    python: tuple[int, ...] = field(default=tuple(sys.version_info[:3]))
    cpu: str = ""
    cpu_flags: frozenset[str] = frozenset()
    cores: int = 1
    cores_present: int = 1
    memory_bytes: int = 0
    memory_free_bytes: int = 0
    cache: Path = Path()
    cache_writable: bool = True
    disk_free_bytes: int = 0
    gpu_file: str = ""
    hub_offline: bool = False


def release_of(version: str) -> tuple[int, ...]:
    """The numbers at the beginning of a version.

    Example:
        >>> release_of("5.3.0rc1"), release_of("2026.9")
        ((5, 3, 0), (2026, 9))
    """
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def look_around(search_path: Sequence[str] | None = None) -> Surroundings:
    """Take stock of this machine.

    Args:
        search_path: Folders to look for packages in; those of this Python if None.
    """
    cpu, flags = _processor()
    cache = cache_folder()
    return Surroundings(
        packages=find_packages(search_path),
        cpu=cpu,
        cpu_flags=flags,
        cores=usable_cores(),
        cores_present=os.cpu_count() or 1,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        memory_free_bytes=available_memory_bytes(),
        cache=cache,
        cache_writable=_is_writable(cache),
        disk_free_bytes=free_bytes(cache),
        gpu_file=next((name for name in GPU_FILES if Path(name).exists()), ""),
        hub_offline=os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"),
    )


def find_packages(search_path: Sequence[str] | None = None) -> dict[str, Package]:
    """Installed packages by name; where one is installed twice, the first on the path, which is the one imported."""
    path = list(sys.path if search_path is None else search_path)
    found: dict[str, Package] = {}
    for distribution in metadata.distributions(path=path):
        name, version = distribution.metadata["Name"], distribution.metadata["Version"]
        if not name or not version:  # left behind by a broken uninstall
            continue
        key = re.sub(r"[-_.]+", "-", name).lower()
        found.setdefault(key, Package(name=key, version=version, requires=tuple(distribution.requires or ())))
    return found


def cache_folder() -> Path:
    """Where Luthier keeps what can be made again: LUTHIER_CACHE, else `luthier` in XDG_CACHE_HOME or ~/.cache."""
    if chosen := os.environ.get("LUTHIER_CACHE"):
        return Path(chosen).expanduser().absolute()
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if home and Path(home).is_absolute() else Path.home() / ".cache") / "luthier"


def usable_cores() -> int:
    """Cores that this process may use: its affinity, and the quota of its control group where there is one."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        cores = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, -(-int(quota) // int(period))))


def describe_machine(search_path: Sequence[str] | None = None) -> dict[str, Any]:
    """The machine as JSON types, for run folders and benchmarks: processor, cores, memory, versions."""
    here = look_around(search_path)
    return {
        "cpu": here.cpu,
        "cpu_flags": sorted(here.cpu_flags.intersection(FLAGS_OF_INTEREST)),
        "cores": here.cores,
        "memory_bytes": here.memory_bytes,
        "gpu": bool(here.gpu_file),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: here.packages[name].version for name in KEY_PACKAGES if name in here.packages},
    }


def _processor() -> tuple[str, frozenset[str]]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine(), frozenset()
    name = re.search(r"^model name\s*:\s*(.+)$", text, flags=re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, flags=re.MULTILINE)
    return (name.group(1).strip() if name else platform.machine()), frozenset(flags.group(1).split() if flags else ())


def _is_writable(folder: Path) -> bool:
    """Whether files could be put into a folder that may not exist yet."""
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
