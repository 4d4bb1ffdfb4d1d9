"""Confident mistakes, and confusion matrices cut to size."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.evaluation.predictions import classification_predictions, write_predictions
from luthier.report.mistakes import ALL_OTHERS, heat_map, read_mistakes


def test_mistakes_come_with_the_most_confident_first(tmp_path: Path) -> None:
    probs = np.array([[0.9, 0.1], [0.2, 0.8], [0.05, 0.95], [0.4, 0.6]])
    said = classification_predictions(
        example_ids=["x:1", "x:2", "x:3", "x:4"], targets=["a", "a", "a", "cow"], probs=probs, labels=["a", "b"]
    )
    write_predictions(tmp_path / "predictions.parquet", said)
    mistakes = read_mistakes(tmp_path / "predictions.parquet")
    assert [mistake.example_id for mistake in mistakes] == ["x:3", "x:2", "x:4"]
    assert np.isclose(mistakes[0].confidence or 0, 0.95)
    assert np.isclose(mistakes[0].target_confidence or 0, 0.05)
    assert mistakes[2].target_confidence is None  # a label the model never saw


def test_at_most_the_wished_number_is_read(tickets: Path) -> None:
    path = tickets / "predictions.parquet"
    table = pq.read_table(path)
    wrong = sum(t != p for t, p in zip(table["target"].to_pylist(), table["prediction"].to_pylist(), strict=True))
    assert len(read_mistakes(path, most=5)) == 5
    assert len(read_mistakes(path, most=10**6)) == wrong


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 12), st.integers(1, 12), st.integers(0, 2**31))
def test_rows_of_a_cut_heat_map_keep_their_sums(num_labels: int, most: int, seed: int) -> None:
    matrix = np.random.default_rng(seed).integers(0, 5, (num_labels, num_labels))
    labels = [str(number) for number in range(num_labels)]
    heat = heat_map(matrix.tolist(), labels, most=most)
    assert len(heat.rows) == min(most, num_labels)
    for label, counts in heat.rows:
        assert sum(counts) == matrix[int(label)].sum()
        assert len(counts) == len(heat.columns)
        assert counts[heat.columns.index(label)] == matrix[int(label), int(label)]
    assert (heat.columns[-1] == ALL_OTHERS) == (num_labels > most)


def test_a_cut_heat_map_shows_the_worst_pair_side_by_side() -> None:
    matrix = np.diag([9, 9, 9, 9, 9])
    matrix[4, 1] = 6
    matrix[0, 2] = 3
    heat = heat_map(matrix.tolist(), list("abcde"), most=4)
    assert heat.columns == ("b", "e", "a", "c", ALL_OTHERS)
