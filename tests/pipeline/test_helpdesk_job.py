"""The example of the guide: a job written for OpenAI's service, run as it is with another model."""

import json
from pathlib import Path

import pytest

from luthier.cli.main import run as command
from luthier.testing.language_folders import tiny_language_folder

DATA = Path(__file__).parents[2] / "examples" / "data"


def test_the_job_runs_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    model = tiny_language_folder(tmp_path / "model", "llama")
    monkeypatch.chdir(tmp_path)
    words = ["tune", "--openai-job", str(DATA / "helpdesk_job.json"), "--model", str(model), "--method", "top-blocks:1"]
    assert command([*words, "--threads", "1", "--no-preflight", "--num-epochs", "1"]) in (0, 3)
    said = " ".join(capsys.readouterr().out.split())
    assert "'helpdesk' names the run folder" in said
    assert "'gpt-4.1-nano-2025-04-14' of the job is OpenAI's own" in said
    (folder,) = (tmp_path / "runs").glob("helpdesk-*")
    spec = (folder / "spec.yaml").read_text()
    assert "batch_size: 8" in spec
    assert "seed: 7" in spec
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["task"] == "chat"


def test_the_plan_of_the_job_shows_what_would_be_learnt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tiny_language_folder(tmp_path / "model", "llama")
    words = ["tune", "--openai-job", str(DATA / "helpdesk_job.json"), "--model", str(model), "--plan", "--threads", "1"]
    assert command(words) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "⟦learnt⟧" in said
    assert "⏎Assistant:⟦ " in said
    assert "tokens of train are learnt" in said
