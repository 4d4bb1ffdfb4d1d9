"""Ctrl-C and a full disk: what was said, what is kept, and that nothing looks whole that is not."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import luthier
from luthier.core.decision import Decision
from luthier.core.manifest import verify_manifest
from luthier.core.progress import Quiet
from luthier.errors import ResourceError, Stopped
from luthier.package.predict import predict_source
from luthier.pipeline import Run

from .conftest import TEXT_RUN


class PressCtrlC(Quiet):
    """An observer that presses Ctrl-C at a certain moment."""

    def __init__(self, *, stage: str = "", counted: str = "", decision: str = "") -> None:
        self.at_stage, self.at_count, self.at_decision = stage, counted, decision
        self.counting = ""

    def stage(self, name: str, detail: str = "") -> None:
        if name == self.at_stage:
            os.kill(os.getpid(), signal.SIGINT)

    def start(self, label: str, total: int, unit: str) -> None:
        self.counting = label

    def advance(self, amount: int, detail: str = "") -> None:
        if self.counting == self.at_count:
            self.at_count = ""
            os.kill(os.getpid(), signal.SIGINT)

    def decided(self, decision: Decision[object]) -> None:
        if decision.name == self.at_decision:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def settings(text_model: Path, tmp_path: Path) -> dict[str, object]:
    return {**TEXT_RUN, "target": "topic", "model": str(text_model), "out": str(tmp_path / "run"), "seed": 5}


@pytest.mark.parametrize("moment", [{"stage": "Load"}, {"stage": "Check"}, {"stage": "Split"}, {"decision": "max_length"}])
def test_stopped_early_nothing_is_written(
    moment: dict[str, str], tickets: Path, settings: dict[str, object], tmp_path: Path
) -> None:
    with pytest.raises(Stopped, match=r"Stopped by SIGINT\. Nothing was written\.\n  Try: the same command"):
        luthier.tune(tickets, observer=PressCtrlC(**moment), **settings)
    assert not (tmp_path / "run").exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("moment", "keeps_features"),
    [
        ({"counted": "features"}, False),
        ({"counted": "train"}, True),
        ({"decision": "method"}, True),
        ({"counted": "refit"}, True),
        ({"stage": "Measure after"}, True),
        ({"stage": "Report"}, True),
    ],
)
def test_stopped_later_the_folder_says_that_it_is_unfinished(
    moment: dict[str, str], keeps_features: bool, tickets: Path, settings: dict[str, object], tmp_path: Path
) -> None:
    with pytest.raises(Stopped) as caught:
        # Seeds differ, so that no run finds the features of another one.
        asked = {"seed": len(str(moment)) + 100 * keeps_features, "method": "top-blocks:1", "refit": True}
        luthier.tune(tickets, observer=PressCtrlC(**moment), **(settings | asked))
    assert "holds the records of an unfinished run" in caught.value.problem
    assert ("What the frozen model computed is kept" in caught.value.problem) is keeps_features
    assert caught.value.remedy == f"luthier tune --resume {tmp_path / 'run'}"
    damages = verify_manifest(tmp_path / "run")
    assert "did not finish" in damages[0].what
    assert not list((tmp_path / "run").glob(".*"))
    assert (tmp_path / "run" / "model").exists() == (moment == {"stage": "Report"})


def test_the_remedy_of_a_stop_works(tickets: Path, settings: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        luthier.tune(tickets, observer=PressCtrlC(counted="train"), **settings)
    again = luthier.resume(tmp_path / "run")
    straight = luthier.tune(tickets, **(settings | {"out": str(tmp_path / "straight")}))
    assert verify_manifest(again.folder) == []
    weights = [(run.model_path / "model.safetensors").read_bytes() for run in (again, straight)]
    assert weights[0] == weights[1]


def test_the_command_leaves_with_130(tickets: Path, text_model: Path, tmp_path: Path) -> None:
    words = ["tune", str(tickets), "--target", "topic", "--model", str(text_model), "--out", str(tmp_path / "run")]
    running = subprocess.Popen(
        [sys.executable, "-m", "luthier", *words, "--threads", "1", "--num-epochs", "500", "--patience", "1000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    journal = tmp_path / "run" / "journal.jsonl"
    while running.poll() is None and not (journal.exists() and '"step"' in journal.read_text()):
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Stopping after this step. Press Ctrl-C again to leave at once." in told
    assert "Stopped by SIGINT at step" in told
    assert "Traceback" not in told


FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import luthier
from luthier.errors import LuthierError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
try:
    asked = {"target": "topic", "threads": 1, "num_epochs": 1, "preflight": False}
    luthier.tune(sys.argv[2], model=sys.argv[3], out=sys.argv[4], store=sys.argv[5], **asked)
except LuthierError as error:
    print(type(error).__name__, error.problem, "|", error.remedy)
"""


@pytest.mark.parametrize(("limit", "path"), [(1_000, "run/"), (12_000, "store"), (45_000, "run/model")])
def test_a_full_disk_names_the_path_and_the_free_space(
    limit: int, path: str, tickets: Path, text_model: Path, tmp_path: Path
) -> None:
    words = [str(limit), str(tickets), str(text_model), str(tmp_path / "run"), "off" if path == "run/model" else "auto"]
    cache = {"LUTHIER_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", FULL, *words], capture_output=True, text=True, check=True, env=os.environ | cache
    )
    assert done.stdout.startswith("ResourceError Cannot write "), done.stdout + done.stderr
    assert path in done.stdout
    assert "free there)" in done.stdout
    remedy = "LUTHIER_CACHE" if path == "store" else "--out"
    assert remedy in done.stdout.partition("|")[2]
    assert not (tmp_path / "run" / "manifest.json").exists()
    assert not (tmp_path / "run" / "model").exists()
    assert not [file for file in tmp_path.rglob("*") if file.name.endswith(".tmp")]


def test_answers_on_a_full_disk_leave_no_file(text_run: Run, tickets: Path, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, before[1]))
    try:
        with pytest.raises(ResourceError, match=r"Cannot write .*answers\.csv: .* free there\)"):
            predict_source(text_run.folder, tickets, out=tmp_path / "answers.csv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []


def test_a_journal_tells_what_was_done_before_the_stop(tickets: Path, settings: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        luthier.tune(tickets, observer=PressCtrlC(counted="train"), **settings)
    events = [json.loads(line)["event"] for line in (tmp_path / "run" / "journal.jsonl").read_text().splitlines()]
    assert events[:2] == ["started", "rung_finished"]
    assert "step" in events
