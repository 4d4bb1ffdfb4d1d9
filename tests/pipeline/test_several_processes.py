"""The same spec in one process, in two by torchrun, and on a Ray cluster that loses a node: the same run each time."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet
from safetensors.numpy import load_file

import luthier
from luthier.core.manifest import verify_manifest
from luthier.pipeline import Run
from luthier.pipeline.searching import search

from .conftest import TEXT_RUN
from .on_ray import searched

pytestmark = pytest.mark.cluster
REQUIRED = os.environ.get("LUTHIER_REQUIRE", "").split(",")
SETTINGS = {
    **TEXT_RUN,
    "target": "topic",
    "method": "full",
    "num_epochs": 20,
    "dropout": 0,
    "checkpoint_seconds": 0,
    "patience": 100,
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(table: Path, model: Path, out: Path) -> list[str]:
    flags = [word for name, value in SETTINGS.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return ["-m", "luthier", "tune", str(table), "--model", str(model), "--out", str(out), *flags]


def launch(arguments: list[str]) -> list[subprocess.Popen[str]]:
    """Two processes as a launcher would start them, without its watch over them."""
    port, processes = str(free_port()), []
    for rank in ("0", "1"):
        seat = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        environment = {**os.environ, **seat, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen([sys.executable, *arguments], env=environment, **pipes))
    return processes


def events(folder: Path) -> list[Mapping[str, Any]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


def losses(folder: Path) -> dict[int, float]:
    steps = [(event["step"], event["loss"]) for event in events(folder) if event["event"] == "step"]
    assert len(dict(steps)) == len(steps)
    return dict(steps)


def wait_for_steps(folder: Path, number: int) -> None:
    deadline = time.monotonic() + 120
    journal = folder / "journal.jsonl"
    while not journal.is_file() or journal.read_text().count('"event": "step"') < number:
        assert time.monotonic() < deadline, "no steps"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def alone(tickets: Path, text_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return luthier.tune(tickets, model=str(text_model), out=str(tmp_path_factory.mktemp("alone") / "run"), **SETTINGS)


@pytest.fixture(scope="module")
def together(tickets: Path, text_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run by torchrun, and what it printed."""
    out = tmp_path_factory.mktemp("together") / "run"
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-addr", "127.0.0.1"]
    arguments = [*launcher, "--master-port", str(free_port()), *command(tickets, text_model, out)]
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_two_processes_have_the_losses_and_answers_of_one(alone: Run, together: tuple[Path, str]) -> None:
    folder, _ = together
    expected, found = losses(alone.folder), losses(folder)
    assert expected.keys() == found.keys()
    np.testing.assert_allclose(list(found.values()), list(expected.values()), atol=1e-5)
    a, b = (parquet.read_table(path / "predictions.parquet") for path in (alone.folder, folder))
    assert a.column("prediction").equals(b.column("prediction"))
    assert not verify_manifest(folder)


def test_the_main_process_alone_speaks_and_writes(together: tuple[Path, str]) -> None:
    folder, said = together
    assert said.count("━━ Train") == 1
    assert said.count("Verdict") == 1
    assert [event["processes"] for event in events(folder) if event["event"] == "started"] == [2]
    assert sum(event["event"] == "rung_started" for event in events(folder)) == 1
    decisions = [json.loads(line) for line in (folder / "decisions.jsonl").read_text().splitlines()]
    assert [decision["value"] for decision in decisions if decision["name"] == "processes"] == [2]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_ends_ends_the_other_and_the_run_can_go_on_to_the_same_bits(
    how: signal.Signals, together: tuple[Path, str], tickets: Path, text_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    main, other = launch(command(tickets, text_model, out))
    wait_for_steps(out, 5)
    other.send_signal(how)
    _, said = main.communicate(timeout=60)
    _, heard = other.communicate(timeout=60)
    assert not (out / "manifest.json").exists()
    if how == signal.SIGTERM:
        assert (main.returncode, other.returncode) == (130, 130), said + heard
        assert "Stopped by another process at step" in said
        assert "Error" not in heard
        return  # that they go on from there to the same bits is tested in tests/unit/training/test_processes.py
    assert main.returncode == 1, said
    assert "Another process of this training has ended" in said
    for process in launch(["-m", "luthier", "tune", "--resume", str(out)]):
        _, said = process.communicate(timeout=120)
        assert process.returncode in (0, 3), said
    assert losses(out) == losses(together[0])
    before, after = (load_file(folder / "model" / "model.safetensors") for folder in (together[0], out))
    assert all(np.array_equal(before[name], after[name]) for name in before)


@pytest.fixture(scope="module")
def on_ray(tickets: Path, text_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The same run on a Ray cluster of two nodes, one of which is killed in the middle; and what was seen meanwhile."""
    require_ray()
    out = tmp_path_factory.mktemp("ray") / "run"
    arguments = [str(out), str(tickets), json.dumps({**SETTINGS, "model": str(text_model)})]
    script = str(Path(__file__).with_name("on_ray.py"))
    environment = {**os.environ, "LUTHIER_TEST_RUN": str(out)}
    done = subprocess.run(
        [sys.executable, script, *arguments], capture_output=True, text=True, timeout=400, check=False, env=environment
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return out, json.loads(next(line for line in done.stdout.splitlines() if line.startswith("SEEN ")).removeprefix("SEEN "))


def require_ray() -> None:
    if "ray" in REQUIRED:
        import ray  # noqa: F401
    else:
        pytest.importorskip("ray")


def test_a_cluster_that_loses_a_node_gives_the_same_run(
    on_ray: tuple[Path, dict[str, Any]], alone: Run, together: tuple[Path, str]
) -> None:
    folder, seen = on_ray
    assert 20 <= seen["killed_after"] < 160
    assert [(event["event"], event["processes"]) for event in events(folder) if "processes" in event] == [
        ("started", 2),
        ("resumed", 2),
    ]
    assert losses(folder) == losses(together[0])
    np.testing.assert_allclose(list(losses(folder).values()), list(losses(alone.folder).values()), atol=1e-5)
    before, after = (load_file(path / "model" / "model.safetensors") for path in (together[0], folder))
    assert all(np.array_equal(before[name], after[name]) for name in before)
    a, b = (parquet.read_table(path / "predictions.parquet") for path in (alone.folder, folder))
    assert a.column("prediction").equals(b.column("prediction"))
    assert not verify_manifest(folder)
    assert not folder.with_name(".run.ray").exists()


def test_trials_on_a_cluster_that_loses_a_node_are_those_of_one_process(
    on_ray: tuple[Path, dict[str, Any]], tickets: Path, text_model: Path, tmp_path: Path
) -> None:
    _, seen = on_ray
    found = search(searched(str(tickets), tmp_path / "search", {**SETTINGS, "model": str(text_model)}))
    expected = [[record.number, record.state, record.score, record.repeats] for record in found.record.trials]
    assert len(expected) == 6
    assert 1 <= seen["trials_before_the_loss"] < 6
    assert sorted(seen["trials"]) == sorted(expected)


def test_nothing_on_the_cluster_listens_to_other_machines(on_ray: tuple[Path, dict[str, Any]]) -> None:
    _, seen = on_ray
    own = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert seen["listeners"]
    assert set(seen["listeners"]) <= own
    assert seen["auto"]["is_local"]
    assert seen["auto"]["listeners"]
    assert set(seen["auto"]["listeners"]) <= own
