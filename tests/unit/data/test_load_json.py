"""JSON documents: SQuAD, utterances with slots, lists of objects; and what is no such document."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from luthier.data.load import Source, json_documents, load_source, stream_table
from luthier.data.settings import DataSettings
from luthier.errors import DataError

QUESTION = {"id": "q1", "question": "Who wrote it?", "answers": [{"text": "Ada", "answer_start": 18}]}
PARAGRAPH = {"context": "It was written by Ada.", "qas": [QUESTION]}
UTTERANCE = {
    "userInput": {"text": "Table for 5 please"},
    "context": {"requestedSlots": ["people", "time"]},
    "labels": [{"slot": "people", "valueSpan": {"startIndex": 10, "endIndex": 11}}],
}


def squad(*paragraphs: Any, articles: int = 1) -> dict[str, Any]:
    return {"version": "1.1", "data": [{"title": f"article {n}", "paragraphs": list(paragraphs)} for n in range(articles)]}


def load(folder: Path, document: Any, **settings: Any) -> Source:
    path = folder / "data.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return load_source([path], DataSettings(**settings))


def test_each_question_of_squad_is_a_row(tmp_path: Path) -> None:
    impossible = {"id": "q2", "question": "When?", "is_impossible": True, "answers": [], "plausible_answers": [{"text": "Ada"}]}
    asked = {"id": "q3", "question": "Why?"}
    source = load(tmp_path, squad({**PARAGRAPH, "qas": [QUESTION, impossible, asked]}, articles=3))
    rows = source.table.to_pylist()
    assert len(rows) == 9
    assert rows[0] == {
        "example_id": "data.json:1",
        "id": "q1",
        "title": "article 0",
        "question": "Who wrote it?",
        "context": "It was written by Ada.",
        "answers": '[{"text": "Ada", "start": 18}]',
    }
    assert [row["answers"] for row in rows[1:3]] == ["[]", None]
    assert source.roles == {"text": "question", "text_pair": "context", "target": "answers", "group": "title"}
    assert not source.findings


def test_few_articles_are_kept_together_by_paragraph(tmp_path: Path) -> None:
    assert load(tmp_path, squad(PARAGRAPH)).roles["group"] == "context"


def test_utterances_become_texts_with_spans(tmp_path: Path) -> None:
    first = {"userInput": {"text": "Ada"}, "labels": [{"slot": "name", "valueSpan": {"endIndex": 3}}]}
    source = load(tmp_path, [UTTERANCE, first, {"userInput": {"text": "hello"}}])
    rows = source.table.to_pylist()
    assert [row["requested"] for row in rows] == ["people, time", "nothing", "nothing"]
    assert json.loads(rows[0]["slots"]) == [{"slot": "people", "start": 10, "end": 11, "text": "5"}]
    assert json.loads(rows[1]["slots"]) == [{"slot": "name", "start": 0, "end": 3, "text": "Ada"}]
    assert rows[2]["slots"] == "[]"
    assert source.roles == {"text": "text", "text_pair": "requested", "target": "slots"}


def test_what_was_asked_for_is_no_input_where_nothing_ever_was(tmp_path: Path) -> None:
    assert "text_pair" not in load(tmp_path, [{"userInput": {"text": "hello"}}, {"userInput": {"text": "hi"}}]).roles


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_list_of_objects_is_a_table(tmp_path: Path, wrapped: bool) -> None:
    rows = [{"text": "a", "n": 1}, {"text": "b", "more": ["x"]}, 7]
    source = load(tmp_path, {"data": rows} if wrapped else rows)
    assert source.table.drop_columns("example_id").to_pylist() == [
        {"text": "a", "n": "1", "more": None},
        {"text": "b", "n": None, "more": '["x"]'},
    ]
    assert source.findings[0].problem == "1 row of data.json lacks a part, or has one of the wrong kind: entry 3. Dropped."
    assert source.findings[0].remedy == "correct these lines, or --bad-rows keep"


@pytest.mark.parametrize(
    "question",
    [
        "no object",
        {"id": "q"},
        {**QUESTION, "answers": "Ada"},
        {**QUESTION, "answers": [{"answer_start": 3}]},
        {**QUESTION, "answers": [{"text": "Ada", "answer_start": "18"}]},
    ],
)
def test_a_question_of_another_form_is_named(tmp_path: Path, question: Any) -> None:
    source = load(tmp_path, squad({**PARAGRAPH, "qas": [QUESTION, QUESTION, question]}))
    assert source.table.num_rows == 2
    assert "entry 3" in source.findings[0].problem
    kept = load(tmp_path, squad({**PARAGRAPH, "qas": [QUESTION, question]}), bad_rows="keep")
    assert kept.table.num_rows == 2


@pytest.mark.parametrize(
    "item",
    [
        {"userInput": "hello"},
        {"userInput": {"text": 3}},
        {**UTTERANCE, "labels": [{"slot": "people"}]},
        {**UTTERANCE, "labels": [{"slot": "people", "valueSpan": {"startIndex": "a"}}]},
        "hello",
    ],
)
def test_an_utterance_of_another_form_is_named(tmp_path: Path, item: Any) -> None:
    source = load(tmp_path, [UTTERANCE, item, UTTERANCE])
    assert source.table.num_rows == 2
    assert "entry 2" in source.findings[0].problem


@pytest.mark.parametrize(
    ("content", "problem", "remedy"),
    [
        ('{"data": [', "data.json is no JSON: Expecting value at line 1, column 11", "correct it there"),
        ('{"a": 1}\n{"a": 2}\n', "is no JSON: Extra data at line 2, column 1", "rename it to .jsonl"),
        (
            '{"title": "x", "data": {}}',
            "holds an object with 'title', 'data'; known are a list of objects",
            "a list of objects",
        ),
        ("[1, 2]", "holds a list of int; known are", "a list of objects"),
        ("[]", "holds an empty list; known are", "a list of objects"),
        ("[" + "9" * 5_000 + "]", "data.json cannot be read: Exceeds the limit", "write such numbers as texts"),
        ('"text"', "holds a single str; known are", "a list of objects"),
        ("[" * 100_000, "data.json is nested too deeply to be data", "a list of objects"),
    ],
)
def test_what_is_no_known_document_says_what_it_is(tmp_path: Path, content: str, problem: str, remedy: str) -> None:
    with pytest.raises(DataError) as caught:
        load(tmp_path, content)
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


def test_a_file_that_is_not_utf_8_says_where(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_bytes('[{"text": "Zürich"}]'.encode("latin-1"))
    with pytest.raises(DataError, match=r"data.json is not UTF-8 \(byte 12\)"):
        load_source([path], DataSettings())


def test_a_document_too_large_to_be_read_whole_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_documents, "MAX_BYTES", 20)
    with pytest.raises(DataError, match=r"data.json is larger than 20 B") as caught:
        load(tmp_path, [UTTERANCE])
    assert caught.value.remedy == "write one object per line: jq -c '.[]' data.json > data.jsonl"


def test_packed_documents_and_parts_are_read_and_streamed(tmp_path: Path) -> None:
    for part in ("train", "test"):
        with gzip.open(tmp_path / f"{part}.json.gz", "wt", encoding="utf-8") as file:
            json.dump([UTTERANCE], file)
    source = load_source([tmp_path], DataSettings())
    assert {name: rows.tolist() for name, rows in source.parts.items()} == {"train": [0], "test": [1]}
    (table,) = stream_table(tmp_path / "test.json.gz", DataSettings())
    assert table.column("text").to_pylist() == ["Table for 5 please"]


def test_notes_beside_a_table_are_no_second_table(tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text("{}")
    (tmp_path / "rows.csv").write_text("text,label\na,b\nc,d\n")
    assert load_source([tmp_path], DataSettings()).table.num_rows == 2
