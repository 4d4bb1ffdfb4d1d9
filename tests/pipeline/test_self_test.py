"""The self-test inside a run: told, kept in journal and report, left out on request; and a training that could only be
worthless is not begun."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import luthier
from luthier.core.process import StopRequest
from luthier.errors import PreflightError
from luthier.pipeline import Run

from .conftest import TEXT_RUN


def events_of(folder: Path, kind: str) -> list[Mapping[str, Any]]:
    events = map(json.loads, (folder / "journal.jsonl").read_text(encoding="utf-8").splitlines())
    return [event for event in events if event["event"] == kind]


def test_every_rung_that_trains_is_tested_before_its_first_step(text_run: Run) -> None:
    tested = events_of(text_run.folder, "preflight")
    rungs = [event["rung"] for event in events_of(text_run.folder, "rung_started")]
    assert [event["rung"] for event in tested] == rungs
    names = ["labels", "loss at the start", "trainable tensors", "trial steps", "overfitting", "saved equals reloaded"]
    assert all([check["name"] for check in event["checks"]] == names for event in tested)
    assert all(event["cost"]["wall_seconds"] < 20 for event in tested)
    kinds = [event["event"] for event in events_of_any(text_run.folder) if event.get("rung") == rungs[0]]
    assert kinds.index("preflight") < kinds.index("step")
    assert "Self-test before the first step" in (text_run.folder / "report.html").read_text(encoding="utf-8")


def events_of_any(folder: Path) -> list[Mapping[str, Any]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_run_without_it_gives_the_same_weights(text_run: Run, tmp_path: Path) -> None:
    spec = luthier.load_spec(text_run.folder / "spec.yaml")
    untested = luthier.tune(spec, out=str(tmp_path / "run"), preflight=False)
    assert events_of(untested.folder, "preflight") == []
    for name in ("model.safetensors", "head.safetensors"):
        first, second = load_file(text_run.model_path / name), load_file(untested.model_path / name)
        assert all(np.array_equal(first[key], second[key]) for key in first)


def test_a_fault_ends_the_run_and_says_why(
    tickets: Path, text_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head is not written: what would be served is not what was trained."""
    from luthier.pipeline import settle

    def forgets_the_head(*given: Any, **other: Any) -> Any:
        model, *rest = load_folder(*given, **other)
        model.head.linear.weight.data.zero_()
        return (model, *rest)

    load_folder = settle.load_folder
    monkeypatch.setattr(settle, "load_folder", forgets_the_head)
    out = tmp_path / "run"
    with pytest.raises(PreflightError) as caught:
        luthier.tune(tickets, target="topic", model=str(text_model), out=str(out), method="full", **TEXT_RUN)
    assert "saved equals reloaded" in caught.value.problem
    assert "head.linear.weight" in caught.value.problem
    assert events_of(out, "step") == []
    assert not (out / "checkpoints" / "self-test").exists()


def test_it_is_not_repeated_when_a_run_goes_on(
    tickets: Path, text_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from luthier.errors import Stopped
    from luthier.training import loop

    record = loop.step_event

    def stop_at_five(course: Any, *given: Any) -> Any:
        if course.step == 5 and not stopped:
            stopped.append(True)
            signals[0].signal_name = "SIGINT"
        return record(course, *given)

    stopped: list[bool] = []
    signals: list[StopRequest] = []
    make = StopRequest.__init__

    def remember(self: StopRequest) -> None:
        make(self)
        signals.append(self)

    monkeypatch.setattr(StopRequest, "__init__", remember)
    monkeypatch.setattr(loop, "step_event", stop_at_five)
    out = tmp_path / "run"
    with pytest.raises(Stopped):
        luthier.tune(tickets, target="topic", model=str(text_model), out=str(out), method="full", **TEXT_RUN)
    run = luthier.resume(out)
    assert len(events_of(run.folder, "preflight")) == 1
