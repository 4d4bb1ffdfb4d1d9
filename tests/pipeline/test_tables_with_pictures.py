"""Tables that name pictures in a column, alone or beside texts: from the file to answers."""

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import luthier
from luthier.cli.main import run as command
from luthier.errors import DataError, ModelError
from luthier.features.pictures import load_picture_reader
from luthier.features.table_readers import cost_of_reading
from luthier.models.load import load_backbone
from luthier.models.settings import ModelSettings
from luthier.models.source import resolve_model
from luthier.models.table_processor import ImageModel, TableContent, TableProcessor
from luthier.pipeline import Run
from luthier.testing.folders import tiny_image_model, tiny_text_model

QUICK = {
    "num_epochs": 6, "learning_rate": 3e-3, "batch_size": 8, "threads": 1, "bootstrap_samples": 200, "split": "60/15/25",
    "table_pretraining_epochs": 1, "table_hidden_width": 16, "table_blocks": 2, "preflight": False,
}  # fmt: skip
HEADER = ("photo", "price", "weight", "note", "sold")
NUMBER = 120


def draw(path: Path, *, bright: bool, seed: int) -> None:
    """A picture that is bright with stripes or dark without, with a little noise."""
    pixels = np.random.default_rng(seed).integers(0, 8, (24, 24, 3))
    if bright:
        pixels[::4] += 190
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def write_goods(folder: Path, *, notes: bool = True) -> Path:
    """Goods that are sold if their picture is bright; a file is missing, one is damaged, and one is not named."""
    rng = np.random.default_rng(0)
    rows: list[list[object]] = []
    for place in range(NUMBER):
        bright = place % 2 == 0
        name = f"photos/{place}.png"
        draw(folder / name, bright=bright, seed=place)
        note = f"{('lamp', 'chair', 'desk')[place % 3]} number {place}, {('clean', 'worn')[int(rng.integers(2))]} and used"
        rows.append([name, round(float(rng.gamma(3)), 2), int(rng.integers(1, 90)), note, "yes" if bright else "no"])
    (folder / "photos/4.png").unlink()
    (folder / "photos/6.png").write_bytes((folder / "photos/6.png").read_bytes()[:200])
    rows[8][0] = ""
    kept = [name for name in HEADER if notes or name != "note"]
    return write(folder / "goods.csv", [[row[HEADER.index(name)] for name in kept] for row in rows], kept)


def write(path: Path, rows: Sequence[Sequence[object]], header: Sequence[str] = HEADER) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "table_image_model": str(tiny_image_model(folder / "eyes")),
        "table_text_model": str(tiny_text_model(folder / "words")),
    }


@pytest.fixture(scope="module")
def goods(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_goods(tmp_path_factory.mktemp("goods"))


@pytest.fixture(scope="module")
def picture_run(goods: Path, models: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "goods"
    return luthier.tune(goods, target="sold", method="full", out=str(out), **models, **QUICK)


def decisions(run: Run) -> dict[str, dict[str, object]]:
    lines = (run.folder / "decisions.jsonl").read_text().splitlines()
    return {made["name"]: made for made in map(json.loads, lines)}


def test_a_text_and_a_picture_beside_numbers_are_one_table(picture_run: Run) -> None:
    made = decisions(picture_run)
    assert made["task"]["value"] == "table-classification"
    assert made["features"]["value"] == ["photo", "price", "weight", "note"]
    assert made["preparation"]["evidence"]["columns"]["photo"] == "pictures, read by eyes"
    assert made["preparation"]["evidence"]["columns"]["note"] == "text, read by words"
    assert made["image_model"]["value"] == "eyes"
    assert "reads the column 'photo', one frozen vector for each picture" in made["image_model"]["reason"]


def test_pictures_decide_where_they_tell_the_answer(picture_run: Run) -> None:
    metrics = picture_run.metrics
    assert metrics.test["tuned"]["roc_auc"].value > 0.9
    assert metrics.test["classic"]["roc_auc"].value > 0.9  # the boosted trees see their pixels
    assert next(iter(metrics.importance)) == "photo"


def test_rows_whose_picture_is_missing_or_damaged_are_named_and_stay(picture_run: Run) -> None:
    findings = json.loads((picture_run.folder / "findings.json").read_text())["findings"]
    said = " ".join(finding["problem"] for finding in findings if finding["check"] == "images")
    assert "1 of 120 pictures (0.8 %) of column 'photo' is not there; such cells count as missing" in said
    assert "goods.csv:6" in said
    assert "cut off before the end; such cells count as missing" in said
    assert "goods.csv:8" in said
    kept = pq.read_table(picture_run.folder / "split.parquet")["example_id"].to_pylist()
    assert {"goods.csv:6", "goods.csv:8", "goods.csv:10"} <= set(kept)


def test_the_model_folder_holds_what_reads_its_pictures(picture_run: Run, models: dict[str, str]) -> None:
    assert (picture_run.model_path / "images" / "model.safetensors").is_file()
    assert (picture_run.model_path / "images" / "preprocessor_config.json").is_file()
    base = json.loads((picture_run.model_path / "luthier.json").read_text())["base"]
    assert (base["image_model"], base["image_model_licence"]) == ("eyes", "cc0-1.0")
    assert len(base["image_model_sha256"]) == 64
    assert "Pictures are read by `eyes`, sha256" in (picture_run.model_path / "README.md").read_text()


def test_a_model_that_was_moved_answers_tables_that_name_pictures(
    picture_run: Run, goods: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = shutil.copytree(picture_run.model_path, tmp_path / "moved")
    for place in range(4):
        draw(tmp_path / "new" / f"{place}.png", bright=place % 2 == 0, seed=1000 + place)
    rows = [[f"{place}.png", 3.0, 40, "a lamp", ""] for place in range(4)]
    table = write(tmp_path / "new" / "asked.csv", [*rows, ["gone.png", 3.0, 40, "a lamp", ""]])
    monkeypatch.chdir(tmp_path)
    assert command(["predict", str(moved), str(table), "--out", "answers.csv"]) == 0
    with open("answers.csv", newline="") as file:
        said = list(csv.DictReader(file))
    assert [row["prediction"] for row in said[:4]] == ["yes", "no", "yes", "no"]
    assert said[4]["prediction"] in ("yes", "no")
    assert said[0]["photo"] == "0.png"
    shown = " ".join("".join(capsys.readouterr()).split())
    assert "asked.csv:6" in shown
    assert "gone.png' in column 'photo' is not there" in shown


def test_python_names_the_row_whose_picture_cannot_be_read(picture_run: Run, goods: Path) -> None:
    model = luthier.load_model(picture_run.folder)
    row = {"photo": goods.parent / "photos" / "0.png", "price": 3.0, "weight": 4, "note": None}
    assert model.predict([row, {**row, "photo": None}])[0] == "yes"
    with pytest.raises(DataError, match=r"Row 1: the picture 'nowhere.png' in column 'photo' is not there") as caught:
        model.predict([row, {**row, "photo": "nowhere.png"}])
    assert caught.value.remedy == "correct it, or give None where nothing is known"


def test_the_store_changes_nothing(goods: Path, models: dict[str, str], tmp_path: Path) -> None:
    losses = []
    for store in ("auto", "off"):
        settings = {**QUICK, **models, "method": "top-blocks:1", "store": store, "precision": "float32"}
        run = luthier.tune(goods, target="sold", out=str(tmp_path / store), **settings)
        steps = [json.loads(line) for line in (run.folder / "journal.jsonl").read_text().splitlines()]
        losses.append([step["loss"] for step in steps if "loss" in step])
    assert losses[0]
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-5)


def test_pictures_can_be_left_out_and_need_a_model_otherwise(goods: Path, models: dict[str, str], tmp_path: Path) -> None:
    settings = {**QUICK, "table_text_model": models["table_text_model"], "method": "probe"}
    with pytest.raises(ModelError, match="Pictures are named in the column 'photo', and there is no model") as caught:
        luthier.tune(goods, target="sold", out=str(tmp_path / "none"), **settings)
    assert caught.value.remedy == "--table-image-model FOLDER, or off, which leaves the pictures out"
    run = luthier.tune(goods, target="sold", table_image_model="off", out=str(tmp_path / "off"), **settings)
    assert "photo" not in decisions(run)["preparation"]["evidence"]["columns"]
    assert not (run.model_path / "images").exists()


def test_a_picture_with_only_its_label_stays_a_picture(goods: Path, models: dict[str, str], tmp_path: Path) -> None:
    settings = {name: value for name, value in QUICK.items() if not name.startswith("table_")}
    run = luthier.tune(
        goods,
        target="sold",
        image="photo",
        model=models["table_image_model"],
        method="probe",
        out=str(tmp_path / "x"),
        **settings,
    )
    assert decisions(run)["task"]["value"] == "image-classification"


def test_a_row_written_as_a_sentence_says_nothing_of_its_picture(goods: Path, models: dict[str, str], tmp_path: Path) -> None:
    run = luthier.tune(
        goods,
        target="sold",
        task="table-as-text-classification",
        model=models["table_text_model"],
        method="probe",
        out=str(tmp_path / "run"),
        **{name: value for name, value in QUICK.items() if not name.startswith("table_")},
    )
    assert decisions(run)["features"]["value"] == ["price", "weight", "note"]


def test_what_reading_pictures_cost_is_known_also_when_their_vectors_were_on_disk(goods: Path, models: dict[str, str]) -> None:
    source = resolve_model(ModelSettings(name=models["table_image_model"]), modality="image")
    backbone = load_backbone(source)
    model = ImageModel(
        name="eyes",
        weights_sha256=source.weights_sha256,
        pooling=backbone.layout.pooling,
        width=backbone.width,
        precision="float32",
    )
    costs, vectors = [], []
    for _ in range(2):
        reader = load_picture_reader(Path(models["table_image_model"]), model, device="cpu", keeps=True)
        processor = TableProcessor(TableContent(images=("photo",), image_model=model), image_reader=reader)
        rows = processor.encode(pa.table({"photo": [str(goods.parent / "photos" / f"{place}.png") for place in (0, 1, 0)]}))
        costs.append(cost_of_reading(processor))
        assert rows.pictures is not None
        vectors.append(rows.pictures.vectors)
    assert costs[0] == costs[1]
    assert costs[0].cpu_seconds > 0
    assert np.array_equal(vectors[0], vectors[1])
    assert np.array_equal(vectors[0][0], vectors[0][2])
    alone = load_picture_reader(Path(models["table_image_model"]), model, device="cpu")
    again = alone([str(goods.parent / "photos" / "0.png")]).vectors
    np.testing.assert_allclose(again[0], vectors[0][0, 0], atol=1e-3)  # alone or among others: the same but for rounding
