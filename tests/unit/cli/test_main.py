"""What a command line answers, and with which exit code."""

import errno
import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from luthier import pipeline
from luthier.cli.main import run
from luthier.core.progress import Observer
from luthier.errors import DataError, ResourceError, Stopped
from luthier.evaluation.card import EvidenceCard
from luthier.pipeline.records import Run
from luthier.spec import TuneSpec, build_spec

from .conftest import metrics_with

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "pets.csv"
    rows = [f"story {number} about {word} and more,{word}" for number in range(20) for word in ("cats", "dogs")]
    path.write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    return path


def replace_tune(monkeypatch: pytest.MonkeyPatch, verdict: str = "keep", error: BaseException | None = None) -> list[TuneSpec]:
    """Training takes a minute and is tested elsewhere; here only what the command makes of its outcome is."""
    seen: list[TuneSpec] = []

    def tune(spec: TuneSpec, *, observer: Observer) -> Run:
        seen.append(spec)
        print("a line some library prints")
        if error:
            raise error
        return Run(folder=Path("runs/x"), model_path=Path("runs/x/model"), card=EvidenceCard(metrics=metrics_with(verdict)))

    monkeypatch.setattr(pipeline, "tune", tune)
    return seen


@pytest.mark.parametrize(("verdict", "code"), [("keep", 0), ("keep with care", 0), ("do not keep", 3)])
def test_the_exit_code_tells_the_verdict(verdict: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    seen = replace_tune(monkeypatch, verdict)
    assert run(["tune", "a.csv", "--target", "label"]) == code
    assert seen == [build_spec("a.csv", target="label")]
    text = capsys.readouterr().out
    assert verdict.capitalize() in text
    assert text.count("\n   luthier ") == 2
    assert "runs/x/report.html" in text


def test_json_is_all_there_is_on_stdout(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    replace_tune(monkeypatch)
    assert run(["tune", "a.csv", "--json"]) == 0
    told = capsys.readouterr()
    result = json.loads(told.out)
    assert (result["verdict"], result["folder"], result["metrics"]["n"]) == ("keep", "runs/x", 1204)
    assert "a line some library prints" in told.err


def test_quiet_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    replace_tune(monkeypatch)
    assert run(["tune", "a.csv", "--quiet"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "keep: tuned (runs/x)"


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (DataError("a.csv has no rows.", remedy="add rows"), 2, "Error: a.csv has no rows.\n  Try: add rows\n"),
        (ResourceError("The disk is full.", remedy="free some"), 1, "Error: The disk is full.\n  Try: free some\n"),
        (Stopped("Stopped at step 3.", remedy="--resume"), 130, "Error: Stopped at step 3.\n  Try: --resume\n"),
        (KeyboardInterrupt(), 130, "Error: Stopped.\n"),
        (MemoryError(), 1, "Error: Memory is short.\n  Try: --micro-batch 8"),
        (OSError(errno.ENOSPC, "No space left on device", "x.npy"), 1, "Error: The disk is full (x.npy).\n"),
    ],
)
def test_errors_are_told_without_a_trace(
    error: BaseException, code: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    replace_tune(monkeypatch, error=error)
    assert run(["tune", "a.csv"]) == code
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told


def test_a_fault_of_ours_is_written_to_a_file(monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    replace_tune(monkeypatch, error=ZeroDivisionError("division by zero"))
    assert run(["tune", "a.csv"]) == 1
    told = capsys.readouterr().err
    [log] = tmp_path.glob("luthier-*.log")
    assert str(log) in told
    assert "Luthier has a fault: ZeroDivisionError: division by zero" in told
    assert "Traceback" not in told
    assert "Traceback" in log.read_text(encoding="utf-8")
    assert "luthier tune a.csv" in log.read_text(encoding="utf-8")


def test_debug_shows_the_trace(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    replace_tune(monkeypatch, error=ZeroDivisionError("division by zero"))
    assert run(["tune", "a.csv", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["tnue"],
            "Unknown command 'tnue'. Did you mean 'tune'? "
            "Known: adapt, check, doctor, find, models, predict, recommend, search, segment, tune.",
        ),
        (["--versoin"], "Unknown flag '--versoin'. Did you mean '--version'?"),
        (["tune", "a.csv", "--sede", "3"], "Unknown flag '--sede'. Did you mean '--seed'?"),
        (["tune", "a.csv", "--lr=3"], "Unknown flag '--lr'. Did you mean '--learning-rate'?"),
        (["tune", "a.csv", "--target"], "Option '--target' requires an argument"),
        (["tune", "a.csv", "--num-epochs", "none"], "--num-epochs is 'none'; expected a number above 0."),
        (["tune", "spec.yaml"], "Cannot read the spec spec.yaml: No such file"),
        (["predict"], "Missing argument 'MODEL'"),
        (["predict", "model", "a.csv", "--json"], "--json and the answers cannot both go to stdout"),
        (["models", "--modality", "smell"], "'smell' is not one of"),
        (["check", "none.csv"], "none.csv"),
    ],
)
def test_wrong_commands_exit_with_two(
    words: list[str], message: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(words) == 2
    told = capsys.readouterr()
    assert told.err.startswith("Error: ")
    assert message in told.err
    assert "  Try: " in told.err
    assert told.out == ""


def test_unknown_flags_are_reported_together(capsys: Capture) -> None:
    assert run(["tune", "a.csv", "--sede", "3", "--tarqet", "x"]) == 2
    told = capsys.readouterr().err
    assert "2 problems" in told
    assert "'--seed'" in told
    assert "'--target'" in told


def test_a_file_in_the_place_of_a_verb_is_understood(table: Path, capsys: Capture) -> None:
    assert run([str(table)]) == 2
    assert f"Try: luthier tune {table}" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["tune"], ["check"], ["--help"], ["tune", "-h"], ["--version"]])
def test_help_is_no_failure(words: list[str], capsys: Capture) -> None:
    assert run(words) == 0
    assert capsys.readouterr().out.startswith("luthier")


def test_check_tells_columns_findings_and_what_to_do(table: Path, capsys: Capture) -> None:
    table.write_text(table.read_text(encoding="utf-8") + "\n" + "story 3 about cats and more,cats\n" * 3, encoding="utf-8")
    assert run(["check", str(table)]) == 0
    text = capsys.readouterr().out
    assert f"luthier tune {table} --target label" in text
    assert "--duplicates keep" in text
    commands = [line for line in text.splitlines() if line.strip().startswith("luthier")]
    assert max(len(line) for line in text.splitlines() if line not in commands) <= 100


def test_check_as_json_names_roles_and_findings(table: Path, capsys: Capture) -> None:
    assert run(["check", str(table), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["name"], result["num_rows"]) == ("pets", 40)
    assert result["roles"]["target"] == "label"
    assert isinstance(result["findings"], list)


def test_check_exits_with_two_where_the_data_cannot_be_used(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "one.csv"
    path.write_text("text,label\n" + "".join(f"story number {row},same\n" for row in range(20)), encoding="utf-8")
    assert run(["check", str(path), "--target", "label"]) == 2
    assert "✗" in capsys.readouterr().out


def test_doctor_as_json_describes_the_machine(capsys: Capture) -> None:
    code = run(["doctor", "--json"])
    result = json.loads(capsys.readouterr().out)
    assert result["healthy"] == (code == 0)
    assert result["machine"]["cores"] >= 1


def test_models_lists_the_catalogue_by_modality(capsys: Capture) -> None:
    assert run(["models", "--modality", "text", "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    assert {entry["modality"] for entry in entries} == {"text"}
    [default] = [entry for entry in entries if entry["default"]]
    assert default["name"] == "minilm"
    assert default["local"] is True
    assert run(["models"]) == 0
    assert "mobilenet-v2 *" in capsys.readouterr().out


def test_models_for_data_are_those_that_read_it(table: Path, capsys: Capture) -> None:
    assert run(["models", str(table)]) == 0
    text = capsys.readouterr().out
    assert "minilm" in text
    assert "resnet" not in text


def test_a_reader_that_leaves_early_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m luthier models | head -1; echo ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] in ("0", str(128 + signal.SIGPIPE))


def test_letters_the_terminal_lacks_do_not_stop_a_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "luthier", "models"], capture_output=True, env={"PYTHONIOENCODING": "ascii", "HOME": "/nowhere"},
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
