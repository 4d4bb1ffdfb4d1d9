"""Every member of the family of checks, judged by one class."""

from dataclasses import replace

import numpy as np
import pytest

from luthier.data.checks import CHECKS
from luthier.data.checks.policy import SETTING_OF
from luthier.data.dataset import Dataset
from luthier.data.schema import Kind
from luthier.data.settings import DataSettings
from luthier.testing.tables import make_dataset

TEXTS = [
    "where is my card", "Where is MY card", "", "where is my card", "i want my money back, now!", "i want my money back now",
    "Ã©tÃ© broken", "mail me at a@b.com", "x", "the parcel came open and wet, and nobody answers",
] * 10  # fmt: skip
LABELS = ["card", "card", "card", "money", "money", "money", "other", None, "other", "Card"] * 10
FLAWED = {
    "text": TEXTS, "label": LABELS, "queue": [str(label) for label in LABELS],
    "same": ["1"] * 100, "number": list(map(str, range(100))), "picture": ["/nowhere.png"] * 100,
    "sound": ["/nowhere.wav"] * 100,
}  # fmt: skip
SETS = ['["card"]', '["Card", "card"]', "[]", None, '["money"]'] * 12 + ['["money", "unknown"]', '["once"]'] * 20
PRICES = [f"{number / 7:.2f}" for number in range(97)] + ["n/a", None, "99999"]
KINDS = {"same": Kind.CONSTANT, "number": Kind.IDENTIFIER}
ROLES = {"text": "text", "target": "label", "image": "picture", "audio": "sound"}
TEXT_ROLES = {"text": "text", "target": "label"}
NOTHING = np.array([], dtype=str)


def strange_cells() -> Dataset:
    """A table whose features have cells that are not what their columns say."""
    columns = {"age": ["1.5", "old", None], "day": ["2024-01-02", "2 Jan", ""], "y": ["a", "b", "a"]}
    kinds = {"age": Kind.NUMBER, "day": Kind.DATETIME}
    dataset = make_dataset(columns, roles={"target": "y"}, kinds=kinds)
    return replace(dataset, schema=replace(dataset.schema, features=("age", "day")))


def datasets() -> dict[str, Dataset]:
    return {
        "flawed": make_dataset(FLAWED, roles=ROLES, kinds=KINDS),
        "given parts": make_dataset(FLAWED, roles=ROLES, kinds=KINDS, sizes={"train": 60, "validation": 20, "test": 20}),
        "one row": make_dataset({"text": ["hello"], "label": ["a"]}, roles=TEXT_ROLES),
        "all empty": make_dataset({"text": ["", None], "label": ["", None]}, roles=TEXT_ROLES),
        "no rows": make_dataset({"text": NOTHING, "label": NOTHING}, roles=TEXT_ROLES),
        "empty part": make_dataset({"text": ["a", "b"], "label": ["x", "y"]}, roles=TEXT_ROLES, sizes={"train": 2, "test": 0}),
        "label sets": make_dataset(
            {"text": TEXTS, "label": SETS}, roles=TEXT_ROLES, kinds={"label": Kind.LIST}, sizes={"train": 60, "test": 40}
        ),
        "prices": make_dataset({"text": TEXTS, "label": PRICES}, roles=TEXT_ROLES, kinds={"label": Kind.NUMBER}),
        "given prices": make_dataset(
            {"text": TEXTS, "label": PRICES}, roles=TEXT_ROLES, kinds={"label": Kind.NUMBER}, sizes={"train": 60, "test": 40}
        ),
        "numbers": make_dataset({"age": [1.5, 2.5, None], "y": [1, 0, 1]}, roles={"target": "y"}, kinds={"age": Kind.NUMBER}),
        "strange cells": strange_cells(),
    }  # fmt: skip


@pytest.mark.parametrize("table", datasets())
@pytest.mark.parametrize("name", CHECKS)
class TestCheck:
    def test_findings_are_complete_and_the_table_stays(self, name: str, table: str) -> None:
        dataset, check = datasets()[table], CHECKS[name]
        before = dataset.table.to_pydict()
        findings = check(dataset) if check.applies(dataset) else []
        assert dataset.table.to_pydict() == before
        assert isinstance(findings, list)
        for finding in findings:
            assert finding.check == name
            assert finding.severity in ("error", "warning", "info")
            assert finding.problem.endswith((".", "?"))
            assert finding.remedy
            assert finding.count > 0
            rows = [finding.rows] + ([finding.action.rows] if finding.action else [])
            for numbers in rows:
                assert np.issubdtype(numbers.dtype, np.integer)
                assert ((numbers >= 0) & (numbers < dataset.table.num_rows)).all()
                assert (np.diff(numbers) > 0).all()
            if finding.by_default:
                assert finding.action is not None

    def test_a_given_test_row_is_never_to_be_dropped(self, name: str, table: str) -> None:
        dataset, check = datasets()[table], CHECKS[name]
        for finding in check(dataset) if check.applies(dataset) else []:
            if finding.action is not None:
                assert not np.isin(finding.action.rows, dataset.parts.get("test", [])).any()

    def test_it_says_what_it_is(self, name: str, table: str) -> None:
        check = CHECKS[name]
        assert check.name == name
        assert check.about
        assert check.find.__doc__
        assert check.needs in ("table", "table and features")


def test_the_flawed_table_makes_every_check_speak() -> None:
    """Lengths apart, which needs a text over a thousand characters long."""
    found = {
        finding.check
        for table in datasets().values()
        for name in CHECKS
        if CHECKS[name].applies(table)
        for finding in CHECKS[name](table)
    }
    assert found >= set(CHECKS) - {"lengths"}


def test_every_flag_of_the_policy_is_a_setting() -> None:
    assert set(SETTING_OF) <= set(CHECKS)
    assert set(SETTING_OF.values()) <= set(DataSettings.model_fields)
