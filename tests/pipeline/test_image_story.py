"""From a folder of pictures to a tuned model, by the same code as texts."""

import json
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from safetensors.numpy import load_file

import luthier
from luthier.pipeline import Run

from .conftest import make_pictures

SETTINGS = {"num_epochs": 2, "threads": 1, "precision": "float32", "learning_rate": 1e-4, "bootstrap_samples": 200}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train/ and val/, one sub-folder for each class."""
    folder = tmp_path_factory.mktemp("shapes")
    make_pictures(folder / "train", 90, seed=0)
    make_pictures(folder / "val", 45, seed=1)
    return folder


@pytest.fixture(scope="module")
def run(pictures: Path, image_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "shapes"
    return luthier.tune(pictures, model=str(image_model), out=str(out), method="full", **SETTINGS)


def test_two_folders_are_train_and_held_out_test(run: Run) -> None:
    split = parquet.read_table(run.folder / "split.parquet").to_pylist()
    parts = {row["example_id"]: row["part"] for row in split}
    assert {part for name, part in parts.items() if name.startswith("val/")} == {"test"}
    assert {part for name, part in parts.items() if name.startswith("train/")} == {"train", "validation"}
    assert run.metrics.n == 45


def test_pictures_become_a_model_that_beats_chance(run: Run) -> None:
    test = run.metrics.test
    assert test["tuned"]["accuracy"].low > test["majority"]["accuracy"].high
    assert {"majority", "classic", "pretrained", "probe", "tuned"} == set(test)


def test_the_model_answers_for_files(run: Run, tmp_path: Path) -> None:
    make_pictures(tmp_path, 30, seed=7)
    files = sorted(tmp_path.rglob("*.png"))
    answers = luthier.load_model(run.folder).predict(files)
    assert np.mean([answer == file.parent.name for answer, file in zip(answers, files, strict=True)]) > 0.6


def test_frozen_statistics_of_batch_norms_do_not_move(run: Run, image_model: Path) -> None:
    before, after = load_file(image_model / "model.safetensors"), load_file(run.model_path / "model.safetensors")
    running = [name for name in before if name.endswith(("running_mean", "running_var"))]
    assert running
    assert all(np.array_equal(before[name], after[name]) for name in running)
    weights = [name for name in before if name.endswith("convolution.weight")]
    assert not any(np.array_equal(before[name], after[name]) for name in weights)


def test_a_folder_without_a_split_is_cut_in_three(image_model: Path, tmp_path: Path) -> None:
    make_pictures(tmp_path / "shapes", 60, seed=2)
    run = luthier.tune(tmp_path / "shapes", model=str(image_model), out=str(tmp_path / "run"), method="probe", **SETTINGS)
    findings = json.loads((run.folder / "findings.json").read_text())
    assert findings["data"]["parts"] == {"train": 48, "validation": 6, "test": 6}
    assert set(findings["data"]["class_counts"]) == {"circle", "cross", "stripes"}


def test_a_table_of_paths_is_the_same_task(image_model: Path, tmp_path: Path) -> None:
    make_pictures(tmp_path / "files", 60, seed=2)
    rows = [f"{path.relative_to(tmp_path)},{path.parent.name}" for path in sorted((tmp_path / "files").rglob("*.png"))]
    (tmp_path / "shapes.csv").write_text("\n".join(["photo,shape", *rows]))
    out = tmp_path / "run"
    run = luthier.tune(
        tmp_path / "shapes.csv", target="shape", model=str(image_model), out=str(out), method="probe", **SETTINGS
    )
    assert luthier.load_spec(out / "spec.yaml").data.image == "photo"
    assert run.metrics.task == "image-classification"


def test_unreadable_pictures_of_a_given_test_part_are_not_scored(pictures: Path, image_model: Path, tmp_path: Path) -> None:
    for name in ("train", "val"):
        (tmp_path / "shapes" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "shapes" / name).symlink_to(pictures / name)
    make_pictures(tmp_path / "test", 12, seed=5)
    (tmp_path / "test" / "circle" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    sources = {"train": str(pictures / "train"), "test": str(tmp_path / "test")}
    run = luthier.tune([], model=str(image_model), out=str(tmp_path / "run"), method="probe", **sources, **SETTINGS)
    assert run.metrics.n == 12
    findings = json.loads((run.folder / "findings.json").read_text())["findings"]
    assert any("circle/broken.png" in finding["problem"] for finding in findings)


@pytest.mark.shared_data
def test_hymenoptera_is_told_apart_by_a_probe(shared: Path, tmp_path: Path) -> None:
    source, model = shared / "data" / "hymenoptera", shared / "weights" / "mobilenet_v2_hf"
    settings = {"method": "probe", "threads": 1, "bootstrap_samples": 200}
    run = luthier.tune(source, model=str(model), out=str(tmp_path / "run"), **settings)
    assert run.metrics.test["tuned"]["accuracy"].value > 0.9
