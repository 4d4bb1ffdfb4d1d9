"""Words with tags, from files to entities in new texts: trained, stored, resumed, reported, asked again."""

import csv
import json
from pathlib import Path

import pytest

import luthier
from luthier.cli.main import run as command
from luthier.evaluation.predictions import read_predictions
from luthier.pipeline import Run
from luthier.testing.folders import tiny_text_model

from .conftest import DRUGS, OTHERS, PLACES, TEXT_RUN, make_sentences, write_conll
from .test_resume import Killed, assert_equal, kill_when

TOKEN_RUN = {**TEXT_RUN, "learning_rate": 3e-3, "head_learning_rate": 1e-2, "batch_size": 8, "num_epochs": 5}


@pytest.fixture(scope="module")
def token_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_text_model(
        tmp_path_factory.mktemp("models") / "tiny", words=(*DRUGS, *PLACES, *OTHERS, "north"), num_blocks=2, width=32
    )


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three files of sentences; one of the test sentences is tagged wrong."""
    folder = tmp_path_factory.mktemp("data") / "notes"
    folder.mkdir()
    for seed, (part, number) in enumerate({"train": 160, "devel": 50, "test": 60}.items()):
        wrong = [[("nurse", "O"), ("gave", "O"), ("codeine", "B-Place"), ("in", "O"), ("bath", "O")]] * (part == "test")
        write_conll(folder / f"{part}.tsv", make_sentences(number, seed=seed) + wrong)
    return folder


@pytest.fixture(scope="module")
def token_run(notes: Path, token_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run, up the whole ladder."""
    out = tmp_path_factory.mktemp("runs") / "notes"
    return luthier.tune(notes, model=str(token_model), out=str(out), **TOKEN_RUN)


def events(run: Run) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run.folder / "journal.jsonl").read_text().splitlines()]


def test_the_story_ends_with_entities(token_run: Run) -> None:
    scores = token_run.metrics.test
    assert {"majority", "classic", "tuned"} <= set(scores)
    assert scores["majority"]["entity_f1"].value == 0
    assert 0.8 < scores["tuned"]["entity_f1"].value < 1
    assert {row["label"] for row in token_run.metrics.per_class} == {"Drug", "Place"}
    assert "pretrained" in token_run.metrics.absent
    text = "the nurse of north york gave quinine"
    found = luthier.load_model(token_run.folder).predict([text, ["in", "bath"], ""])
    assert [(text[item["start"] : item["end"]], item["label"]) for item in found[0]] == [
        ("north york", "Place"),
        ("quinine", "Drug"),
    ]
    assert found[1][0]["text"] == "bath" and found[2] == []


def test_decisions_say_how_the_file_and_its_tags_were_read(token_run: Run) -> None:
    made = {item["name"]: item for item in map(json.loads, (token_run.folder / "decisions.jsonl").read_text().splitlines())}
    assert made["tag_scheme"]["value"] == "iob2"
    assert made["task"]["value"] == "token-classification"
    assert "the word first, its tag last" in made["columns"]["reason"]


def test_the_report_marks_entities_in_the_text(token_run: Run) -> None:
    page = (token_run.folder / "report.html").read_text(encoding="utf-8")
    assert "Types of entities from the worst to the best" in page
    assert "All entities together" in page
    assert '<mark class="differs">codeine <small>Place</small></mark>' in page
    assert '<mark class="differs">codeine <small>Drug</small></mark>' in page


def test_a_store_changes_nothing(notes: Path, token_model: Path, tmp_path: Path) -> None:
    losses = {}
    for store in ("float32", "off"):
        settings = {**TOKEN_RUN, "num_epochs": 1, "store": store, "method": "top-blocks:1"}
        run = luthier.tune(notes, model=str(token_model), out=str(tmp_path / store), **settings)
        losses[store] = [event["loss"] for event in events(run) if event["event"] == "step"]
    assert len(losses["off"]) > 10
    assert losses["float32"] == pytest.approx(losses["off"], rel=1e-5)


@pytest.mark.parametrize("method", ["probe", "full", "lora:2", "gradual"])
def test_methods_train_it(method: str, notes: Path, token_model: Path, tmp_path: Path) -> None:
    settings = {**TOKEN_RUN, "num_epochs": 1, "max_rows": 60, "method": method, "refit": method == "probe"}
    run = luthier.tune(notes, model=str(token_model), out=str(tmp_path / "run"), **settings)
    assert run.metrics.test["tuned"]["token_accuracy"].value > 0.3
    assert luthier.load_model(run.model_path).description.head["kind"] == "tokens"


@pytest.mark.parametrize("rung", ["probe", "top-blocks:1"])
def test_a_killed_run_goes_on_to_the_same_model(
    rung: str, notes: Path, token_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {**TOKEN_RUN, "model": str(token_model), "num_epochs": 1, "checkpoint_seconds": 0, "method": "top-blocks:1"}
    straight = luthier.tune(notes, out=str(tmp_path / "straight"), **asked)
    with monkeypatch.context() as patch:
        kill_when(patch, lambda event: event["event"] == "step" and event["rung"] == rung and event["step"] == 7)
        with pytest.raises(Killed):
            luthier.tune(notes, out=str(tmp_path / "run"), **asked)
    assert_equal(luthier.resume(tmp_path / "run"), straight)


def test_a_search_finds_a_model_for_it(notes: Path, token_model: Path, tmp_path: Path) -> None:
    space = {"method": {"choice": ["probe", "top-blocks:1"]}, "learning_rate": {"log": [1e-3, 1e-2]}}
    asked = {**TOKEN_RUN, **space, "num_epochs": 1, "max_rows": 60, "trials": 3}
    found = luthier.search(notes, model=str(token_model), out=str(tmp_path / "search"), **asked)
    assert found.run is not None
    assert found.run.metrics.primary_measure == "entity_f1"
    assert len(json.loads((found.folder / "search.json").read_text())["trials"]) == 3


def test_long_rows_are_read_in_windows_and_every_word_is_scored(token_model: Path, tmp_path: Path) -> None:
    documents = [[pair for row in make_sentences(12, seed=seed) for pair in row] for seed in range(30)]
    path = write_conll(tmp_path / "documents.conll", documents)
    settings = {**TOKEN_RUN, "max_length": 24, "method": "top-blocks:1", "num_epochs": 3}
    run = luthier.tune(path, model=str(token_model), out=str(tmp_path / "run"), **settings)
    tuned = read_predictions(run.folder / "predictions.parquet")["tuned"].table
    assert all(len(row["target"]) == len(row["prediction"]) > 40 for row in tuned.to_pylist())
    model = luthier.load_model(run.folder)
    text = " ".join(word for word, _ in documents[0])
    assert model.predict([text])[0][-1]["end"] > len(text) - 80


def test_texts_with_spans_are_the_same_task(token_model: Path, tmp_path: Path) -> None:
    lines = []
    for rows in make_sentences(120, seed=5):
        text, spans = "", []
        for word, tag in rows:
            start = len(text)
            text += f"{word} "
            if tag[:1] == "B":
                spans.append([start, len(text) - 1, tag[2:]])
            elif tag[:1] == "I":
                spans[-1][1] = len(text) - 1
        lines.append(json.dumps({"text": text.strip() + ".", "entities": spans}))
    (tmp_path / "notes.jsonl").write_text("\n".join(lines) + "\n")
    run = luthier.tune(
        tmp_path / "notes.jsonl", model=str(token_model), method="top-blocks:1", out=str(tmp_path / "run"), **TOKEN_RUN
    )
    assert run.metrics.task == "token-classification"
    assert run.metrics.test["tuned"]["entity_f1"].value > 0.6


def test_tags_that_mark_no_entities_are_scored_by_word(token_model: Path, tmp_path: Path) -> None:
    plain = [[(word, {"O": "X", "B": "N", "I": "N"}[tag[0]]) for word, tag in rows] for rows in make_sentences(120, seed=3)]
    path = write_conll(tmp_path / "plain.conll", plain)
    run = luthier.tune(path, model=str(token_model), method="probe", out=str(tmp_path / "run"), **TOKEN_RUN)
    assert (run.metrics.task, run.metrics.primary_measure) == ("token-tagging", "token_accuracy")
    assert run.metrics.test["tuned"]["token_accuracy"].value > run.metrics.test["majority"]["token_accuracy"].value
    words = luthier.load_model(run.folder).predict([["the", "bath"]])[0]
    assert [word["text"] for word in words] == ["the", "bath"]


def test_files_are_answered_beside_their_rows(token_run: Run, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text('id,text\n1,"gave aspirin in bath"\n2,\n')
    assert (
        command(
            ["predict", str(token_run.folder), str(tmp_path / "new.csv"), "--text", "text", "--out", str(tmp_path / "a.jsonl")]
        )
        == 0
    )
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [item["label"] for item in rows[0]["entities"]] == ["Drug", "Place"]
    assert rows[1]["entities"] == []
    assert rows[0]["tagged_words"] == ["gave", "aspirin", "in", "bath"]
    assert rows[0]["tags"] == ["O", "B-Drug", "O", "B-Place"]
    write_conll(tmp_path / "more.conll", make_sentences(3, seed=8))
    assert command(["predict", str(token_run.folder), str(tmp_path / "more.conll"), "--out", str(tmp_path / "b.csv")]) == 0
    with (tmp_path / "b.csv").open(encoding="utf-8", newline="") as file:
        answers = list(csv.DictReader(file))
    assert list(answers[0]) == ["tokens", "tags", "entities", "model_tags", "tagged_words"]
    assert all(len(json.loads(row["model_tags"])) == len(json.loads(row["tokens"])) for row in answers)
    found = [entity for row in answers for entity in json.loads(row["entities"])]
    assert {"text", "label", "start", "end", "confidence"} == set(found[0])
