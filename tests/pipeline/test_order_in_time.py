"""Rows in order of time: the newest are held out, and the answer of the row before is a model on the card."""

import csv
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import luthier
from luthier.errors import SpecError
from luthier.pipeline import Run

QUICK = {
    "method": "probe", "num_epochs": 1, "threads": 1, "bootstrap_samples": 200, "table_pretraining_epochs": 1,
    "table_hidden_width": 8, "table_blocks": 1, "preflight": False,
}  # fmt: skip


def write_prices(path: Path, number: int, *, target: str) -> Path:
    """A price that wanders, and whether it is above its long mean: mostly as it was the step before."""
    rng = np.random.default_rng(0)
    level = np.zeros(number)
    for step in range(1, number):
        level[step] = 0.97 * level[step - 1] + rng.normal()
    rows = [
        [round(float(rng.normal()), 3), round(float(rng.gamma(2)), 3), step % 24, "up" if value > 0 else "down", f"{value:.3f}"]
        for step, value in enumerate(level)
    ]
    kept = ["demand", "supply", "hour", target]
    header = ["demand", "supply", "hour", "direction", "price"]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([kept, *([row[header.index(name)] for name in kept] for row in rows)])
    return path


@pytest.fixture(scope="module")
def run_in_order(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("in-order")
    prices = write_prices(folder / "prices.csv", 400, target="direction")
    return luthier.tune(prices, target="direction", in_order=True, split="70/10/20", out=str(folder / "run"), **QUICK)


def test_the_last_rows_are_held_out_as_they_stand(run_in_order: Run) -> None:
    parts = pq.read_table(run_in_order.folder / "split.parquet").to_pylist()
    assert [row["part"] for row in parts] == ["train"] * 280 + ["validation"] * 40 + ["test"] * 80


def test_the_last_answer_is_on_the_card_and_decides_by_accuracy(run_in_order: Run) -> None:
    metrics, said = run_in_order.metrics, pq.read_table(run_in_order.folder / "predictions.parquet")
    truth = said["target"].to_pylist()
    again = [row == before for row, before in zip(truth[1:], truth, strict=False)]
    share = metrics.test["persistence"]["accuracy"].value * 80
    assert share - sum(again) in (0, 1)  # the first row of test is told the last of validation
    comparison = next(item for item in metrics.comparisons if item.b == "persistence")
    assert comparison.measure == "accuracy"
    assert (metrics.verdict, metrics.recommended) == ("do not keep", "persistence")
    assert "is worse than persistence" in metrics.verdict_reason
    assert "Last answer" in (run_in_order.folder / "report.html").read_text()


def test_numbers_have_a_last_answer_too(tmp_path: Path) -> None:
    prices = write_prices(tmp_path / "prices.csv", 300, target="price")
    run = luthier.tune(prices, target="price", in_order=True, out=str(tmp_path / "run"), **QUICK)
    scores = {name: by_measure["mae"].value for name, by_measure in run.metrics.test.items()}
    assert scores["persistence"] < 1.2 < scores["majority"]
    assert run.metrics.recommended == "persistence"


def test_rows_without_an_order_have_no_last_answer(tmp_path: Path) -> None:
    prices = write_prices(tmp_path / "prices.csv", 200, target="direction")
    metrics = luthier.tune(prices, target="direction", out=str(tmp_path / "run"), **QUICK).metrics
    assert "persistence" not in metrics.test
    assert "persistence" not in metrics.absent


def test_a_column_of_times_and_the_order_of_rows_exclude_each_other(tmp_path: Path) -> None:
    prices = write_prices(tmp_path / "prices.csv", 200, target="direction")
    with pytest.raises(SpecError, match="takes the rows as they stand") as caught:
        luthier.tune(prices, target="direction", in_order=True, time="hour", out=str(tmp_path / "run"))
    assert caught.value.remedy == "leave --in-order out: --time hour"
