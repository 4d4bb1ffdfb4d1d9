"""Questions and slots, from files to answers in new texts: trained, stored, resumed, reported, asked again."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import luthier
from luthier.cli.main import run as command
from luthier.errors import DataError, LuthierError
from luthier.evaluation.predictions import read_predictions
from luthier.pipeline import Run
from luthier.testing.folders import tiny_text_model

from .conftest import TEXT_RUN

NAMES, PLACES = ("ada", "bob", "cleo", "dan", "eve"), ("rome", "oslo", "lima", "cairo", "delhi")
FILLERS = ("the", "old", "house", "by", "river", "was", "seen", "again", "and", "then", "very", "late")
ASKED = {"person": NAMES, "city": PLACES}
RUN = {**TEXT_RUN, "learning_rate": 3e-3, "head_learning_rate": 2e-2, "batch_size": 8, "num_epochs": 5}


def make_text(generator: np.random.Generator, *, longest: int = 6) -> tuple[str, dict[str, tuple[str, int]]]:
    """`... person ada ... city rome ...` and, by what is asked for, the answer with its start."""
    text, found = "", {}
    for kind, values in ASKED.items():
        text += " ".join(generator.choice(FILLERS, generator.integers(1, longest))) + f" {kind} "
        value = str(generator.choice(values))
        found[kind] = (value, len(text))
        text += f"{value} "
    return text.strip(), found


def make_squad(articles: int, *, seed: int = 0, longest: int = 6) -> dict[str, Any]:
    """Two questions about each of two paragraphs of an article, and sometimes one that has no answer."""
    generator = np.random.default_rng(seed)
    made = []
    for article in range(articles):
        paragraphs = []
        for paragraph in range(2):
            text, found = make_text(generator, longest=longest)
            asked = [
                {
                    "id": f"{article}-{paragraph}-{kind}",
                    "question": f"which {kind}",
                    "answers": [{"text": value, "answer_start": start}],
                }
                for kind, (value, start) in found.items()
            ]
            if generator.random() < 0.4:
                asked.append(
                    {"id": f"{article}-{paragraph}-no", "question": "which year", "is_impossible": True, "answers": []}
                )
            paragraphs.append({"context": text, "qas": asked})
        made.append({"title": f"article {article}", "paragraphs": paragraphs})
    return {"version": "2.0", "data": made}


def make_utterances(number: int, *, seed: int = 0) -> list[dict[str, Any]]:
    """Texts in which a person, a city, both or nothing stands."""
    generator = np.random.default_rng(seed)
    made = []
    for place in range(number):
        text, labels = " ".join(generator.choice(FILLERS, generator.integers(1, 5))), []
        for kind, values in ASKED.items():
            if generator.random() < 0.5:
                value, start = str(generator.choice(values)), len(f"{text} {kind} ")
                text += f" {kind} {value}"
                labels.append({"slot": kind, "valueSpan": {"startIndex": start, "endIndex": start + len(value)}})
        item: dict[str, Any] = {"userInput": {"text": f"{text} {place}"}, "labels": labels}
        made.append(item | ({"context": {"requestedSlots": ["person"]}} if place % 4 == 0 else {}))
    return made


def write(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = (*NAMES, *PLACES, *FILLERS, *ASKED, "which", "year", "nothing")
    return tiny_text_model(tmp_path_factory.mktemp("models") / "tiny", words=words, num_blocks=2, width=32)


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "questions.json", make_squad(40))


@pytest.fixture(scope="module")
def qa_run(questions: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of question answering, up the whole ladder."""
    return luthier.tune(questions, model=str(model), out=str(tmp_path_factory.mktemp("runs") / "qa"), **RUN)


@pytest.fixture(scope="module")
def slot_run(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of span extraction with its parts in files."""
    folder = tmp_path_factory.mktemp("data") / "bookings"
    folder.mkdir()
    place = {"startIndex": 9, "endIndex": 13}
    wrong = {"userInput": {"text": "the city oslo"}, "labels": [{"slot": "person", "valueSpan": place}]}
    for seed, (part, number) in enumerate({"train": 160, "val": 40, "test": 60}.items()):
        write(folder / f"{part}.json", make_utterances(number, seed=seed) + [wrong] * (part == "test"))
    return luthier.tune(folder, model=str(model), method="full", out=str(tmp_path_factory.mktemp("runs") / "slots"), **RUN)


def events(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.folder / "journal.jsonl").read_text().splitlines()]


def test_questions_are_answered_with_pieces_of_the_context(qa_run: Run) -> None:
    metrics = qa_run.metrics
    assert (metrics.task, metrics.primary_measure) == ("question-answering", "answer_f1")
    assert {"majority", "classic", "tuned"} <= set(metrics.test)
    assert set(metrics.absent) >= {"pretrained", "scratch"}
    assert metrics.test["tuned"]["answer_f1"].value > metrics.test["majority"]["answer_f1"].value
    assert sum(metrics.details["questions"].values()) == metrics.n
    tuned = read_predictions(qa_run.folder / "predictions.parquet")["tuned"].table
    contexts = {qa["id"]: part["context"] for art in make_squad(40)["data"] for part in art["paragraphs"] for qa in part["qas"]}
    assert any(row["prediction"] for row in tuned.to_pylist())
    for row in tuned.to_pylist():
        assert row["prediction"] == "" or any(row["prediction"] in text for text in contexts.values())
        assert row["group"].startswith("article")


def test_articles_never_cross_the_parts(qa_run: Run, questions: Path) -> None:
    import pyarrow.parquet as pq

    parts = {row["example_id"]: row["part"] for row in pq.read_table(qa_run.folder / "split.parquet").to_pylist()}
    titles = [art["title"] for art in make_squad(40)["data"] for part in art["paragraphs"] for _ in part["qas"]]
    held: dict[str, set[str]] = {}
    for number, title in enumerate(titles, 1):
        held.setdefault(title, set()).add(parts[f"questions.json:{number}"])
    assert all(len(names) == 1 for names in held.values())


def test_the_model_answers_in_python_as_it_answers_files(qa_run: Run, tmp_path: Path) -> None:
    served = luthier.load_model(qa_run.folder)
    text = "the old house person cleo late city oslo"
    (answer,) = served.predict([("which city", text)])
    assert set(answer) == {"text", "start", "end", "confidence"}
    if answer["text"] is not None:
        assert text[answer["start"] : answer["end"]] == answer["text"]
    (tmp_path / "new.csv").write_text(f"question,context\nwhich city,{text}\nwhich city,\n", encoding="utf-8")
    assert command(["predict", str(qa_run.folder), str(tmp_path / "new.csv"), "--probs", "--out", str(tmp_path / "a.csv")]) == 0
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["prediction"] == (answer["text"] or "")
    assert rows[1]["prediction"] == "" and rows[1]["candidates"] == "[]"
    write(tmp_path / "new.json", make_squad(2, seed=9))
    assert command(["predict", str(qa_run.folder), str(tmp_path / "new.json"), "--out", str(tmp_path / "b.parquet")]) == 0


def test_the_report_marks_right_and_given_answers(slot_run: Run, qa_run: Run) -> None:
    page = (slot_run.folder / "report.html").read_text(encoding="utf-8")
    assert "All pieces together" in page
    assert "nothing ⟷ the city ⟦person: «city: oslo»⟧" in page
    page = (qa_run.folder / "report.html").read_text(encoding="utf-8")
    assert "All questions" in page
    has_mistakes = qa_run.metrics.details["questions"]["right"] < qa_run.metrics.n
    assert ("What is right stands in ⟦ ⟧" in page) is has_mistakes


def test_the_report_shows_no_text_where_none_may_be_shown(questions: Path, model: Path, tmp_path: Path) -> None:
    settings = {**RUN, "num_epochs": 1, "max_rows": 80, "method": "probe", "examples": "none"}
    run = luthier.tune(questions, model=str(model), out=str(tmp_path / "run"), **settings)
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert not any(f"person {name}" in page or f"«{name}" in page for name in NAMES)


def test_slots_are_found(slot_run: Run) -> None:
    metrics = slot_run.metrics
    assert (metrics.task, metrics.primary_measure) == ("span-extraction", "span_f1")
    assert metrics.test["tuned"]["span_f1"].value > 0.8
    assert {row["label"] for row in metrics.per_class} == {"person", "city"}
    served = luthier.load_model(slot_run.folder)
    found = served.predict([("the house person ada 7", "person"), "then city lima 3", ""])
    assert found[0]["person"]["text"] == "ada" and found[1]["city"]["text"] == "lima" and found[2] == {}
    card = (slot_run.model_path / "README.md").read_text(encoding="utf-8")
    assert "where each of 2 labels stands in the text, if it does: `city`, `person`" in card


def test_slots_are_read_from_lines_of_json_and_from_tables(slot_run: Run, tmp_path: Path) -> None:
    lines = [{"text": "person dan 1", "requested": "person"}, {"text": "late 2", "requested": "nothing"}]
    (tmp_path / "new.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    assert command(["predict", str(slot_run.folder), str(tmp_path / "new.jsonl"), "--out", str(tmp_path / "a.jsonl")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [row["person"] for row in rows] == ["dan", None]
    assert json.loads(rows[1]["prediction"]) == []


@pytest.mark.parametrize("task", ["questions", "slots"])
def test_a_store_changes_nothing(task: str, questions: Path, model: Path, tmp_path: Path) -> None:
    data = questions if task == "questions" else write(tmp_path / "slots.json", make_utterances(120))
    losses = {}
    for store in ("float32", "off"):
        settings = {**RUN, "num_epochs": 1, "store": store, "method": "top-blocks:1", "max_length": 24}
        run = luthier.tune(data, model=str(model), out=str(tmp_path / store), **settings)
        losses[store] = [event["loss"] for event in events(run) if event["event"] == "step"]
    assert len(losses["off"]) > 10
    assert losses["float32"] == pytest.approx(losses["off"], rel=1e-5)


@pytest.mark.parametrize("method", ["probe", "lora:2", "gradual"])
def test_methods_train_it(method: str, model: Path, tmp_path: Path) -> None:
    settings = {
        **RUN,
        "num_epochs": 1,
        "method": method,
        "refit": method == "probe",
        "head_layers": 2 if method == "probe" else 1,
    }
    data = write(tmp_path / "slots.json", make_utterances(80))
    run = luthier.tune(data, model=str(model), out=str(tmp_path / "run"), **settings)
    assert luthier.load_model(run.model_path).description.head["kind"] == "spans"


def test_long_contexts_are_read_in_windows(model: Path, tmp_path: Path) -> None:
    data = write(tmp_path / "long.json", make_squad(24, longest=30))
    settings = {**RUN, "max_length": 24, "method": "full", "num_epochs": 2}
    run = luthier.tune(data, model=str(model), out=str(tmp_path / "run"), **settings)
    text = " ".join(["the old house"] * 20) + " person eve late"
    served = luthier.load_model(run.folder)
    numbers = served.predict_numbers([("which person", text), ("which person", "person bob")])
    assert numbers.shape == (2, 10)
    decisions = (run.folder / "decisions.jsonl").read_text()
    assert '"max_length"' in decisions


def test_a_table_with_plain_answers_and_their_starts_is_enough(model: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    rows = []
    for number in range(60):
        text, found = make_text(generator)
        value, start = found["city"]
        rows.append([f"which city {number}", text, value, start])
    with (tmp_path / "table.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["question", "context", "answer", "answer_start"], *rows])
    settings = {**RUN, "num_epochs": 1, "method": "probe"}
    run = luthier.tune(tmp_path / "table.csv", model=str(model), out=str(tmp_path / "run"), **settings)
    assert run.metrics.task == "question-answering"
    roles = json.loads((run.folder / "findings.json").read_text())["data"]["roles"]
    assert roles == {"text": "question", "text_pair": "context", "answer_start": "answer_start", "target": "answer"}


ANSWERED = '{"question": "which city", "context": "city oslo", "answers": %s}'


@pytest.mark.parametrize(
    ("content", "problem", "remedy"),
    [
        ('{"data": [{"paragraphs": [{"context": "a", "qas": [{}]}]}]}', "1 of 1 rows", "--bad-rows keep"),
        ('{"data": [', "is no JSON", "correct it there"),
        ('{"rows": 3}', "holds an object with 'rows'", "a list of objects"),
        ('[{"userInput": {"text": 3}}, {"userInput": {"text": "a"}}, {"userInput": 1}]', "2 of 3 rows", "--bad-rows keep"),
        ('[{"question": "a", "context": "b"}, {"question": "c", "context": "d"}]', "no column", "--target"),
        ("[" + ", ".join([ANSWERED % '"nobody"'] * 12) + "]", "", ""),
        ('[{"text": "hello there", "slots": "[{]"}, {"text": "is it open", "slots": "x"}]', "no column", "--target"),
    ],
)
def test_what_cannot_be_learnt_from_says_so(content: str, problem: str, remedy: str, model: Path, tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text(content, encoding="utf-8")
    with pytest.raises(LuthierError) as caught:
        luthier.tune(tmp_path / "data.json", model=str(model), out=str(tmp_path / "run"), **RUN)
    assert isinstance(caught.value, DataError)
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy
