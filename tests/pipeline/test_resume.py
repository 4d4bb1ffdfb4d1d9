"""A run that is killed anywhere goes on to the same model, scores and predictions; with other data it refuses to."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import luthier
from luthier.core.manifest import verify_manifest
from luthier.core.progress import Quiet
from luthier.errors import DataError, ModelError, ResourceError, SpecError, Stopped, UsageError
from luthier.pipeline import Run, after, run_folder

from .conftest import TEXT_RUN, make_texts, write_csv

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "crash_safety.py"


class Killed(BaseException):
    """The process ends here."""


class Notes(Quiet):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, message: str, *, level: str = "info") -> None:
        self.said.append(message)


@pytest.fixture(scope="session")
def asked(text_model: Path) -> dict[str, object]:
    """A run up the whole ladder with a refit, saved after each step."""
    return {**TEXT_RUN, "target": "topic", "model": str(text_model), "refit": True, "checkpoint_seconds": 0, "num_epochs": 1}


@pytest.fixture(scope="session")
def straight(tickets: Path, asked: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run that nobody disturbs."""
    return luthier.tune(tickets, out=str(tmp_path_factory.mktemp("straight") / "run"), **asked)


def facts(folder: Path) -> dict[str, Any]:
    """Everything in which two equal runs are equal: all but costs, times, memory and places."""

    def timeless(value: dict[str, Any]) -> dict[str, Any]:
        return {key: item for key, item in value.items() if key not in ("cost", "memory")}

    journal = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    return {
        "weights": (folder / "model" / "model.safetensors").read_bytes(),
        "predictions": (folder / "predictions.parquet").read_bytes(),
        "metrics": timeless(json.loads((folder / "metrics.json").read_text())),
        "journal": [timeless(event) for event in journal if event["event"] not in ("started", "resumed", "memory_predicted")],
        "split": (folder / "split.parquet").read_bytes(),
        "files": sorted(str(path.relative_to(folder)) for path in folder.rglob("*")),
    }


def assert_equal(run: Run, straight: Run) -> None:
    found, expected = facts(run.folder), facts(straight.folder)
    assert {name for name in found if found[name] != expected[name]} == set()
    assert verify_manifest(run.folder) == []


def kill_when(monkeypatch: pytest.MonkeyPatch, is_time: Callable[[dict[str, Any]], bool]) -> None:
    """End the process right after an event was written into the journal."""
    original = run_folder.RunFolder.record

    def record(self: run_folder.RunFolder, event: dict[str, Any]) -> None:
        original(self, event)
        if is_time(event):
            raise Killed

    monkeypatch.setattr(run_folder.RunFolder, "record", record)


EVENTS = {
    "before the probe": lambda event: event["event"] == "started",
    "in the first rung": lambda event: event["event"] == "step" and event["rung"] == "top-blocks:1" and event["step"] == 3,
    "between rungs": lambda event: event["event"] == "rung_finished" and event["rung"] == "top-blocks:1",
    "in the second rung": lambda event: event["event"] == "step" and event["rung"] == "full" and event["step"] == 5,
    "after the refit of the probe": lambda event: event["event"] == "refit_finished",
}


@pytest.mark.parametrize("moment", EVENTS)
def test_killed_at_an_event(
    moment: str, tickets: Path, asked: dict[str, object], straight: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        kill_when(patch, EVENTS[moment])
        with pytest.raises(Killed):
            luthier.tune(tickets, out=str(tmp_path / "run"), **asked)
    assert_equal(luthier.resume(tmp_path / "run"), straight)


def test_killed_in_a_refit(tickets: Path, asked: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = asked | {"method": "top-blocks:1"}
    with monkeypatch.context() as patch:
        kill_when(patch, lambda event: event["event"] == "refit_step" and event["step"] == 4)
        with pytest.raises(Killed):
            luthier.tune(tickets, out=str(tmp_path / "run"), **named)
    assert_equal(luthier.resume(tmp_path / "run"), luthier.tune(tickets, out=str(tmp_path / "straight"), **named))


@pytest.mark.parametrize("where", ["save_model", "write_report"])
def test_killed_at_the_end(
    where: str, tickets: Path, asked: dict[str, object], straight: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every rung is finished then: the weights of the best come from disk."""

    def kill(*args: object, **kwargs: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(after, where, kill)
        with pytest.raises(Killed):
            luthier.tune(tickets, out=str(tmp_path / "run"), **(asked | {"refit": False}))
    notes = Notes()
    run = luthier.resume(tmp_path / "run", observer=notes)
    assert "top-blocks:1: finished before the interruption" in notes.said
    found, expected = facts(run.folder), facts(straight.folder)
    kept = [event for event in expected["journal"] if not event["event"].startswith("refit")]
    assert found["journal"] == kept
    again = luthier.tune(tickets, out=str(tmp_path / "again"), **(asked | {"refit": False}))
    assert_equal(run, again)


def test_a_run_that_was_killed_with_its_manifest_written_is_whole(
    tickets: Path, asked: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(self: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("luthier.training.shelf.Shelf.clear", kill)
        with pytest.raises(Killed):
            luthier.tune(tickets, out=str(tmp_path / "run"), **asked)
    with pytest.raises(UsageError, match="is finished; there is nothing to go on with"):
        luthier.resume(tmp_path / "run")
    assert verify_manifest(tmp_path / "run") == []


def test_kill_9_at_random_moments() -> None:
    """The benchmark, reduced: real processes, real signals, half of them inside a save."""
    settings = json.dumps({"kills": 6, "seed": 1, "rows": 120, "threads": 1})
    scratch = Path(os.environ["LUTHIER_CACHE"]) / "killed"
    scratch.mkdir()
    done = subprocess.run(
        [sys.executable, BENCHMARK, "--case", "ours", "--settings", settings],
        env={**os.environ, "BENCHMARK_SCRATCH": str(scratch)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    shutil.rmtree(scratch)
    assert found["failures"] == {}
    assert found["resumed"] == found["equal"] == 6
    assert found["kills_in_save"] >= 3


@pytest.fixture
def working(tickets: Path, asked: dict[str, object], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`luthier tune` in a process of its own, at work on a training that takes long."""
    flags = ["--refit", "--checkpoint-seconds", "0", "--num-epochs", "12", "--patience", "99", "--threads", "1"]
    words = ["tune", str(tickets), "--target", "topic", "--model", str(asked["model"]), "--out", str(tmp_path / "run"), *flags]
    words += ["--method", "top-blocks:1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "luthier", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    states = tmp_path / "run" / "checkpoints" / "top-blocks-1"
    while process.poll() is None and not list(states.glob("step-*")):
        time.sleep(0.02)
    yield process
    process.kill()
    process.wait()
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.close()


def test_the_command_goes_on_after_kill_9_and_two_processes_never_share_a_folder(
    working: subprocess.Popen[str], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"Another process is at work in .*run\.") as caught:
        luthier.resume(tmp_path / "run")
    assert "wait until it is done" in caught.value.remedy
    working.kill()
    working.wait()
    words = ["tune", "--resume", str(tmp_path / "run")]
    done = subprocess.run([sys.executable, "-m", "luthier", *words], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 3), done.stderr
    assert "goes on from step" in done.stdout + done.stderr
    journal = [json.loads(line) for line in (tmp_path / "run" / "journal.jsonl").read_text().splitlines()]
    steps = [event["step"] for event in journal if event["event"] == "step"]
    assert steps == list(range(1, len(steps) + 1))
    assert [event["event"] for event in journal].count("resumed") == 1
    assert verify_manifest(tmp_path / "run") == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_leaves_within_ten_seconds(
    number: signal.Signals, working: subprocess.Popen[str], tmp_path: Path
) -> None:
    begin = time.monotonic()
    working.send_signal(number)
    _, told = working.communicate(timeout=60)
    assert time.monotonic() - begin < 10
    assert working.returncode == 130
    assert f"Stopped by {number.name} at step" in told
    assert f"luthier tune --resume {tmp_path / 'run'}" in " ".join(told.split())
    journal = (tmp_path / "run" / "journal.jsonl").read_text().splitlines()
    last = max(json.loads(line)["step"] for line in journal if '"step"' in line)
    assert list((tmp_path / "run" / "checkpoints" / "top-blocks-1").glob(f"step-{last:08}*"))


def test_a_second_signal_leaves_at_once() -> None:
    code = (
        "import time\nfrom luthier.core.process import stop_on_signals\n"
        "with stop_on_signals():\n    print('ready', flush=True)\n    end = time.time() + 60\n"
        "    while time.time() < end: time.sleep(0.01)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        while "Stopping after this step" not in process.stderr.readline():
            pass
        begin = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 128 + signal.SIGTERM
        assert time.monotonic() - begin < 1


RACE = """
import sys, time
from pathlib import Path
from luthier.core.storage import locked_folder
from luthier.errors import UsageError
folder, start = Path(sys.argv[1]), float(sys.argv[2])
for round in range(20):
    time.sleep(max(0.0, start + 0.05 * round - time.time()))
    try:
        with locked_folder(folder / str(round)):
            print("won", flush=True)
            time.sleep(0.03)
    except UsageError:
        print("refused", flush=True)
"""


def test_of_two_processes_exactly_one_has_the_folder(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / str(number)).mkdir()
    command = [sys.executable, "-c", RACE, str(tmp_path), str(time.time() + 3)]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    ends = [racer.communicate(timeout=60)[0].split() for racer in racers]
    assert [len(end) for end in ends] == [20, 20]
    # A racer that came so late that the other was done may win too; never do both fail.
    assert all("won" in pair for pair in zip(*ends, strict=True))
    assert sum("refused" in pair for pair in zip(*ends, strict=True)) >= 10


def test_a_lock_goes_with_its_process(tmp_path: Path) -> None:
    code = f"from luthier.core.storage import *\nwith locked_folder(Path({str(tmp_path)!r})): print('in', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "in\n"
        with pytest.raises(UsageError), run_folder.locked_folder(tmp_path):
            pass
        holder.kill()
        holder.wait()
        with run_folder.locked_folder(tmp_path):
            pass


@pytest.fixture
def unfinished(asked: dict[str, object], text_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that was killed in its first rung, with data and model of its own."""
    table = write_csv(tmp_path / "own.csv", make_texts(90, seed=4))
    model = shutil.copytree(text_model, tmp_path / "model")
    with monkeypatch.context() as patch:
        kill_when(patch, EVENTS["in the first rung"])
        with pytest.raises(Killed):
            luthier.tune(table, out=str(tmp_path / "run"), **(asked | {"model": str(model), "num_epochs": 2}))
    return tmp_path / "run"


def test_other_rows_are_refused_by_part(unfinished: Path, tmp_path: Path) -> None:
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(unfinished / "split.parquet").to_pylist()
    number = next(int(row["example_id"].rpartition(":")[2]) for row in table if row["part"] == "test")
    lines = (tmp_path / "own.csv").read_text().splitlines()
    place = next(index for index, line in enumerate(lines) if index in (number, number - 1) and index)
    text, _, topic = lines[place].rpartition(",")
    lines[place] = f"{text} please,{topic}"
    lines[place + 1] = lines[place + 1].replace(",", " again,")
    (tmp_path / "own.csv").write_text("\n".join(lines) + "\n")
    journal = (unfinished / "journal.jsonl").read_text()
    with pytest.raises(
        DataError, match=r"The data have changed: rows of .*test.* are not what they were when the run in"
    ) as caught:
        luthier.resume(unfinished)
    assert caught.value.remedy.endswith(f"begin again: luthier tune {unfinished / 'spec.yaml'} --overwrite")
    assert (unfinished / "journal.jsonl").read_text() in journal


def test_other_weights_are_refused(unfinished: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = tmp_path / "model" / "model.safetensors"
    weights = load_file(path)
    name = next(name for name in weights if name.endswith("query.weight"))
    weights[name] = weights[name] + 1e-3
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match="The pre-trained weights are not those that the run in"):
        luthier.resume(unfinished)


def test_another_spec_is_refused(unfinished: Path) -> None:
    path = unfinished / "spec.yaml"
    path.write_text(path.read_text().replace("weight_decay: 0.01", "weight_decay: 0.02"))
    with pytest.raises(SpecError, match=r"spec\.yaml has been changed since the run began"):
        luthier.resume(unfinished)


def test_other_versions_are_named_and_kept(unfinished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from luthier.pipeline import origin

    real = origin.describe_machine()
    other = {**real, "packages": {**real["packages"], "torch": "1.0"}}
    monkeypatch.setattr(origin, "describe_machine", lambda: other)
    notes = Notes()
    luthier.resume(unfinished, observer=notes)
    said = f"The run began with torch {real['packages']['torch']}, now 1.0: its weights may differ in the last bits"
    assert any(note.startswith(said) for note in notes.said)
    journal = [json.loads(line) for line in (unfinished / "journal.jsonl").read_text().splitlines()]
    resumed = next(event for event in journal if event["event"] == "resumed")
    assert resumed["changes"] == [f"torch {real['packages']['torch']}, now 1.0"]


def test_a_folder_that_was_moved_goes_on_where_it_is(unfinished: Path, tmp_path: Path) -> None:
    moved = unfinished.rename(tmp_path / "moved")
    assert luthier.resume(moved).folder == moved
    assert not unfinished.exists()


def test_a_network_of_ones_own_goes_on_if_it_is_the_same(
    tickets: Path, asked: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def own(seed: int) -> Any:
        from luthier.models.load import load_backbone
        from luthier.models.settings import ModelSettings
        from luthier.models.source import resolve_model

        source = resolve_model(ModelSettings(name=str(asked["model"])), modality="text", near=tmp_path)
        backbone = load_backbone(source)
        if seed:
            next(backbone.network.parameters()).data[0] += seed
        return backbone

    with monkeypatch.context() as patch:
        kill_when(patch, EVENTS["in the first rung"])
        with pytest.raises(Killed):
            luthier.tune(tickets, out=str(tmp_path / "run"), backbone=own(0), **asked)
    with pytest.raises(ModelError, match="The pre-trained weights are not those"):
        luthier.resume(tmp_path / "run", backbone=own(1))
    assert luthier.resume(tmp_path / "run", backbone=own(0)).verdict


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 8 MiB; skips where none may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_up_costs_nothing_but_the_states(
    small_disk: Path, tickets: Path, asked: dict[str, object], straight: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It trains on and says so, until the journal cannot be written; then it goes on from what there is."""
    original, filler, notes = run_folder.RunFolder.record, small_disk / "filler", Notes()

    def record(self: run_folder.RunFolder, event: dict[str, Any]) -> None:
        original(self, event)
        if event["event"] == "step" and event["step"] == 3 and event["rung"] == "full":
            with filler.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(4096))
                except OSError:
                    pass

    with monkeypatch.context() as patch:
        patch.setattr(run_folder.RunFolder, "record", record)
        with pytest.raises(ResourceError, match=r"Cannot write .*: No space left on device \(.* free there\)") as caught:
            luthier.tune(tickets, out=str(small_disk / "run"), observer=notes, **asked)
    assert any("is not saved: Cannot write" in note and "No space left on device" in note for note in notes.said)
    assert caught.value.remedy.endswith(f"; then luthier tune --resume {small_disk / 'run'}")
    filler.unlink()
    assert_equal(luthier.resume(small_disk / "run"), straight)


def test_stopping_in_the_middle_of_everything_at_random(
    tickets: Path, asked: dict[str, object], straight: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked to stop again and again, a dozen events after it has begun: it arrives all the same."""
    original, generator, folder = run_folder.RunFolder.record, np.random.default_rng(0), tmp_path / "run"
    left = [0]

    def record(self: run_folder.RunFolder, event: dict[str, Any]) -> None:
        original(self, event)
        left[0] -= 1
        if not left[0] and event["event"] != "resumed":
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(run_folder.RunFolder, "record", record)
    for number in range(20):
        left[0] = int(generator.integers(4, 14))
        try:
            run = luthier.resume(folder) if number else luthier.tune(tickets, out=str(folder), **asked)
        except Stopped as stopped:
            assert stopped.remedy == f"luthier tune --resume {folder}"
            continue
        assert number >= 2
        assert_equal(run, straight)
        return
    pytest.fail("it never arrived")
