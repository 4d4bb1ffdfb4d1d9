"""Labels, columns, leaks, damaged texts, lengths, personal data."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from luthier.data.checks import CHECKS, run_checks
from luthier.data.checks.leak import holdout_accuracy
from luthier.data.dataset import Dataset
from luthier.data.findings import Finding
from luthier.data.schema import Kind
from luthier.data.settings import DataSettings
from luthier.testing.tables import make_dataset

ROLES = {"text": "text", "target": "label"}


def find(name: str, dataset: Dataset) -> list[Finding]:
    return CHECKS[name](dataset)


def labelled(labels: list[str], *, sizes: dict[str, int] | None = None) -> Dataset:
    return make_dataset({"text": [f"t {row}" for row in range(len(labels))], "label": labels}, roles=ROLES, sizes=sizes)


def test_one_class_only_is_an_error() -> None:
    (finding,) = find("classes", labelled(["a"] * 4))
    assert finding.severity == "error"
    assert "All 4 labelled rows of toy have the label 'a' in column 'label'" in finding.problem
    assert "--target" in finding.remedy


def test_repeats_of_one_row_are_one_row_of_a_class() -> None:
    dataset = make_dataset({"text": ["a", "b", "c", "same", "SAME"], "label": ["x", "x", "x", "y", "y"]}, roles=ROLES)
    (finding,) = find("classes", dataset)
    assert finding.severity == "error"
    assert finding.rows.tolist() == [3, 4]
    assert "1 class has one distinct row only ('y')" in finding.problem
    assert "--rare-classes drop" in finding.remedy


def test_classes_of_two_rows_are_told_where_three_parts_are_made() -> None:
    labels = ["a"] * 5 + ["b"] * 2
    assert "two distinct rows ('b')" in find("classes", labelled(labels))[0].problem
    assert find("classes", labelled(labels, sizes={"train": 7})) == []


def test_imbalance_is_told_from_twenty_to_one() -> None:
    assert find("classes", labelled(["a"] * 59 + ["b"] * 3)) == []
    (finding,) = find("classes", labelled(["a"] * 60 + ["b"] * 3))
    assert finding.evidence["ratio"] == 20
    assert "'a' has 60 rows (95.2 %), the smallest 'b' 3: 20 to 1" in finding.problem


def test_labels_that_train_does_not_know_are_told_and_most_of_them_stop_a_run() -> None:
    labels = ["positive", "negative"] * 4
    few = find("classes", labelled([*labels, "positive", "negative", "neutral"], sizes={"train": 8, "test": 3}))
    assert [(finding.severity, finding.part, finding.rows.tolist()) for finding in few] == [("warning", "test", [10])]
    most = find("classes", labelled([*labels, "Positive", "Negative"], sizes={"train": 8, "test": 2}))
    assert [finding.severity for finding in most] == ["error", "warning"]
    assert "Did 'Negative' mean 'negative'?" in most[0].problem
    assert "'Negative' and 'negative'" in most[1].problem


def test_quantities_have_no_classes() -> None:
    numbers = [str(row / 7) for row in range(50)]
    dataset = make_dataset({"text": numbers, "label": numbers}, roles=ROLES, kinds={"label": Kind.NUMBER})
    assert find("classes", dataset) == find("conflicts", dataset) == find("leak", dataset) == []


def test_useless_columns_are_dropped_unless_they_have_a_role_or_are_ignored() -> None:
    columns = {"text": list("abc"), "label": list("xyx"), "id": list("123"), "same": ["1"] * 3, "key": list("456")}
    kinds = {"id": Kind.IDENTIFIER, "same": Kind.CONSTANT, "key": Kind.IDENTIFIER}
    dataset = make_dataset(columns, roles=ROLES | {"group": "key"}, kinds=kinds)
    dropped = [finding.action.column for finding in find("columns", dataset) if finding.action]
    assert dropped == ["id", "same"]
    left = run_checks(dataset, DataSettings(ignore=("id",), rare_classes="keep"))
    assert [finding.evidence["column"] for finding in left if finding.check == "columns"] == ["same"]


def test_one_text_in_all_rows_is_an_error() -> None:
    (finding,) = find("columns", make_dataset({"text": ["a", "A ", "a"], "label": list("xyx")}, roles=ROLES))
    assert finding.severity == "error"


def leaky(size: int = 400) -> Dataset:
    """Columns that tell the label (in words, as a number, nearly), and columns that do not (in part, by accident, as ids)."""
    random = np.random.default_rng(0)
    labels = random.integers(4, size=size)
    wrong = random.random(size) < 0.02
    columns: dict[str, list[str]] = {
        "text": [f"text {row}" for row in range(size)],
        "label": [f"c{label}" for label in labels],
        "queue": [f"q{(label + 1) % 4}" for label in labels],
        "nearly": [f"n{(label + one) % 4}" for label, one in zip(labels, wrong, strict=True)],
        "score": [f"{label * 10 + random.random():.3f}" for label in labels],
        "in_part": [f"p{label // 2}" for label in labels],
        "accident": [f"a{value}" for value in random.integers(size // 2, size=size)],
        "ticket": [f"t{row}" for row in range(size)],
        "amount": [f"{value:.3f}" for value in random.random(size)],
        "empty": ["" for _ in range(size)],
    }
    return make_dataset(columns, roles=ROLES, kinds={"score": Kind.NUMBER, "amount": Kind.NUMBER})


def test_columns_that_give_the_label_away_are_found_and_no_others() -> None:
    findings = find("leak", leaky())
    assert [finding.evidence["column"] for finding in findings] == ["queue", "nearly", "score"]
    assert "it alone tells 'label' right in 100.0 % of rows" in findings[0].problem
    assert all(finding.by_default and finding.action for finding in findings)


def test_a_common_label_alone_is_no_leak() -> None:
    random = np.random.default_rng(0)
    labels = np.where(random.random(1000) < 0.97, "usual", "rare")
    columns = {
        "text": [f"t {row}" for row in range(1000)],
        "label": labels.tolist(),
        "day": [f"d{value}" for value in random.integers(7, size=1000)],
    }
    assert find("leak", make_dataset(columns, roles=ROLES)) == []


def test_holdout_accuracy_equals_counting_by_hand() -> None:
    values, labels = np.array([0, 0, 0, 1, -1, 0, 1, 2, -1, 1]), np.array([1, 1, 0, 2, 1, 1, 2, 1, 1, 0])
    # Learnt from the first five: 0 -> 1, 1 -> 2, missing -> 1, anything else -> 1. Right on the rest: yes, yes, yes, yes, no.
    assert holdout_accuracy(values, labels) == (0.8, 0.6)


def test_labels_written_in_their_own_texts_are_found_and_topics_are_not() -> None:
    labels = ["billing", "delivery_delay", "returns"] * 20
    spelt = [f"[{label.replace('_', ' ').title()}] ticket {row}" for row, label in enumerate(labels)]
    (finding,) = find("leak", make_dataset({"text": spelt, "label": labels}, roles=ROLES))
    assert "hold the name of a label" in finding.problem
    natural = [f"about my {label} please {row}" if row % 5 == 0 else f"hello {row}" for row, label in enumerate(labels)]
    assert find("leak", make_dataset({"text": natural, "label": labels}, roles=ROLES)) == []


def test_damaged_texts_are_told_by_kind() -> None:
    texts = ["café", "caf\ufffd", "cafÃ©", "it\u0092s", "naïve Ângela", "tab\tand\nline", "donâ€™t"]
    findings = find("encoding", make_dataset({"text": texts}, roles={"text": "text"}))
    assert [finding.rows.tolist() for finding in findings] == [[1], [2, 6], [3]]
    assert {finding.severity for finding in findings} == {"warning"}


def test_very_long_texts_and_single_characters_are_told() -> None:
    texts = ["a usual sentence of some words " + "x" * (row % 40) for row in range(200)] + ["y" * 5000, "z"]
    long, single = find("lengths", make_dataset({"text": texts}, roles={"text": "text"}))
    assert long.rows.tolist() == [200]
    assert single.rows.tolist() == [201]


def test_personal_data_is_counted_and_never_shown() -> None:
    texts = [
        "write to jane.doe@example.org",
        "call +49 170 1234567 or 030 1234567",
        "card 4111 1111 1111 1111",
        "order 4111 1111 1111 1112 of 2024-03-31",
        "from 12:30 to 13:45, 1000 items at 99.95",
    ]
    (finding,) = find("personal-data", make_dataset({"text": texts}, roles={"text": "text"}))
    assert finding.evidence == {"e-mail address": 1, "phone number": 1, "card number": 1}
    assert finding.rows.tolist() == [0, 1, 2]
    assert not any(secret in finding.problem for secret in ("jane", "170", "4111"))


@pytest.mark.parametrize("fast", [True, False])
def test_checks_of_a_small_table_start_no_heavy_libraries(fast: bool) -> None:
    code = f"""
import sys
from dataclasses import replace
from luthier.testing.tables import make_dataset
from luthier.data.checks import run_checks
from luthier.data.settings import DataSettings
import pyarrow.compute
texts = [f"message number {{row}} about some thing or other {{row * 7 % 13}}" for row in range(1000)]
dataset = make_dataset({{"text": texts, "label": ["a", "b"] * 500}}, roles={{"text": "text", "target": "label"}})
run_checks(dataset, DataSettings(), fast={fast})
heavy = {{"torch", "transformers", "sklearn", "scipy", "polars", "PIL"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_personal_data_is_also_looked_for_in_columns_of_texts_of_a_table() -> None:
    columns = {"note": ["call +49 170 1234567", "fine"], "plan": ["a@b.com", "a@b.com"], "label": ["x", "y"]}
    dataset = make_dataset(columns, roles={"target": "label"}, kinds={"note": Kind.TEXT, "plan": Kind.CATEGORY})
    assert find("personal-data", dataset) == []
    read = replace(dataset, schema=replace(dataset.schema, features=("note", "plan")))
    (finding,) = find("personal-data", read)
    assert "Column 'note' may hold personal data: 1 text with what looks like a phone number" in finding.problem
