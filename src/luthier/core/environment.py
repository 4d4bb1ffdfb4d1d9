"""What can be wrong with an installation or a machine, each with its cure: the checks of `luthier doctor`.

A check is `Surroundings -> list[Ailment]`; adding one is a function and its name in `CHECKS`. `machine.py` takes stock.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from luthier.core.machine import Package, Surroundings, cache_folder, describe_machine, look_around, release_of
from luthier.core.storage import format_bytes

__all__ = ["CHECKS", "Ailment", "cache_folder", "check_environment", "describe_machine"]

OLDEST_PYTHON = (3, 11)
GIGABYTE = 1024**3
# torchvision 0.15 came with torch 2.0, and each since with the next.
TORCHVISION_OF_TORCH_2 = 15


@dataclass(frozen=True, kw_only=True)
class Ailment:
    """One thing found.

    Attributes:
        name: Short name, stable: for scripts.
        severity: error (something will fail, or is unsafe), warning (something is worse than it could be), info.
        problem: What was found and what it means.
        remedy: What to paste, or to do; empty for what needs nothing.
    """

    name: str
    severity: Literal["error", "warning", "info"]
    problem: str
    remedy: str
    schema_version: int = 1


def check_environment(search_path: Sequence[str] | None = None, *, surroundings: Surroundings | None = None) -> list[Ailment]:
    """All that is wrong here, the worst first. Imports none of the packages it judges.

    Args:
        search_path: Folders to look for packages in; those of this Python if None.
        surroundings: What to judge instead of this machine.
    """
    here = surroundings or look_around(search_path)
    order = ("error", "warning", "info")
    found = [ailment for check in CHECKS for ailment in check(here)]
    return sorted(found, key=lambda ailment: order.index(ailment.severity))


def check_python(here: Surroundings) -> list[Ailment]:
    """Python is old enough to lack what Luthier uses."""
    if here.python[:2] >= OLDEST_PYTHON:
        return []
    version, oldest = (".".join(map(str, numbers)) for numbers in (here.python, OLDEST_PYTHON))
    return [
        Ailment(
            name="python",
            severity="error",
            problem=f"Python {version} is too old; Luthier needs {oldest} or later.",
            remedy=f"python{oldest} -m venv .venv",
        )
    ]


def check_media_packages(here: Surroundings) -> list[Ailment]:
    """torchvision or torchaudio that do not belong to the installed torch: transformers then fails to import."""
    torch = here.packages.get("torch")
    if torch is None:
        return []
    found = []
    for name in ("torchvision", "torchaudio"):
        package = here.packages.get(name)
        if package and (reason := _mismatch(torch, package)):
            found.append(
                Ailment(
                    name=f"{name}-mismatch",
                    severity="error",
                    problem=f"{name} {package.version} does not fit torch {torch.version} ({reason}); "
                    f"transformers imports it where it finds it, and then fails. Luthier does not need {name}.",
                    remedy=f"pip uninstall -y {name}",
                )
            )
    return found


def _mismatch(torch: Package, package: Package) -> str:
    builds = [_build(each) for each in (torch, package)]
    if "cpu" in builds and builds[0] != builds[1]:
        return f"built for {builds[1] or 'CUDA'}, torch for {builds[0] or 'CUDA'}"
    if all(builds) and builds[0] != builds[1]:
        return f"built for {builds[1]}, torch for {builds[0]}"
    pinned = next((match.group(1) for text in package.requires if (match := re.match(r"torch\s*\(?==\s*([\d.]+)", text))), "")
    if pinned and release_of(pinned) != torch.release[: len(release_of(pinned))]:
        return f"it was built for torch {pinned}"
    if package.name == "torchvision" and not pinned and torch.release[0] == 2:
        expected = (0, TORCHVISION_OF_TORCH_2 + torch.release[1])
        return f"torchvision 0.{expected[1]} belongs to it" if package.release[:2] != expected else ""
    return ""


def _build(package: Package) -> str:
    """What a build of torch's family runs on: `cpu`, `cu128`, ...; empty for PyPI's builds, which for Linux are CUDA's."""
    local = package.version.partition("+")[2]
    return local if re.fullmatch(r"cpu|cu\d+|rocm[\d.]+|xpu", local) else ""


def check_known_holes(here: Surroundings) -> list[Ailment]:
    """Versions with published vulnerabilities."""
    floors = [
        ("transformers", (5, 3), "CVE-2026-4372 (a model's configuration can run code) and CVE-2026-1839"),
        ("torch", (2, 10), "CVE-2026-24747 (memory corruption while reading weights)"),
        ("torch", (2, 6), "CVE-2025-32434 (weights_only does not stop code in pickle weights)"),
    ]
    return [
        Ailment(
            name=f"{name}-hole-{'.'.join(map(str, floor))}",
            severity="error",
            problem=f"{name} {here.packages[name].version} has {holes}.",
            remedy=f"pip install -U '{name}>={'.'.join(map(str, floor))}'",
        )
        for name, floor, holes in floors
        if name in here.packages and here.packages[name].release < floor
    ]


def check_clashes(here: Surroundings) -> list[Ailment]:
    """Packages that do not work together."""
    pandas, evidently = here.packages.get("pandas"), here.packages.get("evidently")
    if not (pandas and evidently and pandas.release >= (3,)):
        return []
    return [
        Ailment(
            name="pandas-evidently",
            severity="warning",
            problem=f"evidently {evidently.version} fails to import next to pandas {pandas.version}. Luthier needs neither.",
            remedy="pip uninstall -y evidently; or pip install 'pandas<3'",
        )
    ]


def check_requirements(here: Surroundings) -> list[Ailment]:
    """Packages that Luthier cannot do without and that are missing, and optional parts that are not installed."""
    luthier = here.packages.get("luthier")
    if luthier is None:
        return []
    missing: dict[str, list[str]] = {}
    for text in luthier.requires:
        requirement, _, marker = text.partition(";")
        name = re.sub(r"[-_.]+", "-", re.match(r"\s*([\w.-]*)", requirement).group(1)).lower()  # type: ignore[union-attr]
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", marker)
        if marker and not extra:  # for another system or Python
            continue
        if name not in here.packages:
            missing.setdefault(extra.group(1) if extra else "", []).append(name)
    return [_missing(extra, names) for extra, names in sorted(missing.items())]


def _missing(extra: str, names: list[str]) -> Ailment:
    listed = ", ".join(names)
    if not extra:
        return Ailment(
            name="missing-packages",
            severity="error",
            problem=f"Luthier needs {listed}, which {'is' if len(names) == 1 else 'are'} not installed.",
            remedy="pip install --force-reinstall luthier",
        )
    return Ailment(
        name=f"extra-{extra}",
        severity="info",
        problem=f"The optional part '{extra}' is not complete: {listed} {'is' if len(names) == 1 else 'are'} not installed.",
        remedy=f"pip install 'luthier[{extra}]'",
    )


def check_machine(here: Surroundings) -> list[Ailment]:
    """Little memory, little disk, few of the machine's cores, a processor without the fast instructions."""
    found = []
    if here.memory_free_bytes < 2 * GIGABYTE:
        found.append(
            Ailment(
                name="memory",
                severity="warning",
                problem=f"Only {format_bytes(here.memory_free_bytes)} of {format_bytes(here.memory_bytes)} memory are free; "
                "tuning a small text model takes about 2 GiB.",
                remedy="close other programs; or --method probe, which needs least",
            )
        )
    if here.disk_free_bytes < 2 * GIGABYTE:
        found.append(
            Ailment(
                name="disk",
                severity="warning",
                problem=f"Only {format_bytes(here.disk_free_bytes)} are free on the disk of {here.cache}.",
                remedy="free some space, or set LUTHIER_CACHE to a folder on a larger disk",
            )
        )
    if here.cores < here.cores_present:
        found.append(
            Ailment(
                name="cores",
                severity="info",
                problem=f"This process may use {here.cores} of the machine's {here.cores_present} cores.",
                remedy="",
            )
        )
    return found + _speed(here)


def _speed(here: Surroundings) -> list[Ailment]:
    if not here.cpu_flags or here.cpu_flags & {"avx512_bf16", "amx_bf16", "bf16"}:
        return []
    return [
        Ailment(
            name="bfloat16",
            severity="info",
            problem="This processor has no instructions for bfloat16; training runs in float32 and is slower.",
            remedy="",
        )
    ]


def check_gpu(here: Surroundings) -> list[Ailment]:
    """A graphics processor that the installed torch cannot use."""
    torch = here.packages.get("torch")
    if not here.gpu_file or torch is None or _build(torch) != "cpu":
        return []
    version = torch.version.partition("+")[0]
    return [
        Ailment(
            name="gpu-unused",
            severity="warning",
            problem=f"There is a graphics processor ({here.gpu_file}), but torch {torch.version} is built for the CPU alone.",
            remedy=f"pip install --force-reinstall --no-deps torch=={version} (for CUDA: see pytorch.org/get-started)",
        )
    ]


def check_folders(here: Surroundings) -> list[Ailment]:
    """A cache that cannot be written, and a hub that is switched off."""
    found = []
    if not here.cache_writable:
        found.append(
            Ailment(
                name="cache",
                severity="error",
                problem=f"The cache folder {here.cache} cannot be written to.",
                remedy="export LUTHIER_CACHE=/a/folder/of/yours",
            )
        )
    if here.hub_offline:
        found.append(
            Ailment(
                name="hub-offline",
                severity="info",
                problem="HF_HUB_OFFLINE is set: models are taken from this machine only.",
                remedy="unset HF_HUB_OFFLINE, to allow downloads when you ask for them",
            )
        )
    return found


CHECKS: tuple[Callable[[Surroundings], list[Ailment]], ...] = (
    check_python,
    check_media_packages,
    check_known_holes,
    check_clashes,
    check_requirements,
    check_machine,
    check_gpu,
    check_folders,
)
