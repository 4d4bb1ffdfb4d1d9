"""A study that several processes share through PostgreSQL: a real server on loopback, started for the test."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import luthier
from luthier.pipeline.searching import work_on_study

from .test_search import ASKED

pytestmark = pytest.mark.services
USER, PASSWORD = "ada", "s3cret-pass"


def programs() -> Path | None:
    """Where Debian puts the server's programs, which are not on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def as_nobody_special(*words: str, folder: Path) -> None:
    """The server refuses to run as root."""
    front = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run([*front, *words], check=True, cwd=folder, capture_output=True, text=True, timeout=60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    bin_folder = programs()
    if bin_folder is None:
        message = "no PostgreSQL server: make services"
        if "postgres" in os.environ.get("LUTHIER_REQUIRE", ""):
            pytest.fail(message)
        pytest.skip(message)
    # Short, for the path of a socket has at most 107 letters; and reachable for another user.
    folder = Path(f"/tmp/luthier-postgres-{os.getpid()}")
    folder.mkdir(mode=0o755)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    secret, port = folder / "password", free_port()
    try:
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        data = str(folder / "data")
        as_nobody_special(
            str(bin_folder / "initdb"), "-D", data, "-U", USER, "-A", "scram-sha-256", f"--pwfile={secret}", "-N", folder=folder
        )
        options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
        log = str(folder / "log")
        as_nobody_special(str(bin_folder / "pg_ctl"), "-D", data, "-l", log, "-o", options, "-w", "start", folder=folder)
        try:
            yield f"postgresql+psycopg://{USER}:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            as_nobody_special(str(bin_folder / "pg_ctl"), "-D", data, "-m", "immediate", "stop", folder=folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_two_processes_share_a_study_and_a_kill_loses_nothing(
    server: str, tickets: Path, text_model: Path, tmp_path: Path
) -> None:
    straight = luthier.search(
        tickets, model=str(text_model), out=str(tmp_path / "straight"), **{**ASKED, "sampler": "random", "final": False}
    )
    spec = tmp_path / "search.yaml"
    spec.write_text((tmp_path / "straight" / "spec.yaml").read_text(), encoding="utf-8")
    command = [sys.executable, "-m", "luthier", "search", str(spec), "--study", server, "--quiet", "--overwrite"]
    names = ("one", "two", "three")
    pipe = subprocess.PIPE
    workers = [subprocess.Popen([*command, "--out", str(tmp_path / name)], stderr=pipe, text=True) for name in names]
    while workers[0].poll() is None and not (tmp_path / "one" / "trials.jsonl").is_file():
        time.sleep(0.05)
    workers[0].kill()
    told = [worker.communicate(timeout=240)[1] for worker in workers]
    assert [worker.returncode for worker in workers[1:]] == [0, 0], told
    records = {name: (tmp_path / name / "search.json").read_text() for name in ("two", "three")}
    assert records["two"].count('"number"') == records["three"].count('"number"') == 8
    again = luthier.search(resume=tmp_path / "two", study=server, trials=9)
    assert [trial.values for trial in again.record.trials[:8]] == [trial.values for trial in straight.record.trials]
    assert [trial.score for trial in again.record.trials[:8]] == [trial.score for trial in straight.record.trials]
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or PASSWORD.encode() not in file.read_bytes(), file
    assert not any(PASSWORD in text for text in told)


def test_a_worker_from_python_finds_the_study_spent(server: str, tickets: Path, text_model: Path, tmp_path: Path) -> None:
    given = {**ASKED, "trials": 2, "seed": 9, "final": False, "study": server}
    done = luthier.search(tickets, model=str(text_model), out=str(tmp_path / "one"), **given)
    begin = time.time()
    records = work_on_study(tmp_path / "one", url=server)
    assert [record.score for record in records] == [trial.score for trial in done.record.trials]
    assert time.time() - begin < 60
