"""What is imported before anything is asked for: the start must stay quick, and commands without a model must need no torch."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "sklearn", "scipy", "matplotlib", "accelerate")
TABLE = "text,label\n" + "".join(
    f"message number {row} about {word},{word}\n" for row in range(30) for word in ("cats", "dogs")
)


def imported_by(arguments: Sequence[str], *, folder: Path, code: int = 0) -> tuple[set[str], float]:
    """Top-level modules that a command line imports (from CPython's own log), and its processor time in seconds."""
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "luthier", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    after = os.times()
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert done.returncode == code, "\n".join(line for line in done.stderr.splitlines() if line not in lines)
    return {line.rpartition("|")[2].strip() for line in lines}, seconds


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_the_first_help_imports_no_verb(arguments: list[str], tmp_path: Path) -> None:
    modules, _ = imported_by(arguments, folder=tmp_path)
    assert not modules & {*HEAVY, "numpy", "pydantic", "pyarrow", "polars", "rich", "yaml", "luthier.cli.tune"}


@pytest.mark.parametrize("verb", ["tune", "check", "predict", "models", "doctor"])
def test_the_help_of_a_verb_imports_nothing_heavy(verb: str, tmp_path: Path) -> None:
    modules, _ = imported_by([verb, "--help"], folder=tmp_path)
    assert not modules & {*HEAVY, "pyarrow", "polars"}


@pytest.mark.parametrize("arguments", [["check", "table.csv"], ["check", "table.csv", "--json"], ["models"], ["doctor"]])
def test_commands_without_a_model_need_no_torch(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(TABLE, encoding="utf-8")
    modules, _ = imported_by(arguments, folder=tmp_path)
    assert not modules & {*HEAVY}


@pytest.mark.parametrize("arguments", [["tune", "absent.csv"], ["tune", "table.csv", "--target", "absent"]])
def test_wrong_data_are_told_without_torch(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(TABLE, encoding="utf-8")
    modules, _ = imported_by(arguments, folder=tmp_path, code=2)
    assert not modules & {"torch", "transformers"}


def best_seconds(arguments: Sequence[str], folder: Path) -> float:
    """The fastest of three runs: what the command needs when the machine is not busy with something else."""
    return min(imported_by(arguments, folder=folder)[1] for _ in range(3))


def test_help_comes_within_three_tenths_of_a_second(tmp_path: Path) -> None:
    assert best_seconds(["--help"], tmp_path) < 0.3


def test_a_small_table_is_checked_within_a_second(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(TABLE, encoding="utf-8")
    assert best_seconds(["check", "table.csv"], tmp_path) < 1.0
