"""What the other sections say."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from luthier.report.records import DataFacts, read_run
from luthier.report.sections.calibration import build_calibration, error_in_words, temperature_in_words
from luthier.report.sections.data import balance, build_data, label_bars
from luthier.report.sections.evidence import build_evidence
from luthier.report.sections.failures import build_failures
from luthier.report.sections.repeat import build_repeat, commands
from luthier.report.sections.training import build_training


def test_the_card_lists_models_from_best_to_worst_with_what_tuning_gained(tickets: Path) -> None:
    facts = build_evidence(read_run(tickets)).facts
    assert [row.name for row in facts["rows"]] == ["tuned", "probe", "classic", "pretrained", "majority"]
    assert facts["rows"][0].difference == ""
    assert facts["rows"][2].difference.startswith("+10.5")
    assert facts["rows"][2].low < facts["rows"][2].dot < facts["rows"][2].high
    assert facts["rows"][4].off_axis
    assert facts["absent"] == [("From scratch", "not asked for; add --compare-scratch")]


def test_only_the_last_rung_kept_is_marked(tickets: Path) -> None:
    rows = build_training(read_run(tickets)).facts["rows"]
    assert [(row.outcome, row.kept) for row in rows] == [
        ("Kept, then overtaken", False),
        ("Kept", True),
        ("Not kept", False),
    ]
    assert rows[1].blocks == "2 of 6 blocks trained"


def test_labels_are_drawn_by_size_and_many_are_folded_away(make_run: Callable[..., Path]) -> None:
    facts = build_data(read_run(make_run("banking"))).facts
    assert len(facts["bars"]) + len(facts["more_bars"]) == 77
    totals = [bar.total for bar in facts["bars"] + facts["more_bars"]]
    assert totals == sorted(totals, reverse=True)
    assert sum(width for _, _, width in facts["bars"][0].pieces) == pytest.approx(100, abs=0.05)


def test_serious_findings_come_first(tickets: Path) -> None:
    severities = [finding.severity for finding, *_ in build_data(read_run(tickets)).facts["findings"]]
    assert severities == ["error", "warning", "warning", "info"]


def test_a_reason_that_a_finding_gives_already_is_not_repeated(tickets: Path) -> None:
    record = json.loads((tickets / "findings.json").read_text(encoding="utf-8"))
    record["removals"][0]["reason"] = record["findings"][1]["problem"]
    (tickets / "findings.json").write_text(json.dumps(record), encoding="utf-8")
    assert [reason for _, reason in build_data(read_run(tickets)).facts["removals"]] == ["", "no text", "gives the label away"]


def test_balance_is_said_in_words() -> None:
    even = DataFacts(class_counts={"a": {"train": 11}, "b": {"train": 10}})
    uneven = DataFacts(class_counts={"a": {"train": 50}, "b": {"train": 10}})
    assert "evenly" in balance(label_bars(even))
    assert "5 times" in balance(label_bars(uneven))
    assert balance([]) == ""


def test_labels_are_sorted_by_f1_and_pairs_by_count(make_run: Callable[..., Path]) -> None:
    run = read_run(make_run("banking"))
    facts = build_failures(run).facts
    bars = [row.bar for row in facts["rows"] + facts["more_rows"]]
    assert bars == sorted(bars)
    assert len(bars) == 77
    matrix = np.asarray(run.metrics.confusion)
    off = matrix - np.diag(np.diag(matrix))
    assert facts["pairs"][0][2] == off.max()
    assert facts["heat"]["cut"]


def test_calibration_is_put_into_words(tickets: Path) -> None:
    facts = build_calibration(read_run(tickets)).facts
    assert facts["temperature"] == "1.31"
    assert [name for name, _ in facts["errors"]] == ["Probe", "Tuned"]
    assert "too sure" in error_in_words(0.08, [(0.9, 0.8, 10)])
    assert "more careful" in error_in_words(0.08, [(0.8, 0.9, 10)])
    assert "very well" in error_in_words(0.01, [(0.9, 0.9, 10)])
    assert "less sure" in temperature_in_words(1.4)
    assert "no correction" in temperature_in_words(1.01)
    assert error_in_words(None, []) == ""


def test_commands_name_the_run_folder(tickets: Path) -> None:
    typed = [command for _, command in commands(read_run(tickets))]
    assert "luthier predict tickets/model new.csv" in typed
    assert "luthier tune tickets/spec.yaml" in typed


def test_versions_are_those_of_the_machine_that_made_the_run(tickets: Path) -> None:
    facts = build_repeat(read_run(tickets)).facts
    assert facts["machine"] == "Imagined Processor 9, 4 cores, 8.0 GiB memory, Linux 6.1"
    assert facts["versions"] == [("python", "3.11.9"), ("luthier", "0.1.0"), ("torch", "2.13.0")]
