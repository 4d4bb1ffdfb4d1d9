"""What the first section says."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from luthier.evaluation.records import Interval, Metrics
from luthier.report.records import read_run
from luthier.report.sections.summary import against_tuned, best_untuned, caveats, headline, in_hundred, key_numbers

NBSP = "\N{NO-BREAK SPACE}"


@pytest.fixture
def metrics(tickets: Path) -> Metrics:
    return read_run(tickets).metrics


def test_the_headline_follows_the_verdict_and_the_recommended_model(metrics: Metrics) -> None:
    assert "Use the tuned model." in headline(metrics)
    assert "Use the probe." in headline(replace(metrics, verdict="keep with care", recommended="probe"))
    assert "condition" in headline(replace(metrics, verdict="keep with care"))
    refused = headline(replace(metrics, verdict="do not keep", recommended="pretrained"))
    assert "did not prove its worth" in refused
    assert "pre-trained" in refused


def test_key_numbers_are_score_gain_and_a_second_score(metrics: Metrics) -> None:
    score, gain, second = key_numbers(metrics)
    value = metrics.test["tuned"]["accuracy"].value
    assert (score.value, score.unit) == (f"{100 * value:.1f}", "%")
    difference = value - metrics.test["classic"]["accuracy"].value
    assert (gain.value, gain.unit) == (f"{100 * difference:+.1f}", "points")
    assert "classic" in gain.label
    assert gain.label.startswith("Gain")
    assert second.label.startswith("Macro F1")


def test_a_negative_difference_is_called_a_loss(make_run: Callable[..., Path]) -> None:
    loss = key_numbers(read_run(make_run("insects")).metrics)[1]
    assert loss.label.startswith("Loss")
    assert loss.value == "−1.3"


def test_a_comparison_the_other_way_round_is_turned(metrics: Metrics) -> None:
    there = against_tuned(metrics, "classic")
    assert there is not None
    back = replace(there, a="classic", b="tuned", difference=-there.difference, low=-there.high, high=-there.low)
    assert against_tuned(replace(metrics, comparisons=[back]), "classic") == there
    assert against_tuned(metrics, "scratch") is None


def test_the_best_untuned_model_is_the_lowest_where_lower_is_better(metrics: Metrics) -> None:
    def interval(value: float) -> Interval:
        return Interval(value=value, low=value, high=value)

    test = {
        "majority": {"log_loss": interval(2.0)},
        "classic": {"log_loss": interval(0.5)},
        "tuned": {"log_loss": interval(0.1)},
    }
    assert best_untuned(replace(metrics, primary_measure="log_loss", test=test)) == "classic"
    assert best_untuned(replace(metrics, test={})) == ""


def test_one_in_a_hundred_is_told_beside_the_alternative(metrics: Metrics) -> None:
    assert "about 92" in in_hundred(metrics)
    assert "classic model, gets about 81" in in_hundred(metrics)
    assert "The tuned model gets about 92" in in_hundred(replace(metrics, recommended="probe"))


def test_caveats_name_the_weakest_label_small_tests_and_what_was_left_out(make_run: Callable[..., Path]) -> None:
    run = read_run(make_run("insects"))
    weakest = min(run.metrics.per_class, key=lambda row: float(str(row["f1"])))
    notes = " ".join(caveats(run))
    assert f"“{weakest['label']}”" in notes
    assert "153 examples" in notes
    assert "27 rows were left out" in notes  # the column that was left out is no row
