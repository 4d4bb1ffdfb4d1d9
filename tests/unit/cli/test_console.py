"""The observer of the terminal: aligned lines in a pipe, a live bar on a terminal, silence when asked."""

import pytest

from luthier.cli import console
from luthier.cli.console import Watch, shown_value
from luthier.core.decision import Decision

TARGET = Decision[object](name="target", value="category", reason="the last column with few values", override="--target")


def tell_all(watch: Watch) -> None:
    watch.stage("load", "tickets.csv")
    watch.decided(TARGET)
    watch.note("22 rows repeat", level="warning")
    watch.start("train", 60, "steps")
    watch.advance(60, "loss 0.2")
    watch.finish()


def test_in_a_pipe_there_are_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    tell_all(Watch())
    text = capsys.readouterr().out
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert max(map(len, text.splitlines())) <= 100
    assert "━━ Load  tickets.csv" in text
    assert "! 22 rows repeat" in text
    assert "train: 60 steps in" in text
    [line] = [line for line in text.splitlines() if "category" in line]
    assert line.split() == ["target", "category", *TARGET.reason.split(), "--target"]


def test_decisions_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    watch = Watch()
    for name, value in (("target", "category"), ("max_length", 128)):
        watch.decided(Decision(name=name, value=value, reason="REASON"))
    columns = {line.index("REASON") for line in capsys.readouterr().out.splitlines()}
    assert len(columns) == 1


@pytest.mark.parametrize("length", [5, 40, 50, 55, 60, 100, 110, 115])
def test_what_can_be_typed_is_never_broken_over_lines(length: int, capsys: pytest.CaptureFixture[str]) -> None:
    reason = ("word " * 40)[:length].strip()
    Watch().decided(Decision(name="task", value="x", reason=reason, override="--task text-classification"))
    assert "--task text-classification" in capsys.readouterr().out


def test_quiet_shows_errors_only_and_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    watch = Watch(quiet=True)
    tell_all(watch)
    watch.note("the disk is full", level="error")
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.split() == ["✗", "the", "disk", "is", "full"]


def test_stdout_stays_free_for_results_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    tell_all(Watch(on_stderr=True))
    told = capsys.readouterr()
    assert told.out == ""
    assert "Load" in told.err


def test_unfinished_work_says_how_far_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    watch = Watch()
    watch.start("train", 1000, "steps")
    watch.advance(400)
    watch.finish()
    assert "400 of 1,000 steps" in capsys.readouterr().out


def test_a_long_pipe_gets_a_line_from_time_to_time(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "SECONDS_BETWEEN_LINES", 0.0)
    watch = Watch()
    watch.start("train", 100, "steps")
    watch.advance(25)
    assert "train: 25 %  25 of 100 steps" in capsys.readouterr().out


def test_on_a_terminal_the_bar_goes_when_the_work_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    watch = Watch()
    watch.start("outer", 10, "epochs")
    watch.start("inner", 5, "steps")
    watch.advance(2, "loss 0.2")
    assert watch._live is not None
    watch._live.refresh()
    watch.finish()
    watch.finish()
    assert watch._live is None
    drawn = capsys.readouterr().out
    assert "━" in drawn
    assert "2 of 5 steps" in drawn
    assert "loss 0.2" in drawn
    assert drawn.index("inner: 2 of 5 steps in") < drawn.index("outer: 0 of 10 epochs in")
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")  # the cursor is shown again


def test_text_of_the_user_is_no_markup_and_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    Watch().note("[red]x[/red] \x1b[31m\nsecond line")
    text = capsys.readouterr().out
    assert "[red]x[/red]" in text
    assert "\x1b" not in text
    assert "second line" in text


def test_work_that_was_never_begun_is_ignored() -> None:
    watch = Watch()
    watch.advance(3)
    watch.finish()


@pytest.mark.parametrize(
    ("value", "shown"),
    [(True, "yes"), (12345, "12,345"), (0.00031234, "0.0003123"), (["a", "b", "c", "d", "e", "f"], "a, b, c, d and 2 more")],
)
def test_values_are_shown_in_a_few_words(value: object, shown: str) -> None:
    assert shown_value(value) == shown
