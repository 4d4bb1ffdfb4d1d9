import numpy as np
import pytest

from luthier.data.checks import run_checks
from luthier.data.clean import clean, stop_on_errors
from luthier.data.dataset import Dataset
from luthier.data.findings import Action, Finding
from luthier.data.settings import DataSettings
from luthier.errors import DataError
from luthier.testing.tables import make_dataset

ROLES = {"text": "text", "target": "label"}


def finding(rows: list[int], *, check: str = "duplicates", by_default: bool = True) -> Finding:
    action = Action(kind="drop_rows", rows=np.array(rows))
    return Finding(check=check, severity="warning", problem="p.", remedy="r", action=action, by_default=by_default)


def tickets(**sizes: int) -> Dataset:
    labels = ["a", "b"] * 5
    return make_dataset({"text": [f"t {row}" for row in range(10)], "label": labels}, roles=ROLES, sizes=sizes or None)


def test_rows_leave_once_and_the_account_adds_up() -> None:
    cleaned = clean(tickets(), [finding([0, 3]), finding([3, 4], check="missing"), finding([7], by_default=False)])
    assert cleaned.dataset.parts["all"].tolist() == [1, 2, 5, 6, 7, 8, 9]
    assert [(removal.check, removal.part, removal.count) for removal in cleaned.removals] == [
        ("duplicates", "all", 2),
        ("missing", "all", 1),
    ]
    assert cleaned.dataset.table.num_rows == 10


def test_a_given_test_part_is_never_touched() -> None:
    cleaned = clean(tickets(train=6, test=4), [finding([1, 7, 8])])
    assert cleaned.dataset.parts["test"].tolist() == [6, 7, 8, 9]
    assert cleaned.dataset.parts["train"].tolist() == [0, 2, 3, 4, 5]


def test_columns_are_dropped_unless_they_play_a_role() -> None:
    drops = [
        Finding(
            check="leak",
            severity="warning",
            problem="p.",
            remedy="r",
            by_default=True,
            action=Action(kind="drop_column", column=name),
        )
        for name in ("queue", "text", "queue")
    ]
    cleaned = clean(tickets(), drops)
    assert cleaned.dropped_columns == ("queue",)
    assert [removal.column for removal in cleaned.removals] == ["queue"]


def test_a_part_is_never_emptied_silently() -> None:
    with pytest.raises(DataError, match=r"none of the 2 rows of validation \(because of: overlap\)") as caught:
        clean(tickets(train=6, validation=2, test=2), [finding([6, 7], check="overlap")])
    assert caught.value.remedy == "`--overlap keep`"


def test_a_class_is_never_removed_silently_and_all_objections_come_together() -> None:
    dataset = tickets(train=6, validation=2, test=2)
    with pytest.raises(DataError, match="2 problems") as caught:
        clean(dataset, [finding([0, 2, 4], check="conflicts"), finding([6, 7], check="duplicates")])
    assert "every row of 1 class ('a'; 3 rows; because of: conflicts)" in caught.value.problem
    assert "`--conflicts keep`" in caught.value.remedy


def test_classes_of_one_row_may_be_dropped_on_demand() -> None:
    texts = [f"a text of its own number {row}" for row in range(21)]
    dataset = make_dataset({"text": texts, "label": ["a", "b"] * 10 + ["alone"]}, roles=ROLES)
    with pytest.raises(DataError, match="'alone'"):
        stop_on_errors(run_checks(dataset, DataSettings()))
    findings = run_checks(dataset, DataSettings(rare_classes="drop"))
    stop_on_errors(findings)
    assert len(clean(dataset, findings).dataset.parts["all"]) == 20
    findings = run_checks(dataset, DataSettings(rare_classes="keep"))
    stop_on_errors(findings)
    assert len(clean(dataset, findings).dataset.parts["all"]) == 21


def test_cleaning_twice_finds_nothing_more() -> None:
    texts = ["one two three four", "ONE two three four", "", "five six seven", "five six seven", "eight nine ten"] + [
        f"words of row number {row}, {'abcdefghij'[row] * 5}" for row in range(10)
    ]
    labels: list[str | None] = ["a", "a", "a", "a", "b", None] + ["a", "b"] * 5
    dataset = make_dataset({"text": texts, "label": labels}, roles=ROLES)
    once = clean(dataset, run_checks(dataset, DataSettings()))
    assert once.dataset.parts["all"].tolist() == [0, *range(6, 16)]
    again = clean(once.dataset, run_checks(once.dataset, DataSettings()))
    assert again.removals == ()
