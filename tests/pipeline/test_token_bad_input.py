"""Wrong input to the token tasks, on the real command path: what was found, what to type, nothing half-written."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from luthier.cli.main import run as command
from luthier.testing.folders import tiny_text_model

from .conftest import make_sentences

Told = Callable[..., str]
SENTENCES = make_sentences(60, seed=4)
TEXTS = [" ".join(word for word, _ in rows) for rows in SENTENCES]


def conll(sentences: list[list[tuple[str, str]]]) -> str:
    return "\n\n".join("\n".join("\t".join(pair) for pair in rows) for rows in sentences) + "\n"


def jsonl(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_text_model(tmp_path_factory.mktemp("models") / "tiny", num_blocks=1)


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    """Writes a file, tunes on it, and returns what was said of it."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, content: str, *flags: str) -> str:
        Path(name).write_text(content, encoding="utf-8")
        assert command(["tune", name, "--model", str(model), "--out", "run", "--threads", "1", *flags]) == 2
        assert not Path("run").exists()
        message = capsys.readouterr().err
        assert "\n  Try: " in message or "\n     Try: " in message
        return " ".join(message.split())

    return run


def test_prose_is_no_table(told: Told) -> None:
    message = told("notes.txt", "A letter.\n\nWith two paragraphs in it.\n")
    assert "does not hold a word and its tag on each line" in message
    assert "end sentences with blank lines" in message


def test_words_without_tags_have_nothing_to_learn_from(told: Told) -> None:
    message = told("notes.conll", "Ann\ntook\n\naspirin\n\n")
    assert "A column with the answer (the label) is needed" in message
    assert "'tokens' (list of labels)" in message


def test_tags_that_mark_no_entities_are_not_token_classification(told: Told) -> None:
    plain = [[(word, "NOUN" if tag == "O" else "VERB") for word, tag in rows] for rows in SENTENCES]
    message = told("notes.conll", conll(plain), "--task", "token-classification")
    assert "'tags' does not hold tags that say where entities begin and end or spans of characters" in message


def test_a_table_of_labels_is_not_token_classification(told: Told) -> None:
    rows = "text,label\n" + "".join(f"{text},{'x' if number % 2 else 'y'}\n" for number, text in enumerate(TEXTS))
    assert "'label' does not hold tags" in told("notes.csv", rows, "--task", "token-classification", "--target", "label")


def test_a_file_of_broken_lines_is_probably_misread(told: Told) -> None:
    broken = conll(SENTENCES[:5]) + "\n" + "Ann\tB-Person\ntook\n\n" * 8
    message = told("notes.conll", broken)
    assert "8 of 13 rows of notes.conll cannot be used" in message
    assert "have a line with more or fewer columns than the rest of the file: lines " in message


def test_one_broken_line_stops_where_it_is_asked_to(told: Told) -> None:
    broken = conll(SENTENCES) + "\nAnn\tB-Person\ntook\n"
    assert "1 row of notes.conll has a line with more or fewer columns" in told("notes.conll", broken, "--bad-rows", "error")


def test_tags_of_another_length_are_named(told: Told) -> None:
    rows = [{"tokens": ["Ann", "took", str(number)], "tags": ["B-Person", "O"]} for number in range(40)]
    message = told("notes.jsonl", jsonl(rows))
    assert "40 of 40 rows (100.0 %) have more or fewer tags than words" in message
    assert "First rows: notes.jsonl:1, notes.jsonl:2, notes.jsonl:3. The first: 3 words, 2 tags." in message
    assert "give every word one tag" in message


def test_spans_outside_of_their_texts_are_named(told: Told) -> None:
    rows = [{"text": text, "entities": [[0, 3, "Person"], [490, 499, "Drug"]]} for text in TEXTS]
    message = told("notes.jsonl", jsonl(rows))
    assert "spans that lie outside of their text, or are empty" in message
    assert f"The first: Drug 490 to 499 of {len(TEXTS[0])} characters." in message
    assert "count characters from 0" in message


def test_spans_that_overlap_are_named(told: Told) -> None:
    rows = [{"text": text, "entities": [[0, 8, "Person"], [4, 12, "Drug"]]} for text in TEXTS]
    message = told("notes.jsonl", jsonl(rows))
    assert "spans that overlap: a word has one tag" in message
    assert "keep one of the spans that overlap" in message


def test_check_tells_of_the_same_rows_without_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"text": text, "entities": [[0, 400, "Person"]] if text == TEXTS[7] else []} for text in TEXTS]
    path = tmp_path / "notes.jsonl"
    path.write_text(jsonl([*rows, {"text": "Ann left", "entities": [[0, 3, "Person"]]}]), encoding="utf-8")
    assert command(["check", str(path)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "1 of 61 rows (1.6 %) has spans that lie outside of their text" in told
    assert "notes.jsonl:8" in told


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--class-weights", "balanced"), "--class-weights is for examples with one label each"),
        (("--mixup", "0.2"), "--mixup is for examples with one label each"),
        (("--head-pooling", "mean"), "stands on every hidden state: nothing is pooled, and 'mean' was asked for"),
    ],
)
def test_settings_for_one_label_are_refused(flags: tuple[str, ...], said: str, told: Told) -> None:
    assert said in told("notes.conll", conll(SENTENCES), *flags)
