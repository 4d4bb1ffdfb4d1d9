"""What is said before any cluster is started, and what is passed on from the workers."""

import sys
from pathlib import Path

import pytest

import luthier
from luthier.cli.main import run
from luthier.cluster.connection import connected, is_loopback
from luthier.cluster.relay import Ear, Listener, Mouth, described, error_of
from luthier.core.decision import Decision
from luthier.core.progress import Quiet
from luthier.errors import DataError, MissingExtraError, SpecError, UsageError


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"--cluster needs the extra 'cluster'(.|\n)*pip install 'luthier\[cluster\]'"):
        connected("auto").__enter__()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]", "localhost"])
def test_loopback_is_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "head-node", "", "::"])
def test_other_addresses_are_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_a_backbone_of_ones_own_is_not_sent_to_a_cluster(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    with pytest.raises(UsageError, match=r"cannot be sent to a cluster(.|\n)*model=FOLDER"):
        luthier.tune(table, cluster="auto", backbone=object())  # type: ignore[arg-type]


def test_a_taken_folder_is_refused_before_a_cluster_is_started(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="already holds other files"):
        luthier.tune("table.csv", cluster="auto", out=str(tmp_path / "run"))


class Recorder(Quiet):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def stage(self, name: str, detail: str = "") -> None:
        self.told.append((name, detail))

    def note(self, message: str, *, level: str = "info") -> None:
        self.told.append((message, level))

    def decided(self, decision: Decision[object]) -> None:
        self.told.append(decision)

    def start(self, label: str, total: int, unit: str) -> None:
        self.told.append((label, total, unit))

    def advance(self, amount: int, detail: str = "") -> None:
        self.told.append(amount)

    def finish(self) -> None:
        self.told.append("finished")


def test_what_is_told_in_the_cluster_is_heard_here() -> None:
    ear, recorder = Ear(), Recorder()
    mouth = Mouth(ear.hear)
    decision = Decision(name="split", value={"train": 3}, reason="as asked", override="--split")
    with Listener(ear.take, recorder):
        mouth.stage("Train", "now")
        mouth.note("careful", level="warning")
        mouth.decided(decision)
        mouth.start("train", 5, "steps")
        for _ in range(5):
            mouth.advance(1)
        mouth.finish()
    head, counted = recorder.told[:4], recorder.told[4:-1]
    assert head == [("Train", "now"), ("careful", "warning"), decision, ("train", 5, "steps")]
    assert sum(counted) == 5
    assert recorder.told[-1] == "finished"


@pytest.mark.parametrize("error", [DataError("No rows.", remedy="add some"), SpecError("Unknown key.", remedy="seed")])
def test_errors_arrive_as_what_they_were(error: DataError | SpecError) -> None:
    again = error_of(described(error))
    assert type(again) is type(error)
    assert (again.problem, again.remedy, again.exit_code) == (error.problem, error.remedy, error.exit_code)


def test_the_first_failure_counts() -> None:
    ear = Ear()
    assert ear.failure() is None
    ear.fail(["DataError", "first", "x"])
    ear.fail(["DataError", "second", "x"])
    assert ear.failure() == ["DataError", "first", "x"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--workers", "2"], "--workers says how many processes a cluster starts.\n  Try: --cluster auto --workers 2"),
        (
            ["--cluster", "auto", "--plan"],
            "--plan measures this machine, and cannot know the cluster's.\n  Try: --plan without",
        ),
    ],
)
def test_flags_that_do_not_fit_together_are_refused(flags: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tune", "table.csv", *flags]) == 2
    assert said in capsys.readouterr().err
