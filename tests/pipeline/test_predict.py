"""Answers beside rows: every format in and out, the order kept, damaged rows counted, memory constant."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars
import pyarrow as pa
import pytest
from pyarrow import csv as arrow_csv
from pyarrow import parquet

import luthier
from luthier.cli.main import run as command
from luthier.errors import DataError, SpecError
from luthier.package.predict import predict_source
from luthier.pipeline import Run

from .conftest import make_pictures, make_texts, write_csv

TEXTS = [text for text, _ in make_texts(50, seed=11)]


@pytest.fixture(scope="module")
def picture_run(image_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("pictures")
    make_pictures(folder / "shapes", 60)
    settings = {"method": "probe", "threads": 1, "precision": "float32", "bootstrap_samples": 200}
    return luthier.tune(folder / "shapes", model=str(image_model), out=str(folder / "run"), **settings)


@pytest.fixture
def expected(text_run: Run) -> list[str]:
    return luthier.load_model(text_run.folder).predict(TEXTS)


def write(path: Path, table: pa.Table) -> Path:
    match path.suffix:
        case ".csv" | ".tsv":
            arrow_csv.write_csv(table, path, arrow_csv.WriteOptions(delimiter="\t" if path.suffix == ".tsv" else ","))
        case ".jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
        case _:
            parquet.write_table(table, path)
    return path


def read(path: Path) -> polars.DataFrame:
    match path.suffix:
        case ".jsonl":
            return polars.read_ndjson(path)
        case ".parquet":
            return polars.read_parquet(path)
        case _:
            return polars.read_csv(path, separator="\t" if path.suffix == ".tsv" else ",")


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_format_comes_in_and_goes_out(suffix: str, text_run: Run, expected: list[str], tmp_path: Path) -> None:
    table = pa.table({"number": list(range(50)), "message": TEXTS, "note": ['é, "quoted"'] * 50})
    source = write(tmp_path / f"new{suffix}", table)
    summary = predict_source(text_run.folder, source, out=tmp_path / f"answers{suffix}")
    answers = read(tmp_path / f"answers{suffix}")
    assert answers.columns == ["number", "message", "note", "prediction", "confidence"]
    assert answers["prediction"].to_list() == expected
    assert [int(number) for number in answers["number"]] == list(range(50))  # JSON numbers are read as text
    assert answers["message"].to_list() == TEXTS
    assert set(answers["note"]) == {'é, "quoted"'}
    assert (summary.rows, summary.faults, summary.out) == (50, 0, str(tmp_path / f"answers{suffix}"))


def test_probabilities_are_columns_named_after_the_labels(text_run: Run, tmp_path: Path) -> None:
    source = write(tmp_path / "new.csv", pa.table({"message": TEXTS}))
    predict_source(text_run.folder, source, out=tmp_path / "answers.parquet", probs=True)
    answers = read(tmp_path / "answers.parquet")
    names = ["prob_billing", "prob_delivery", "prob_device"]
    assert answers.columns == ["message", "prediction", "confidence", *names]
    probs = answers.select(names).to_numpy()
    assert np.allclose(probs.sum(axis=1), 1, atol=1e-5)
    assert np.allclose(probs.max(axis=1), answers["confidence"].to_numpy())


def test_answers_are_those_of_the_evaluation(text_run: Run, tickets: Path, tmp_path: Path) -> None:
    predict_source(text_run.folder, tickets, out=tmp_path / "all.csv", probs=True)
    answers = read(tmp_path / "all.csv")
    measured = parquet.read_table(text_run.folder / "predictions.parquet").to_pylist()
    rows = [int(row["example_id"].rpartition(":")[2]) - 2 for row in measured]  # the header is line 1
    assert [answers["prediction"][row] for row in rows] == [row["prediction"] for row in measured]
    probs = answers.select("prob_billing", "prob_delivery", "prob_device").to_numpy()[rows]
    assert np.allclose(probs, [row["probs"] for row in measured], atol=1e-4)


def test_damaged_rows_are_answered_and_counted(text_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["number,message", "1,a late parcel", "2", "3,my refund,too,many", "4,", '5,"battery, broken"', "6,caf\xe9 screen"]
    source = tmp_path / "new.csv"
    source.write_bytes("\n".join(lines).encode("latin-1"))
    summary = predict_source(text_run.folder, source, out=tmp_path / "answers.csv")
    answers = read(tmp_path / "answers.csv")
    assert answers["number"].to_list() == [1, 2, 3, 4, 5, 6]
    assert answers["prediction"].null_count() == 0
    assert (summary.rows, summary.unanswered) == (6, 0)
    assert summary.faults >= 2
    assert any(example.startswith("new.csv:3: ") for example in summary.examples)
    assert command(["predict", str(text_run.folder), str(source), "--out", str(tmp_path / "again.csv")]) == 0
    told = capsys.readouterr()
    assert "damaged" in told.out + told.err
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "answers.csv").read_bytes()


def test_a_column_that_is_taken_gets_another_name(text_run: Run, tmp_path: Path) -> None:
    source = write(tmp_path / "new.csv", pa.table({"message": TEXTS, "prediction": ["mine"] * 50}))
    predict_source(text_run.folder, source, out=tmp_path / "answers.csv")
    answers = read(tmp_path / "answers.csv")
    assert answers.columns == ["message", "prediction", "model_prediction", "confidence"]
    assert set(answers["prediction"]) == {"mine"}


def test_a_column_of_another_name_is_asked_for(text_run: Run, expected: list[str], tmp_path: Path) -> None:
    source = write(tmp_path / "new.csv", pa.table({"mesage": TEXTS, "number": list(range(50))}))
    with pytest.raises(
        DataError, match=r"reads texts from the column 'message'; .* has 'mesage', 'number'\.\n  Try: --text mesage"
    ):
        predict_source(text_run.folder, source, out=tmp_path / "answers.csv")
    assert not (tmp_path / "answers.csv").exists()
    predict_source(text_run.folder, source, out=tmp_path / "answers.csv", text="mesage")
    assert read(tmp_path / "answers.csv")["prediction"].to_list() == expected


def test_answers_go_to_stdout_and_nothing_else_does(text_run: Run, expected: list[str], tmp_path: Path) -> None:
    source = write(tmp_path / "new.csv", pa.table({"message": TEXTS}))
    done = subprocess.run(
        [sys.executable, "-m", "luthier", "predict", str(text_run.folder), str(source)], capture_output=True, check=True
    )
    rows = list(csv.DictReader(done.stdout.decode().splitlines()))
    assert [row["prediction"] for row in rows] == expected


def test_the_source_is_never_replaced(text_run: Run, tmp_path: Path) -> None:
    source = write(tmp_path / "new.csv", pa.table({"message": TEXTS}))
    before = source.read_bytes()
    with pytest.raises(SpecError, match=r"is the source; it would be replaced\.\n  Try: --out .*new-answers\.csv"):
        predict_source(text_run.folder, source, out=tmp_path / "x" / ".." / "new.csv" if (tmp_path / "x").exists() else source)
    assert source.read_bytes() == before
    with pytest.raises(SpecError, match=r"Cannot write '\.xlsx' files\. Known: \.csv, .*\n  Try: --out .*answers\.csv"):
        predict_source(text_run.folder, source, out=tmp_path / "answers.xlsx")


def test_a_folder_of_pictures_is_answered_file_by_file(picture_run: Run, tmp_path: Path) -> None:
    make_pictures(tmp_path / "new", 9, seed=4)
    (tmp_path / "new" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    summary = predict_source(picture_run.folder, tmp_path / "new", out=tmp_path / "answers.csv")
    answers = read(tmp_path / "answers.csv")
    assert answers.columns == ["image", "prediction", "confidence"]
    assert Path(answers["image"][0]).name == "broken.png"
    assert answers["prediction"].is_null().to_list() == [True] + [False] * 9
    assert (summary.rows, summary.faults, summary.unanswered) == (10, 1, 1)
    assert "broken.png" in summary.examples[0]


def test_a_table_of_pictures_keeps_rows_that_cannot_be_read(picture_run: Run, tmp_path: Path) -> None:
    make_pictures(tmp_path / "new", 3, seed=4)
    names = [str(path.relative_to(tmp_path)) for path in sorted((tmp_path / "new").rglob("*.png"))]
    rows = [names[0], "new/gone.png", names[1], "", str(tmp_path / names[2])]
    write_csv(tmp_path / "new.csv", [(row, "x") for row in rows], header="image,note")
    summary = predict_source(picture_run.folder, tmp_path / "new.csv", out=tmp_path / "answers.jsonl", probs=True)
    answers = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [answer["prediction"] is None for answer in answers] == [False, True, False, True, False]
    assert [answer["prob_circle"] is None for answer in answers] == [False, True, False, True, False]
    assert summary.unanswered == 2
    assert "new.csv:3: there is no such file" in summary.examples
    model = luthier.load_model(picture_run.folder)
    with pytest.raises(DataError, match=r"gone\.png: there is no such file\.\n  Try: leave it out"):
        model.predict(["new/gone.png"])


def test_one_picture_is_a_source(picture_run: Run, tmp_path: Path) -> None:
    make_pictures(tmp_path, 1, seed=4)
    picture = next(tmp_path.rglob("*.png"))
    assert predict_source(picture_run.folder, picture, out=tmp_path / "answers.csv").rows == 1


def test_pictures_are_nothing_for_a_model_of_texts(text_run: Run, picture_run: Run, tmp_path: Path) -> None:
    make_pictures(tmp_path / "new", 3)
    with pytest.raises(DataError, match=r"The model reads texts; .* holds pictures\.\n  Try: name a table"):
        predict_source(text_run.folder, tmp_path / "new", out=tmp_path / "answers.csv")
    source = write(tmp_path / "new.csv", pa.table({"message": TEXTS, "number": list(range(50))}))
    with pytest.raises(
        DataError, match=r"reads images from the column 'image'; .*\n  Try: --text COLUMN, the one that holds the paths"
    ):
        predict_source(picture_run.folder, source, out=tmp_path / "answers.csv")


def test_memory_does_not_grow_with_the_rows(text_run: Run, tmp_path: Path) -> None:
    """200,000 rows take hardly more memory than 10,000: their text alone would be 40 MB in and 50 MB out."""
    code = (
        "import sys, torch; torch.set_num_threads(1)\n"
        "from luthier.core.process import peak_memory_bytes\n"
        "from luthier.package.predict import predict_source\n"
        "from pathlib import Path\n"
        f"folder, place = Path({str(text_run.folder)!r}), Path({str(tmp_path)!r})\n"
        "predict_source(folder, place / 'few.csv', out=place / 'out.csv')\n"
        "before = peak_memory_bytes()\n"
        "done = predict_source(folder, place / 'many.csv', out=place / 'out.parquet')\n"
        "print(done.rows, (peak_memory_bytes() - before) >> 20)\n"
    )
    pad = "x" * 180
    for name, number in (("few.csv", 10_000), ("many.csv", 200_000)):
        write_csv(tmp_path / name, [("my late parcel", f"{row}{pad}") for row in range(number)], header="message,note")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rows, grown = map(int, done.stdout.split())
    assert rows == 200_000
    assert grown < 45
    assert parquet.read_metadata(tmp_path / "out.parquet").num_rows == 200_000
