"""A run goes back to the furthest moment that is whole, and its journal with it."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from luthier.core.storage import append_line
from luthier.training.shelf import Shelf

from .interrupting import Notes

WEIGHTS = {"weights": {"a": torch.ones(4)}}


class Run:
    """Writes what a run would: a probe, then trainings with steps and states."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.notes = folder, Notes()
        self.journal = folder / "journal.jsonl"
        self.record("rung_finished", "probe")

    def shelf(self) -> Shelf:
        folder = self.folder / "checkpoints"
        return Shelf(folder, journal=self.journal, seconds=0.0, observer=self.notes, origin={"settings": "abc"})

    def record(self, event: str, rung: str, step: int = 0) -> None:
        append_line(self.journal, {"event": event, "rung": rung, "step": step})

    def train(self, rung: str, *, steps: int, saved: tuple[int, ...] = (), finishes: bool = False) -> None:
        self.record("rung_started", rung)
        states = self.shelf().checkpoints(rung)
        for step in range(1, steps + 1):
            self.record("step", rung, step)
            if step in saved:
                states.save(f"step-{step:08}", WEIGHTS, {"step": step})
        if finishes:
            self.record("rung_finished", rung)
            self.shelf().finish(rung, WEIGHTS, {"score": 0.5})

    def told(self) -> list[str]:
        events = [json.loads(line) for line in self.journal.read_text().splitlines()]
        return [f"{event['rung']} {event['event']} {event['step']}" for event in events]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_the_journal_goes_back_to_the_newest_state(run: Run) -> None:
    run.train("full", steps=5, saved=(2, 4))
    assert (going_on := run.shelf().rewind()) is not None
    assert run.told()[-1] == "full step 4"
    assert going_on.journal_bytes == run.journal.stat().st_size
    assert going_on.origin == {"settings": "abc"}
    assert run.notes.said == []


def test_a_damaged_state_costs_what_came_after_the_one_before(run: Run) -> None:
    run.train("full", steps=5, saved=(2, 4))
    (run.folder / "checkpoints/full/step-00000004/weights.safetensors").write_bytes(b"")
    assert run.shelf().rewind() is not None
    assert run.told()[-1] == "full step 2"
    assert len(run.notes.said) == 1
    assert "step-00000004 is damaged" in run.notes.said[0]
    newest = run.shelf().checkpoints("full").newest()
    assert newest is not None and newest.state["step"] == 2
    assert len(run.notes.said) == 1  # named once


def test_a_finished_training_is_gone_on_from_where_it_ended(run: Run) -> None:
    run.train("top-blocks:1", steps=3, saved=(2,), finishes=True)
    run.train("full", steps=2)
    assert run.shelf().rewind() is not None
    assert run.told()[-1] == "top-blocks:1 rung_finished 0"
    assert run.shelf().finished("top-blocks:1") is not None
    assert run.shelf().finished("full") is None
    assert not run.shelf().checkpoints("full").has_any


def test_an_end_that_is_damaged_takes_everything_after_it_back(run: Run) -> None:
    """Otherwise the journal would tell of the first training twice, and of the second before it."""
    run.train("top-blocks:1", steps=3, finishes=True)
    run.train("full", steps=4, saved=(3,))
    (run.folder / "checkpoints/top-blocks-1/finished/state.json").unlink()
    assert run.shelf().rewind() is None
    assert run.told() == []
    assert not run.shelf().checkpoints("full").has_any


def test_a_training_whose_folder_is_gone_is_done_again_with_all_after_it(run: Run) -> None:
    run.train("top-blocks:1", steps=3, finishes=True)
    run.train("top-blocks:2", steps=3, finishes=True)
    run.train("full", steps=4, saved=(3,))
    shutil.rmtree(run.folder / "checkpoints/top-blocks-2")
    assert run.shelf().rewind() is not None
    assert run.told()[-1] == "top-blocks:1 rung_finished 0"
    assert not run.shelf().checkpoints("full").has_any


def test_without_any_whole_state_everything_begins_again(run: Run) -> None:
    run.train("full", steps=5)
    assert run.shelf().rewind() is None
    assert run.told() == []


def test_a_journal_that_lost_its_end_in_a_power_cut_keeps_whole_lines(run: Run) -> None:
    run.train("full", steps=5, saved=(4,))
    lines = run.journal.read_text().splitlines(keepends=True)
    run.journal.write_text("".join(lines[:4]) + lines[4][:7])
    assert run.shelf().rewind() is not None
    assert run.told()[-1] == "full step 2"


def test_states_without_a_journal_are_no_run(run: Run) -> None:
    run.train("full", steps=2, saved=(2,))
    run.journal.unlink()
    assert run.shelf().rewind() is None
    assert not (run.folder / "checkpoints").exists()


def test_leftovers_of_killed_writes_go_and_other_hidden_files_stay(run: Run) -> None:
    run.train("full", steps=2, saved=(2,))
    left = run.folder / "checkpoints/full/.step-00000002.abc.tmp"
    left.mkdir()
    (left / "weights.safetensors").write_bytes(b"half")
    (run.folder / "checkpoints/.notes").write_text("mine")
    run.shelf().rewind()
    assert not left.exists()
    assert (run.folder / "checkpoints/.notes").exists()
