"""What a run leaves behind: exactly these files, numbers that can be computed again, a manifest that finds every change."""

import io
import json
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from sklearn.metrics import f1_score

import luthier
from luthier.core.manifest import verify_manifest
from luthier.errors import ResourceError, UsageError
from luthier.pipeline import Run

from .conftest import TEXT_RUN

RECORDS = {
    "spec.yaml",
    "decisions.jsonl",
    "findings.json",
    "split.parquet",
    "journal.jsonl",
    "predictions.parquet",
    "metrics.json",
    "report.html",
    "manifest.json",
}
MODEL = {
    "README.md",
    "config.json",
    "head.safetensors",
    "luthier.json",
    "model.safetensors",
    "processor.json",
    "tokenizer.json",
    "tokenizer_config.json",
}


@pytest.fixture
def copy(text_run: Run, tmp_path: Path) -> Path:
    return Path(shutil.copytree(text_run.folder, tmp_path / "copy"))


def test_a_run_leaves_these_files_and_no_others(text_run: Run) -> None:
    found = {path.relative_to(text_run.folder).as_posix() for path in text_run.folder.rglob("*") if path.is_file()}
    assert found == RECORDS | {f"model/{name}" for name in MODEL}


def test_every_file_may_be_read_by_others(text_run: Run) -> None:
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in text_run.folder.rglob("*") if path.is_file())


def test_no_file_is_a_pickle(text_run: Run) -> None:
    for path in (path for path in text_run.folder.rglob("*") if path.is_file()):
        with pytest.raises((pickle.UnpicklingError, ValueError, KeyError, IndexError, EOFError)):
            NothingAllowed(io.BytesIO(path.read_bytes())).load()
        assert not zipfile.is_zipfile(path)  # what torch.save and numpy.savez write


class NothingAllowed(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        raise AssertionError(f"a file asks for {module}.{name}")


def test_the_manifest_verifies_and_names_what_changed(copy: Path) -> None:
    assert verify_manifest(copy) == []
    weights = copy / "model" / "head.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    (copy / "report.html").unlink()
    (copy / "model" / "extra.bin").write_bytes(b"x")
    damages = {damage.path: damage.what for damage in verify_manifest(copy)}
    assert set(damages) == {"model/head.safetensors", "report.html", "model/extra.bin"}
    assert "sha256" in damages["model/head.safetensors"]


def test_the_scores_can_be_computed_again_from_the_predictions(text_run: Run) -> None:
    table = parquet.read_table(text_run.folder / "predictions.parquet")
    metrics = json.loads((text_run.folder / "metrics.json").read_text(encoding="utf-8"))
    target, prediction = (np.array(table.column(name).to_pylist()) for name in ("target", "prediction"))
    tuned = metrics["test"]["tuned"]
    assert metrics["n"] == len(target) == 30
    assert tuned["accuracy"]["value"] == pytest.approx(np.mean(target == prediction))
    expected = f1_score(target, prediction, average="macro")
    assert tuned["macro_f1"]["value"] == pytest.approx(expected)
    probs = np.array(table.column("probs").to_pylist())
    assert np.array_equal(np.array(metrics["labels"])[probs.argmax(1)], prediction)
    place = [metrics["labels"].index(label) for label in target]
    assert tuned["log_loss"]["value"] == pytest.approx(-np.mean(np.log(probs[np.arange(30), place])), rel=1e-4)


def test_the_test_rows_are_those_of_the_split(text_run: Run) -> None:
    split = parquet.read_table(text_run.folder / "split.parquet").to_pylist()
    test = [row["example_id"] for row in split if row["part"] == "test"]
    assert sorted(parquet.read_table(text_run.folder / "predictions.parquet").column("example_id").to_pylist()) == sorted(test)
    assert len(split) == len({row["example_id"] for row in split}) == 300


def test_a_folder_in_use_is_refused_and_a_run_is_replaced_only_when_asked(
    copy: Path, tickets: Path, text_model: Path, tmp_path: Path
) -> None:
    settings = {**TEXT_RUN, "target": "topic", "model": str(text_model), "method": "probe"}
    with pytest.raises(UsageError, match=r"already holds an earlier run\.\n  Try: --out .*-2, or --overwrite"):
        luthier.tune(tickets, out=str(copy), **settings)
    assert verify_manifest(copy) == []
    other = tmp_path / "photos"
    other.mkdir()
    (other / "holiday.jpg").write_bytes(b"dear to somebody")
    with pytest.raises(UsageError, match="already holds other files"):
        luthier.tune(tickets, out=str(other), overwrite=True, **settings)
    assert (other / "holiday.jpg").exists()
    with pytest.raises(UsageError, match=r"holiday\.jpg is a file; a run needs a folder"):
        luthier.tune(tickets, out=str(other / "holiday.jpg"), **settings)
    with pytest.raises(ResourceError, match=r"Cannot write /proc/run: .* free there\)"):
        luthier.tune(tickets, out="/proc/run", **settings)
    luthier.tune(tickets, out=str(copy), overwrite=True, **settings)
    assert verify_manifest(copy) == []
    assert "method: probe" in (copy / "spec.yaml").read_text()
    with pytest.raises(UsageError, match="already holds an earlier run"):  # leave to overwrite was given once
        luthier.tune(luthier.load_spec(copy / "spec.yaml"))


def test_masked_examples_show_no_addresses(text_model: Path, tmp_path: Path) -> None:
    from .conftest import make_texts, write_csv

    rows = [(f"{text} mail jo{place}@example.org", label) for place, (text, label) in enumerate(make_texts(120))]
    source = write_csv(tmp_path / "mails.csv", rows)
    settings = {**TEXT_RUN, "target": "topic", "model": str(text_model), "method": "probe"}
    masked = luthier.tune(source, out=str(tmp_path / "auto"), **settings)
    page = (masked.folder / "report.html").read_text(encoding="utf-8")
    assert "@example.org" not in page
    assert "mail ███" in page
    full = luthier.tune(source, out=str(tmp_path / "full"), examples="full", **settings)
    assert "@example.org" in (full.folder / "report.html").read_text(encoding="utf-8")
    for path in masked.folder.rglob("*"):
        if path.is_file() and path.suffix in (".json", ".jsonl", ".md", ".html"):
            assert "@example.org" not in path.read_text(encoding="utf-8"), path
