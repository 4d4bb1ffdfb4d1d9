"""The machine is described without importing what is judged; each ailment is found where it is, and only there."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from luthier.core.environment import CHECKS, Ailment, check_environment
from luthier.core.machine import Package, Surroundings, cache_folder, describe_machine, find_packages, look_around, usable_cores

GIGABYTE = 1024**3
SOUND = {"torch": "2.13.0+cpu", "transformers": "5.23.0"}
HEALTHY = Surroundings(
    packages={},
    cpu_flags=frozenset({"avx512_bf16"}),
    memory_bytes=16 * GIGABYTE,
    memory_free_bytes=8 * GIGABYTE,
    disk_free_bytes=50 * GIGABYTE,
    cache=Path("/home/somebody/.cache/luthier"),
)


def plant(folder: Path, packages: dict[str, str], requires: dict[str, list[str]] | None = None) -> list[str]:
    """Metadata as pip leaves it, for packages that are not there."""
    for name, version in packages.items():
        info = folder / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        lines = [f"Requires-Dist: {text}" for text in (requires or {}).get(name, [])]
        (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *lines, ""]))
    return [str(folder)]


def ailments(folder: Path, packages: dict[str, str], requires: dict[str, list[str]] | None = None) -> dict[str, Ailment]:
    surroundings = replace(HEALTHY, packages=find_packages(plant(folder, {**SOUND, **packages}, requires)))
    return {ailment.name: ailment for ailment in check_environment(surroundings=surroundings)}


def test_a_sound_installation_has_no_ailments(tmp_path: Path) -> None:
    assert ailments(tmp_path, {"pandas": "3.0.1", "torchvision": "0.28.0+cpu", "torchaudio": "2.13.0+cpu"}) == {}


@pytest.mark.parametrize(
    ("packages", "requires", "name", "reason"),
    [
        ({"torchvision": "0.28.0"}, {}, "torchvision-mismatch", r"built for CUDA"),
        ({"torchvision": "0.20.1+cpu"}, {}, "torchvision-mismatch", "torchvision 0.28 belongs to it"),
        ({"torchvision": "0.20.1+cpu"}, {"torchvision": ["torch (==2.5.1)"]}, "torchvision-mismatch", "built for torch 2.5.1"),
        ({"torchaudio": "2.9.0+cpu"}, {"torchaudio": ["torch==2.9.0"]}, "torchaudio-mismatch", "built for torch 2.9.0"),
        ({"torchaudio": "2.13.0+cu128"}, {}, "torchaudio-mismatch", "built for cu128, torch for cpu"),
        ({"torch": "2.13.0+cu128", "torchvision": "0.28.0+cpu"}, {}, "torchvision-mismatch", "built for cpu, torch for cu128"),
    ],
)
def test_a_torchvision_or_torchaudio_that_breaks_transformers_is_found(
    packages: dict[str, str], requires: dict[str, list[str]], name: str, reason: str, tmp_path: Path
) -> None:
    found = ailments(tmp_path, packages, requires)
    assert list(found) == [name]
    assert reason in found[name].problem
    assert found[name].remedy == f"pip uninstall -y {name.removesuffix('-mismatch')}"
    assert found[name].severity == "error"


def test_a_pinned_pair_that_fits_is_left_alone(tmp_path: Path) -> None:
    assert ailments(tmp_path, {"torchvision": "0.99.0+cpu"}, {"torchvision": ["numpy", "torch==2.13.0"]}) == {}


@pytest.mark.parametrize(
    ("packages", "holes", "remedy"),
    [
        ({"transformers": "5.2.9"}, ["CVE-2026-4372", "CVE-2026-1839"], "pip install -U 'transformers>=5.3'"),
        ({"transformers": "4.57.1"}, ["CVE-2026-4372"], "pip install -U 'transformers>=5.3'"),
        ({"torch": "2.9.1+cpu"}, ["CVE-2026-24747"], "pip install -U 'torch>=2.10'"),
        ({"torch": "2.5.1+cpu"}, ["CVE-2026-24747", "CVE-2025-32434"], "pip install -U 'torch>=2.10'"),
    ],
)
def test_versions_with_known_holes_are_found(packages: dict[str, str], holes: list[str], remedy: str, tmp_path: Path) -> None:
    found = ailments(tmp_path, packages)
    text = " ".join(ailment.problem for ailment in found.values())
    assert all(hole in text for hole in holes)
    assert ("CVE-2025-32434" in text) == ("CVE-2025-32434" in holes)
    assert remedy in [ailment.remedy for ailment in found.values()]


def test_the_first_versions_without_the_holes_are_sound(tmp_path: Path) -> None:
    assert ailments(tmp_path, {"torch": "2.10.0+cpu", "transformers": "5.3.0"}) == {}


def test_pandas_3_next_to_evidently_is_found(tmp_path: Path) -> None:
    assert list(ailments(tmp_path / "new", {"pandas": "3.0.0", "evidently": "0.7.1"})) == ["pandas-evidently"]
    assert ailments(tmp_path / "old", {"pandas": "2.3.3", "evidently": "0.7.1"}) == {}


def test_missing_packages_and_extras_get_their_pip_command(tmp_path: Path) -> None:
    requires = [
        "torch>=2.10",
        "Typing_Extensions>=4",
        'pillow>=11; extra == "image"',
        "ray[train]>=2 ; extra == 'cluster'",
        'pywin32; sys_platform == "win32"',
    ]
    found = ailments(tmp_path, {"luthier": "0.1.0", "Pillow": "13.0.0"}, {"luthier": requires})
    assert set(found) == {"missing-packages", "extra-cluster"}
    assert "typing-extensions, which is not installed" in found["missing-packages"].problem
    assert found["extra-cluster"].remedy == "pip install 'luthier[cluster]'"
    assert found["extra-cluster"].severity == "info"


@pytest.mark.parametrize(
    ("change", "name", "severity", "remedy"),
    [
        ({"python": (3, 10, 4)}, "python", "error", "python3.11"),
        ({"memory_free_bytes": GIGABYTE}, "memory", "warning", "--method probe"),
        ({"disk_free_bytes": GIGABYTE}, "disk", "warning", "LUTHIER_CACHE"),
        ({"cores": 2, "cores_present": 64}, "cores", "info", ""),
        ({"cpu_flags": frozenset({"avx2"})}, "bfloat16", "info", ""),
        ({"gpu_file": "/dev/nvidia0"}, "gpu-unused", "warning", "torch==2.13.0"),
        ({"cache_writable": False}, "cache", "error", "export LUTHIER_CACHE"),
        ({"hub_offline": True}, "hub-offline", "info", "unset HF_HUB_OFFLINE"),
    ],
)
def test_what_is_short_or_switched_off_is_found(change: dict[str, object], name: str, severity: str, remedy: str) -> None:
    packages = {"torch": Package(name="torch", version="2.13.0+cpu")}
    (ailment,) = check_environment(surroundings=replace(HEALTHY, packages=packages, **change))  # type: ignore[arg-type]
    assert (ailment.name, ailment.severity) == (name, severity)
    assert remedy in ailment.remedy


def test_the_worst_comes_first() -> None:
    surroundings = replace(HEALTHY, hub_offline=True, python=(3, 9, 0), disk_free_bytes=0)
    assert [ailment.severity for ailment in check_environment(surroundings=surroundings)] == ["error", "warning", "info"]


def test_every_check_finds_nothing_in_a_healthy_place() -> None:
    assert [check(HEALTHY) for check in CHECKS] == [[]] * len(CHECKS)


def test_leftovers_of_an_uninstall_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "~orch-2.0.dist-info").mkdir()
    assert find_packages(plant(tmp_path, {"torch": "2.13.0"})).keys() == {"torch"}


def test_the_first_of_two_installations_counts(tmp_path: Path) -> None:
    path = plant(tmp_path / "first", {"torch": "2.13.0"}) + plant(tmp_path / "second", {"torch": "2.0.0"})
    assert find_packages(path)["torch"].version == "2.13.0"


def test_the_cache_follows_its_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("LUTHIER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "luthier"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "luthier"


def test_a_file_in_the_place_of_the_cache_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "file" / "cache"))
    assert not look_around().cache_writable
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "new" / "cache"))
    assert look_around().cache_writable
    assert not (tmp_path / "new").exists()


def test_cores_are_those_this_process_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_a_machine_is_described_in_json_types() -> None:
    machine = json.loads(json.dumps(describe_machine()))
    assert machine["cores"] >= 1
    assert machine["memory_bytes"] > 0
    assert machine["python"] == ".".join(map(str, sys.version_info[:3]))
    assert machine["packages"]["torch"]


def test_the_doctor_imports_nothing_that_it_judges() -> None:
    code = (
        "import sys; from luthier.core.environment import check_environment; check_environment();"
        "print({'torch', 'transformers', 'pandas', 'torchvision', 'huggingface_hub'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"
