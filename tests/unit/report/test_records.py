"""Reading a run folder."""

from pathlib import Path

import pytest

from luthier.errors import DataError
from luthier.report.records import read_run


def test_all_records_of_a_run_are_read(tickets: Path) -> None:
    run = read_run(tickets, title="t")
    assert run.folder_name == "tickets"
    assert run.setting("model", "name") == "minilm"
    assert run.setting("model", "name", "deeper") is None
    assert [decision.name for decision in run.decisions][:2] == ["target", "task"]
    assert {finding.check for finding in run.findings} == {"imbalance", "duplicates", "leak", "conflicts"}
    assert [removal.count for removal in run.removals] == [23, 4, 1]
    assert [rung.name for rung in run.rungs] == ["probe", "top-blocks:2", "full"]
    assert run.data.parts["train"] == 3200


def test_a_line_cut_off_by_a_crash_is_left_out(tickets: Path) -> None:
    whole = read_run(tickets).rungs
    with (tickets / "journal.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"event": "step", "rung": "fu')
    assert read_run(tickets).rungs == whole


def test_a_broken_line_in_the_middle_is_an_error(tickets: Path) -> None:
    text = (tickets / "journal.jsonl").read_text(encoding="utf-8")
    (tickets / "journal.jsonl").write_text("{broken\n" + text, encoding="utf-8")
    with pytest.raises(DataError, match=r"journal.jsonl cannot be read"):
        read_run(tickets)


def test_a_spec_that_is_not_yaml_is_an_error(tickets: Path) -> None:
    (tickets / "spec.yaml").write_text("a: [1", encoding="utf-8")
    with pytest.raises(DataError, match=r"spec.yaml cannot be read"):
        read_run(tickets)
