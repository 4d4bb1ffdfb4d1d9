"""The evidence card on the terminal: complete, within its width, readable without colour."""

from dataclasses import replace

import pytest
from rich.console import Console

from luthier.cli.card import evidence_card, interval_strip
from luthier.evaluation.records import Comparison, Interval, Metrics


def printed(metrics: Metrics, width: int = 100) -> str:
    console = Console(width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(evidence_card(metrics, width=width))
    return capture.get()


def row_of(text: str, model: str) -> str:
    return next(line for line in text.splitlines() if line.strip().startswith(model))


def test_every_model_has_a_row_with_score_interval_difference_and_p(metrics: Metrics) -> None:
    row = row_of(printed(metrics), "classic")
    for piece in ("80.1 %", "78.1–82.1", "+9.3", "p = 0.040"):
        assert piece in row
    assert "3 min 3 s" in row_of(printed(metrics), "tuned")


def test_the_verdict_its_rule_and_what_is_absent_are_shown(metrics: Metrics) -> None:
    text = printed(metrics)
    for piece in ("Keep", "the rule that decided", "scratch (was not asked for)", "1,204 test examples", "exact McNemar"):
        assert piece in text


@pytest.mark.parametrize("width", [60, 80, 100])
def test_nothing_is_cut_off_on_narrower_terminals(metrics: Metrics, width: int) -> None:
    text = printed(metrics, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert "p = 0.040" in row_of(text, "classic")


def test_a_piped_card_holds_no_control_characters(metrics: Metrics) -> None:
    assert all(letter.isprintable() or letter == "\n" for letter in printed(metrics))


def test_a_comparison_is_turned_so_that_tuned_stands_first(metrics: Metrics) -> None:
    [first] = [item for item in metrics.comparisons if item.b == "classic"]
    turned = replace(first, a="classic", b="tuned", difference=-first.difference, low=-first.high, high=-first.low)
    assert row_of(printed(replace(metrics, comparisons=[turned])), "classic") == row_of(printed(metrics), "classic")


def test_where_lower_is_better_a_fall_counts_as_a_gain() -> None:
    scores = {"classic": 0.9, "tuned": 0.4}
    lower = Metrics(
        task="t", primary_measure="log_loss", directions={"log_loss": "lower"}, verdict="keep", verdict_reason="r",
        recommended="tuned", n=10, absent={}, cost={},
        test={name: {"log_loss": Interval(value=value, low=value, high=value)} for name, value in scores.items()},
        comparisons=[Comparison(a="tuned", b="classic", measure="log_loss", difference=-0.5, low=-0.6, high=-0.4,
                                p=0.01, p_holm=0.01, standard_error=0.1, test="permutation")],
    )  # fmt: skip
    assert "+0.500" in row_of(printed(lower), "classic")


def test_text_of_the_user_cannot_command_the_terminal(metrics: Metrics) -> None:
    text = printed(replace(metrics, verdict_reason="[bold]x[/bold] \x1b[31m"))
    assert "[bold]x[/bold]" in text
    assert "\x1b" not in text


def test_an_interval_is_drawn_at_its_place() -> None:
    drawn = interval_strip(Interval(value=0.5, low=0.0, high=1.0), low=0.0, high=1.0, width=21)
    assert (drawn[0], drawn[10], drawn[-1]) == ("├", "●", "┤")
    assert interval_strip(Interval(value=2.0, low=1.5, high=2.5), low=0.0, high=1.0, width=9).endswith("▸")
