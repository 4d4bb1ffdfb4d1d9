"""The documents' tests run on one core and keep their stores to themselves."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(autouse=True)
def one_core(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small runs on several threads mostly wait for each other, most of all beside other tests."""
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    yield
    os.sched_setaffinity(0, cores)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of a reader who types along: tickets.csv, new.csv, customers.csv, and the repository's examples/."""
    import csv
    import shutil

    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    with (ROOT / "examples" / "data" / "hearthline.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["category"] in ("billing", "delivery_delay", "device_setup")]
    for name, columns, some in (("tickets", ["message", "category"], rows[:60]), ("new", ["message"], rows[60:70])):
        with (tmp_path / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(some)
    shutil.copy(ROOT / "examples" / "data" / "hearthline_customers.csv", tmp_path / "customers.csv")
    return tmp_path
