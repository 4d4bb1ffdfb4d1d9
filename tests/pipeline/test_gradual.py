"""`--method gradual` through the whole story: stores for every phase, a refit that unfreezes alike, and kill and resume."""

import json
from pathlib import Path

import pytest

import luthier
from luthier.pipeline import Run

from .conftest import TEXT_RUN
from .test_resume import Killed, assert_equal, kill_when


@pytest.fixture(scope="module")
def asked(text_model: Path) -> dict[str, object]:
    """Three blocks: an epoch for each."""
    other = {"target": "topic", "model": str(text_model), "method": "gradual", "num_epochs": 3, "refit": True}
    return {**TEXT_RUN, **other, "checkpoint_seconds": 0}


@pytest.fixture(scope="module")
def run(tickets: Path, asked: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return luthier.tune(tickets, out=str(tmp_path_factory.mktemp("gradual") / "run"), **asked)


def test_every_boundary_is_stored_in_the_first_pass(run: Run) -> None:
    decisions = [json.loads(line) for line in (run.folder / "decisions.jsonl").read_text().splitlines()]
    store = next(decision for decision in decisions if decision["name"] == "store")
    assert store["evidence"]["boundaries"] == [1, 2]


def test_the_journal_and_the_report_say_when_blocks_began(run: Run) -> None:
    events = [json.loads(line) for line in (run.folder / "journal.jsonl").read_text().splitlines()]
    unfroze = [(event["rung"], event["step"], event["boundary"]) for event in events if event["event"] == "unfroze"]
    assert unfroze[:2] == [("gradual", 8, 1), ("gradual", 16, 0)]
    page = (run.folder / "report.html").read_text()
    assert "dotted lines: one more block trains" in page
    assert "One block after the other" in page


def test_a_refit_unfreezes_at_the_same_epochs(run: Run) -> None:
    events = [json.loads(line) for line in (run.folder / "journal.jsonl").read_text().splitlines()]
    steps = [event for event in events if event["event"] == "refit_step"]
    again = [event for event in events if event["event"] == "unfroze" and event["rung"] == "refit"]
    assert len(steps) > 8
    assert [round(event["epoch"]) for event in again] == [1, 2][: len(again)] != []


def test_killed_while_a_block_begins_it_ends_alike(
    run: Run, tickets: Path, asked: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        kill_when(patch, lambda event: event["event"] == "unfroze" and event["boundary"] == 0)
        with pytest.raises(Killed):
            luthier.tune(tickets, out=str(tmp_path / "run"), **asked)
    assert_equal(luthier.resume(tmp_path / "run"), run)
