"""What is served is what was measured: the saved model gives the answers that the scores are made of."""

from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

import luthier
from luthier.pipeline import Run
from luthier.training.device import cpu_has_bfloat16

from .conftest import TEXT_RUN


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def run(request: pytest.FixtureRequest, tickets: Path, text_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    if request.param == "bfloat16" and not cpu_has_bfloat16():
        pytest.skip("this processor does not compute in bfloat16")
    settings = TEXT_RUN | {"precision": request.param, "method": "full"}
    out = tmp_path_factory.mktemp(request.param) / "run"
    return luthier.tune(tickets, target="topic", model=str(text_model), out=str(out), **settings)


@pytest.fixture(scope="module")
def measured(run: Run, tickets: Path) -> tuple[list[str], np.ndarray]:
    """Texts of the test part, and the probabilities that were scored."""
    lines = tickets.read_text(encoding="utf-8").splitlines()
    rows = parquet.read_table(run.folder / "predictions.parquet").to_pylist()
    texts = [lines[int(row["example_id"].rpartition(":")[2]) - 1].rpartition(",")[0] for row in rows]
    return texts, np.array([row["probs"] for row in rows])


@pytest.mark.parametrize("at_once", [1, 7, 30])
def test_the_batch_does_not_matter(at_once: int, run: Run, measured: tuple[list[str], np.ndarray]) -> None:
    texts, probs = measured
    model = luthier.load_model(run.folder, device="cpu")
    parts = [model.predict_probs(texts[start : start + at_once]) for start in range(0, len(texts), at_once)]
    difference = np.abs(np.concatenate(parts) - probs).max()
    assert model.precision == luthier.load_spec(run.folder / "spec.yaml").training.precision
    assert difference < (1e-5 if model.precision == "float32" else 0.03)  # bfloat16 has 8 bits: 1/256 at each step


def test_the_scored_answers_come_from_the_saved_file(run: Run, measured: tuple[list[str], np.ndarray]) -> None:
    """Another weight in the file gives other answers: nothing is kept aside."""
    from safetensors.numpy import load_file, save_file

    path = run.model_path / "head.safetensors"
    whole = path.read_bytes()
    weights = load_file(path)
    save_file(weights | {"linear.bias": weights["linear.bias"] + np.array([9, 0, 0], dtype=np.float32)}, path)
    try:
        assert set(luthier.load_model(run.folder).predict(measured[0])) == {"billing"}
    finally:
        path.write_bytes(whole)


def test_accuracy_of_the_served_answers_is_the_one_on_the_card(run: Run, measured: tuple[list[str], np.ndarray]) -> None:
    targets = parquet.read_table(run.folder / "predictions.parquet").column("target").to_pylist()
    answers = luthier.load_model(run.folder, device="cpu").predict(measured[0])
    served = np.mean([answer == target for answer, target in zip(answers, targets, strict=True)])
    assert served == pytest.approx(run.metrics.test["tuned"]["accuracy"].value)
