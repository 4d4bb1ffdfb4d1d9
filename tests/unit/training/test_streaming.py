"""Evaluation never holds all outputs: memory does not grow with them, and scores are those of all rows at once, to the bit."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from luthier.core import rows as rows_module
from luthier.core.rows import RowBuffer
from luthier.evaluation import bootstrap
from luthier.evaluation.bootstrap import summed_stats
from luthier.evaluation.calibration import best_temperature
from luthier.evaluation.measures import MEASURES
from luthier.evaluation.predictions import classification_predictions, read_predictions, write_predictions
from luthier.evaluation.records import Predictions
from luthier.training import loop
from luthier.training.data import TrainingRows
from luthier.training.fit_settings import FitSettings
from luthier.training.loop import FitResult, predict_rows
from luthier.training.model import TunedModel

DECOMPOSING = ("accuracy", "macro_f1", "macro_precision", "macro_recall", "log_loss", "brier", "mcc")


@pytest.fixture
def said() -> Predictions:
    generator = np.random.default_rng(0)
    probs = generator.dirichlet(np.ones(9), size=3000).astype(np.float32)
    labels = [f"label-{place}" for place in range(9)]
    targets = generator.choice([*labels, "of no model"], size=3000).tolist()
    ids = [f"rows:{row}" for row in range(3000)]
    return classification_predictions(example_ids=ids, targets=targets, probs=probs, labels=labels)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_memory_does_not_grow_with_the_outputs(tmp_path: Path) -> None:
    """Outputs of 240 MB (20,000 rows, 3,000 labels), scored twice, kept, written; they took ten times their size."""
    script = [sys.executable, str(Path(__file__).with_name("scoring.py")), "20000", "3000", str(tmp_path)]
    environment = {**os.environ, "LUTHIER_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(script, capture_output=True, text=True, check=True, env=environment)
    found = json.loads(done.stdout)
    assert found["outputs"] == 240_000_000
    assert found["anonymous"] < 0.6 * found["outputs"], found
    assert list((tmp_path / "cache").iterdir()) == []


def test_outputs_in_a_file_and_outputs_in_memory_are_the_same_bits(
    make_model: Callable[..., TunedModel], part: TrainingRows, settings: FitSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_memory = predict_rows(make_model(), part, settings)
    monkeypatch.setattr(loop, "RowBuffer", lambda num_rows: RowBuffer(num_rows, spill_bytes=0))
    in_a_file = predict_rows(make_model(), part, settings)
    assert in_memory is not None
    assert in_a_file is not None
    assert in_memory.base is None
    assert in_a_file.base is not None
    np.testing.assert_array_equal(in_a_file, in_memory)


def test_a_training_with_outputs_in_a_file_is_the_same_training(
    run: Callable[..., FitResult],
    make_model: Callable[..., TunedModel],
    settings: FitSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = run(make_model(), settings)
    monkeypatch.setattr(loop, "RowBuffer", lambda num_rows: RowBuffer(num_rows, spill_bytes=0))
    found = run(make_model(), settings)
    assert (found.best_step, found.losses, found.scores) == (expected.best_step, expected.losses, expected.scores)
    np.testing.assert_array_equal(found.outputs, expected.outputs)


@pytest.mark.parametrize("name", DECOMPOSING)
def test_sums_in_pieces_are_the_sums_of_all_rows_to_the_bit(
    said: Predictions, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = MEASURES[name]
    expected = measure.stats(said).sum(axis=0)
    monkeypatch.setattr(bootstrap, "_SLICE_ELEMENTS", 4000)
    np.testing.assert_array_equal(summed_stats(measure.stats, said), expected)


def test_the_best_temperature_is_the_same_in_pieces(said: Predictions, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = best_temperature(said)
    monkeypatch.setattr(rows_module, "SLICE_BYTES", 4096)
    assert best_temperature(said) == expected


def test_predictions_written_in_pieces_are_read_whole(
    said: Predictions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow.parquet as pq

    monkeypatch.setattr("luthier.evaluation.predictions.GROUP_BYTES", 20_000)
    write_predictions(tmp_path / "predictions.parquet", said, others={"probe": said})
    assert pq.ParquetFile(tmp_path / "predictions.parquet").num_row_groups > 5
    found = read_predictions(tmp_path / "predictions.parquet")
    assert found["tuned"].table.equals(said.table)
    assert found["probe"].table.equals(said.table)
