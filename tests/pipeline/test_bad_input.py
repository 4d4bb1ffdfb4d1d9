"""What wrong input gets, on the real command path: exit code 2, what was found, what to type, nothing half-written."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from luthier.cli.main import run as command

from .conftest import make_pictures, make_texts, write_csv

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def told(capsys: Capture, tmp_path: Path, text_model: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs `luthier tune` on something in a folder of its own; returns the exit code and everything on stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path, model: Path = text_model, code: int = 2) -> str:
        capsys.readouterr()
        words = ["tune", *map(str, arguments), "--model", str(model), "--out", "run", "--threads", "1"]
        assert command(words) == code
        assert not (tmp_path / "run").exists()
        message = capsys.readouterr().err
        assert message.startswith("Error: ")
        assert "\n  Try: " in message or "\n     Try: " in message
        assert "Traceback" not in message
        return " ".join(message.split())

    return run


ROWS = make_texts(60)


def test_a_missing_file_names_the_nearest(told, tmp_path: Path) -> None:
    write_csv(tmp_path / "tickets.csv", ROWS)
    message = told("tikcets.csv", "--target", "topic")
    assert "There is no tikcets.csv. Did you mean 'tickets.csv'?" in message


def test_an_empty_file(told, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    assert "empty.csv is empty (0 bytes)" in told("empty.csv")
    (tmp_path / "header.csv").write_text("message,topic\n")
    assert "has a header (message, topic) but no rows" in told("header.csv", "--target", "topic")


def test_all_files_of_a_source_are_judged_together(told, tmp_path: Path) -> None:
    (tmp_path / "train.csv").touch()
    (tmp_path / "test.csv").write_bytes(b"PAR1 and so on")
    message = told("--train", "train.csv", "--test", "test.csv")
    assert "2 problems" in message
    assert "train.csv is empty" in message
    assert "test.csv is a Parquet file" in message


def test_a_wrong_delimiter(told, tmp_path: Path) -> None:
    write_csv(tmp_path / "tickets.csv", ROWS)
    message = told("tickets.csv", "--target", "topic", "--delimiter", ";")
    assert "With --delimiter ';', tickets.csv has a single column; with ',' it has 2. Try: --delimiter ','" in message


def test_ragged_rows_are_named_by_line_and_stop_only_when_asked(told, tmp_path: Path) -> None:
    lines = ["message,topic", *(f"{text},{label}" for text, label in ROWS)]
    lines[10] += ",more,cells"
    lines[20] = "no label here"
    (tmp_path / "tickets.csv").write_text("\n".join(lines))
    message = told("tickets.csv", "--target", "topic", "--bad-rows", "error")
    assert "11" in message
    assert "21" in message
    assert "--bad-rows drop" in message or "--bad-rows" in message


def test_a_missing_label_column_lists_the_columns(told, tmp_path: Path) -> None:
    write_csv(tmp_path / "tickets.csv", ROWS)
    message = told("tickets.csv", "--target", "topics")
    assert "topics" in message
    assert "Did you mean 'topic'?" in message or "--target topic" in message
    assert "message" in message


def test_no_column_that_could_be_a_label(told, tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("\n".join(["message", *(text for text, _ in ROWS)]))
    assert "--target" in told("texts.csv")


def test_one_class_only(told, tmp_path: Path) -> None:
    write_csv(tmp_path / "tickets.csv", [(text, "billing") for text, _ in ROWS])
    message = told("tickets.csv", "--target", "topic")
    assert "billing" in message
    assert "at least two classes" in message or "constant" in message or "same value" in message


def test_a_class_with_one_row(told, tmp_path: Path) -> None:
    write_csv(tmp_path / "tickets.csv", [*ROWS, ("something rare happened", "rare")])
    message = told("tickets.csv", "--target", "topic")
    assert "('rare'): it can be learnt from or scored, not both. Row: tickets.csv:62." in message
    assert "--rare-classes drop" in message


def test_labels_that_train_does_not_know(told, tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", ROWS)
    write_csv(tmp_path / "test.csv", [(text, f"the_{label}") for text, label in make_texts(30, seed=5)])
    message = told("--train", "train.csv", "--test", "test.csv", "--target", "topic")
    assert "have labels that train does not know" in message
    assert "the_billing" in message


def test_texts_that_are_all_empty(told, tmp_path: Path) -> None:
    write_csv(tmp_path / "tickets.csv", [("", label) for _, label in ROWS])
    message = told("tickets.csv", "--target", "topic")
    assert "message" in message or "text" in message


def test_a_validation_part_that_cannot_be_scored(told, tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", ROWS)
    write_csv(tmp_path / "test.csv", make_texts(30, seed=5))
    write_csv(tmp_path / "validation.csv", [(text, "") for text, _ in make_texts(5, seed=6)])
    message = told("--train", "train.csv", "--validation", "validation.csv", "--test", "test.csv", "--target", "topic")
    assert "validation" in message


def test_too_few_rows_for_three_parts(told, tmp_path: Path) -> None:
    write_csv(tmp_path / "tickets.csv", [("one parcel", "a"), ("two parcels", "b")])
    message = told("tickets.csv", "--target", "topic", "--text", "message")
    assert "rows" in message or "row" in message


def test_misspelt_flags_come_together_with_their_nearest(told) -> None:
    message = told("tickets.csv", "--traget", "topic", "--leaning-rate", "1e-3")
    assert "2 problems" in message
    assert "Did you mean '--target'?" in message
    assert "Did you mean '--learning-rate'?" in message


def test_misspelt_keys_and_wrong_values_of_a_spec_come_together(told, tmp_path: Path) -> None:
    lines = ["sources: [tickets.csv]", "training:", "  num_epoch: 3", "  patience: none at all", "data:", "  targt: topic"]
    (tmp_path / "spec.yaml").write_text("\n".join(lines))
    message = told("spec.yaml")
    assert "3 problems" in message
    assert "spec.yaml, line 3: Unknown key 'training.num_epoch'. Did you mean 'training.num_epochs'?" in message
    assert "line 4" in message
    assert "Did you mean 'data.target'?" in message


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("--method", "loar"), "--method is 'loar'; expected auto, bitfit, "),
        (("--method", "top-blocks:9"), "K must be from 1 to 2"),
        (("--method", "full:3"), "takes no argument"),
        (("--split", "80/20"), "takes three percentages"),
        (("--schedule", "linaer"), "Did you mean 'linear'?"),
        (("--head-width", "64"), "--head-width 64 would change nothing: a head of one layer has no hidden layers"),
        (("--cutmix", "1"), "CutMix pastes a piece of one picture into another, and the data are text"),
        (("--loss", "focall"), "--loss is 'focall'; expected auto, cross-entropy or focal"),
        (("--loss", "focal:-1"), "The loss focal takes a gamma of 0 or more; found '-1'"),
        (("--class-weights", "balanced", "--sampling", "balanced"), "both undo imbalance"),
        (("--head-pooling", "maen"), "--head-pooling is 'maen'; expected auto, mean"),
        (("--task", "text-clasification"), "Did you mean 'text-classification'?"),
        (("--device", "cuda:7"), "this machine has"),
        (("--precision", "float8"), "float32"),
        (("--group", "usr"), "usr"),
        (("--time", "whn"), "whn"),
        (("--image", "message"), "All 60 pictures of tickets (all) are not there"),
        (("--max-length", "1"), "--max-length"),
        (("--learning-rate", "-1"), "--learning-rate"),
    ],
)
def test_values_that_mean_nothing(flags: Sequence[str], expected: str, told, tmp_path: Path) -> None:
    write_csv(tmp_path / "tickets.csv", ROWS)
    assert expected in told("tickets.csv", "--target", "topic", *flags)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("minilmm", "Did you mean 'minilm'?"),
        ("./nowhere", "There is no folder ./nowhere"),
        ("tickets.csv", "is a file; a model is a folder"),
        (".", "it is not a Hugging Face model folder"),
    ],
)
def test_models_that_are_none(model: str, expected: str, told, tmp_path: Path) -> None:
    write_csv(tmp_path / "tickets.csv", ROWS)
    assert expected in told("tickets.csv", "--target", "topic", model=model)


def test_pictures_that_cannot_be_read(told, tmp_path: Path, image_model: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for number in range(5):
            (tmp_path / "pets" / label / f"{number}.jpg").write_bytes(b"no picture at all")
    message = told("pets", model=image_model)
    assert "not readable as pictures" in message
    assert "cat/0.jpg" in message


def test_a_huge_picture_is_left_out_unread(image_model: Path, tmp_path: Path, capsys: Capture) -> None:
    from PIL import Image

    make_pictures(tmp_path / "shapes", 36)
    Image.new("L", (9000, 7000)).save(tmp_path / "shapes" / "circle" / "huge.png")
    words = ["tune", str(tmp_path / "shapes"), "--model", str(image_model), "--out", str(tmp_path / "run"), "--method", "probe"]
    assert command([*words, "--threads", "1"]) in (0, 3)
    findings = json.loads((tmp_path / "run" / "findings.json").read_text())
    assert any(
        "circle/huge.png" in finding["problem"] and "megapixels" in finding["problem"] for finding in findings["findings"]
    )
    assert sum(findings["data"]["parts"].values()) == 36


def test_bad_utf8_is_reported_and_the_rest_is_used(text_model: Path, tmp_path: Path, capsys: Capture) -> None:
    content = write_csv(tmp_path / "tickets.csv", make_texts(120)).read_bytes().splitlines()
    content[6] = b"caf\xe9 bill came twice,billing"
    (tmp_path / "tickets.csv").write_bytes(b"\n".join(content))
    words = ["tune", str(tmp_path / "tickets.csv"), "--target", "topic", "--model", str(text_model), "--method", "probe"]
    assert command([*words, "--threads", "1", "--out", str(tmp_path / "run")]) in (0, 3)
    findings = json.loads((tmp_path / "run" / "findings.json").read_text())["findings"]
    assert any("UTF-8" in finding["problem"] and "7" in finding["problem"] for finding in findings)


def test_an_existing_folder_is_not_overwritten(text_model: Path, tickets: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("dear")
    words = ["tune", str(tickets), "--target", "topic", "--model", str(text_model), "--out", str(tmp_path / "run")]
    assert command(words) == 2
    message = capsys.readouterr().err
    assert "already holds other files" in message
    assert f"Try: --out {tmp_path / 'run'}-2" in message
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("rows_per_class", [2, 3])
def test_two_or_three_rows_a_class_give_a_result_or_an_error_but_no_crash(
    rows_per_class: int, text_model: Path, tmp_path: Path, capsys: Capture
) -> None:
    write_csv(tmp_path / "few.csv", make_texts(3 * rows_per_class, seed=8))
    words = ["tune", str(tmp_path / "few.csv"), "--target", "topic", "--text", "message", "--model", str(text_model)]
    code = command([*words, "--threads", "1", "--num-epochs", "1", "--out", str(tmp_path / "run")])
    assert code in (0, 2, 3)
    told = capsys.readouterr()
    assert "Luthier has a fault" not in told.err


def test_labels_of_validation_and_test_that_train_lacks_count_as_wrong(text_model: Path, tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", make_texts(90))
    write_csv(tmp_path / "validation.csv", [*make_texts(20, seed=5), ("a strange thing", "unknown")])
    write_csv(tmp_path / "test.csv", [*make_texts(29, seed=6), ("another strange thing", "unheard")])
    words = ["tune", str(tmp_path), "--target", "topic", "--model", str(text_model), "--threads", "1", "--num-epochs", "1"]
    assert command([*words, "--out", str(tmp_path / "run")]) in (0, 3)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["n"] == 30
    assert metrics["test"]["tuned"]["accuracy"]["value"] <= 29 / 30
    assert command([*words, "--refit", "--method", "top-blocks:1", "--out", str(tmp_path / "again")]) in (0, 3)
