"""Missing values, duplicates, conflicts, overlap, and what the settings make of them."""

from pathlib import Path

import numpy as np
import pyarrow.csv
import pytest

from luthier.data.checks import CHECKS, run_checks
from luthier.data.clean import clean, stop_on_errors
from luthier.data.dataset import Dataset
from luthier.data.findings import Finding
from luthier.data.settings import DataSettings
from luthier.errors import DataError
from luthier.testing.tables import make_dataset

ROLES = {"text": "text", "target": "label"}


def find(name: str, dataset: Dataset) -> list[Finding]:
    return CHECKS[name](dataset)


def one(name: str, dataset: Dataset) -> Finding:
    (finding,) = find(name, dataset)
    return finding


def test_empty_rows_are_left_out_of_train_but_kept_in_a_given_test_part() -> None:
    dataset = make_dataset(
        {"text": ["a", "", "b", None, " "], "label": ["x", "y", "y", "x", "y"]}, roles=ROLES, sizes={"train": 3, "test": 2}
    )
    train, test = find("missing", dataset)
    assert (train.part, train.action.rows.tolist() if train.action else None) == ("train", [1])
    assert "1 of 3 train rows (33.3 %) is empty in 'text'" in train.problem
    assert "Row: toy.csv:2." in train.problem
    assert (test.severity, test.part) == ("error", "test")
    assert "All 2 rows of the test part of toy are empty" in test.problem


def test_all_empty_texts_are_an_error_that_names_a_better_column() -> None:
    dataset = make_dataset(
        {"text": ["", None, " "], "body": ["some words here", "more", "x"], "label": ["a", "b", "a"]}, roles=ROLES
    )
    finding = one("missing", dataset)
    assert finding.severity == "error"
    assert finding.remedy == "--text body"
    with pytest.raises(DataError, match="nothing to learn from"):
        stop_on_errors([finding])


def test_rows_without_an_answer_are_left_out_of_train_and_not_scored_in_test() -> None:
    dataset = make_dataset(
        {"text": ["a", "b", "c", "d", "e"], "label": ["x", None, "y", "x", " "]}, roles=ROLES, sizes={"train": 3, "test": 2}
    )
    train, test = find("missing", dataset)
    assert train.by_default
    assert train.rows.tolist() == [1]
    assert test.action is None
    assert test.evidence == {"excluded_from_scoring": True}
    assert "cannot be scored" in test.problem


def test_a_target_without_any_value_is_an_error() -> None:
    dataset = make_dataset({"text": ["a", "b", "c"], "label": [None] * 3, "kind": ["x", "y", "x"]}, roles=ROLES)
    finding = one("missing", dataset)
    assert finding.severity == "error"
    assert finding.remedy == "--target kind"


def test_half_a_pair_is_told() -> None:
    dataset = make_dataset({"a": ["x", None, None], "b": ["y", "z", None]}, roles={"text": "a", "text_pair": "b"})
    assert [finding.rows.tolist() for finding in find("missing", dataset)] == [[2], [1]]


def test_the_first_of_equal_rows_stays() -> None:
    dataset = make_dataset({"text": ["A b", "c", "a  B", "a b", "c"], "label": ["x", "x", "x", "y", "x"]}, roles=ROLES)
    finding = one("duplicates", dataset)
    assert finding.rows.tolist() == [2, 4]
    assert "2 of 5 rows (40.0 %) repeat an earlier row" in finding.problem


def test_texts_that_are_their_own_target_repeat_without_a_label() -> None:
    dataset = make_dataset({"text": ["a", "b", "A "]}, roles={"text": "text", "target": "text"})
    finding = one("duplicates", dataset)
    assert "repeats an earlier row, after folding case and spaces" in finding.problem
    assert "label" not in finding.problem


def test_duplicates_are_judged_inside_a_part() -> None:
    dataset = make_dataset(
        {"text": ["a", "a", "a", "a"], "label": ["x"] * 4}, roles=ROLES, sizes={"train": 1, "validation": 1, "test": 2}
    )
    finding = one("duplicates", dataset)
    assert (finding.part, finding.severity, finding.action) == ("test", "info", None)


def test_all_rows_of_a_conflict_go_and_unlabelled_rows_take_no_part() -> None:
    dataset = make_dataset({"text": ["a", "A", "a", "b", "b", "c"], "label": ["x", "y", "x", "x", None, "y"]}, roles=ROLES)
    finding = one("conflicts", dataset)
    assert finding.rows.tolist() == [0, 1, 2]
    assert "1 input carries more than one label (3 rows)" in finding.problem


def overlapping() -> Dataset:
    """Train rows 0 and 1 occur in test (rows 7, 8), train row 2 in validation (row 5)."""
    train = ["Where is it", "my card is lost", "refund me", "unlike the others", "nothing came"]
    held = ["REFUND me", "broken", "where is  it", "My card is lost", "new"]
    sizes = {"train": 5, "validation": 2, "test": 3}
    return make_dataset({"text": train + held, "label": list("xyxyxxyxyx")}, roles=ROLES, sizes=sizes)


def test_what_occurs_in_test_leaves_train_and_what_occurs_in_validation_leaves_train() -> None:
    cleaned = clean(overlapping(), find("overlap", overlapping()))
    assert {part: rows.tolist() for part, rows in cleaned.dataset.parts.items()} == {
        "train": [3, 4],
        "validation": [5, 6],
        "test": [7, 8, 9],
    }


def test_overlap_says_how_much_and_where() -> None:
    test, validation = find("overlap", overlapping())
    assert test.problem == (
        "2 of 3 test rows (66.7 %) also occur in train after folding case and spaces; the test score would be too good. "
        "Rows: toy.csv:8, toy.csv:9."
    )
    assert test.action is not None
    assert (test.part, test.action.rows.tolist()) == ("train", [0, 1])
    assert validation.action is not None
    assert (validation.part, validation.action.rows.tolist()) == ("train", [2])


def test_overlap_stops_a_run_on_demand_with_what_to_type() -> None:
    findings = run_checks(overlapping(), DataSettings(overlap="error"))
    assert not any(finding.by_default for finding in findings if finding.check == "overlap")
    with pytest.raises(DataError, match="also occur in train") as caught:
        stop_on_errors(findings)
    assert "`--overlap drop` (leaves out 2 rows of train), or `--group COLUMN`" in caught.value.remedy


def test_settings_decide_what_is_applied() -> None:
    texts = ["same words", "same words", "two sided", "two sided", "three", "four"]
    dataset = make_dataset({"text": texts, "label": list("xxxyxy")}, roles=ROLES)

    def kept(**settings: str) -> list[int]:
        return clean(dataset, run_checks(dataset, DataSettings.model_validate(settings))).dataset.parts["all"].tolist()

    assert kept() == [0, 4, 5]
    assert kept(duplicates="keep") == [0, 1, 4, 5]
    assert kept(conflicts="keep") == [0, 2, 3, 4, 5]
    stopped = run_checks(dataset, DataSettings(conflicts="error"))
    assert [finding.check for finding in stopped if finding.severity == "error"] == ["conflicts"]


def test_groups_on_both_sides_are_told() -> None:
    dataset = make_dataset(
        {"text": list("abcd"), "user": ["u1", "u2", "u1", None]},
        roles={"text": "text", "group": "user"},
        sizes={"train": 2, "test": 2},
    )
    finding = one("overlap", dataset)
    assert finding.rows.tolist() == [2]
    assert "--group user" in finding.remedy


def test_the_most_severe_findings_come_first() -> None:
    texts = ["a", "a", "b", "x@y.org", "", "c"]
    dataset = make_dataset({"text": texts, "label": ["x", "x", "y", "y", "x", "alone"]}, roles=ROLES)
    severities = [finding.severity for finding in run_checks(dataset, DataSettings())]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)
    assert set(severities) == {"error", "warning", "info"}


def real(shared: Path, name: str, **files: str) -> Dataset:
    options = pyarrow.csv.ParseOptions(newlines_in_values=True)
    tables = {part: pyarrow.csv.read_csv(shared / "data" / name / file, parse_options=options) for part, file in files.items()}
    text, label = next(iter(tables.values())).column_names[:2]
    columns = {
        column: [cell for table in tables.values() for cell in table.column(column).to_pylist()] for column in (text, label)
    }
    sizes = {part: table.num_rows for part, table in tables.items()}
    return make_dataset(columns, roles={"text": text, "target": label}, sizes=None if "all" in sizes else sizes, name=name)


@pytest.mark.shared_data
def test_known_flaws_of_real_data_are_found(shared: Path) -> None:
    banking = real(shared, "banking77", train="train.csv", test="test.csv")
    (overlap,) = find("overlap", banking)
    plain = [" ".join(str(text).casefold().split()) for text in banking.column("text").to_pylist()]
    train, test = ({plain[row] for row in banking.parts[part]} for part in ("train", "test"))
    assert {plain[row] for row in overlap.rows} == train & test
    assert 6 <= len(train & test) <= 7, "six are known by case alone"

    hate = real(shared, "tweet_hate", train="train.csv", validation="val.csv", test="test.csv")
    held = {(found.evidence["held"], found.evidence["source"]): found.count for found in find("overlap", hate)}
    plain = [str(text).casefold() for text in hate.column("text").to_pylist()]
    train = {plain[row] for row in hate.parts["train"]}
    assert sum(plain[row] in train for row in hate.parts["test"]) == 233
    assert 233 <= held["test", "train"] <= 240, "spaces and compatible letters are folded as well"
    assert sum(found.count for found in find("missing", hate)) == 8

    offensive = real(shared, "tweet_offensive", train="train.csv", test="test.csv")
    assert find("conflicts", offensive)[0].evidence["inputs"] == 7

    reviews = real(shared, "customer_reviews", all="data.csv")
    empty, repeated = one("missing", reviews).count, one("duplicates", reviews).count
    assert empty == 4
    assert repeated + empty - 1 == 9, "the four empty rows count as three repeats of one text elsewhere"
    assert np.concatenate([found.rows for found in run_checks(reviews, DataSettings(), fast=True)]).max() < 3775
