"""Several processes train as one: the same losses, the same decisions, the same bits in all of them."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from luthier.core.seat import Seat, taken_seat
from luthier.training.processes import ALONE, joined

from .several_processes import CASES

pytestmark = pytest.mark.cluster
SCRIPT = Path(__file__).with_name("several_processes.py")
Results = Mapping[str, Any]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def torchrun(arguments: Sequence[str], *, count: int = 2) -> list[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count)]
    return [*launcher, "--master-addr", "127.0.0.1", "--master-port", str(free_port()), *arguments]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, Results, Results]:
    """What one process found, and what each of two found; both are run at the same time."""
    alone, together = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    commands = [[sys.executable, str(SCRIPT), str(alone)], torchrun([str(SCRIPT), str(together)])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for command in commands]
    for process in running:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    read = [
        json.loads(path.read_text()) for path in (alone / "rank-0.json", together / "rank-0.json", together / "rank-1.json")
    ]
    assert [found["count"] for found in read] == [1, 2, 2]
    return read[0], read[1], read[2]


@pytest.mark.parametrize("case", [*CASES, "store", "memory"])
def test_two_processes_have_the_losses_of_one(trained: tuple[Results, Results, Results], case: str) -> None:
    alone, main, _ = (found[case] for found in trained)
    np.testing.assert_allclose(main["losses"], alone["losses"], atol=1e-5)
    np.testing.assert_allclose(main["outputs"], alone["outputs"], atol=1e-5)
    assert main["best_step"] == alone["best_step"]


@pytest.mark.parametrize("case", [*CASES, "store", "memory", "dropout"])
def test_all_processes_end_with_the_same_bits(trained: tuple[Results, Results, Results], case: str) -> None:
    _, main, other = (found[case] for found in trained)
    assert main["bits"] == other["bits"]
    assert main["losses"] == other["losses"]


def test_dropout_differs_between_processes(trained: tuple[Results, Results, Results]) -> None:
    alone, main, _ = (found["dropout"]["losses"] for found in trained)
    assert not np.allclose(alone, main, atol=1e-5)


def test_one_process_of_a_machine_fills_the_store(trained: tuple[Results, Results, Results]) -> None:
    assert [found["store"]["reused"] for found in trained] == [False, False, True]


def test_memory_short_in_one_process_is_short_in_all(trained: tuple[Results, Results, Results]) -> None:
    _, main, other = (found["memory"]["said"] for found in trained)
    assert main == other
    assert main[-1] == "Memory was short: the step is done again in micro-batches of 2; the batch stays 16."


def test_a_loss_without_a_number_in_one_process_ends_all_of_them(trained: tuple[Results, Results, Results]) -> None:
    assert all(found["divergence"].startswith("Loss became nan at step 1 ") for found in trained)


def test_all_processes_stop_after_the_same_step_and_go_on_to_the_same_bits(trained: tuple[Results, Results, Results]) -> None:
    assert [found["interrupted"]["steps"] for found in trained] == [[1, 2]] * 3
    assert all(found["interrupted"]["again"] == found["interrupted"]["whole"] for found in trained)
    _, main, other = (found["interrupted"]["said"] for found in trained)
    assert main == "Stopped by another process at step 2."
    assert other == "Stopped by SIGTERM at step 2."


def test_processes_with_other_rows_are_refused_everywhere(trained: tuple[Results, Results, Results]) -> None:
    problem = "Not all 2 processes have the same rows."
    assert [found["difference"] for found in trained] == ["nothing was raised", problem, problem]


def test_what_the_main_process_shares_arrives_as_it_was(trained: tuple[Results, Results, Results]) -> None:
    alone, main, other = (found["shared"] for found in trained)
    shapes = {"x": ["torch.int64", [3]], "y": ["torch.float32", [2, 0, 1]], "z": ["torch.bfloat16", [2]]}
    assert alone == main == other == [shapes, [0, 1, 2], {"name": "Umlaut ü", "rank": 0}, 0.5]


def test_costs_are_those_of_all_processes(trained: tuple[Results, Results, Results]) -> None:
    _, main, other = (found["cost"] for found in trained)
    assert main == other > 0


def test_a_process_alone_joins_nobody() -> None:
    with joined(Seat()) as processes:
        assert processes is ALONE


def test_the_seat_is_read_from_what_launchers_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    seat = taken_seat()
    assert seat == Seat(rank=3, count=4, local_rank=1, local_count=2)
    assert not seat.is_main
    assert not seat.is_on_one_machine


def test_without_a_launcher_there_is_one_seat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert taken_seat() == Seat()
    assert taken_seat().is_main
