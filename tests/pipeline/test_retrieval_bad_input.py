"""Wrong input to the tasks that compare texts: which file and line, what to do; what can be used is used."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from luthier.cli.main import run as command
from luthier.pipeline.prepare import check, load
from luthier.spec import build_spec
from luthier.testing.folders import tiny_text_model

Told = Callable[..., str]
DOCUMENTS = [{"_id": f"d{place}", "title": "", "text": f"words about number {place}"} for place in range(20)]
QUERIES = [{"_id": f"q{place}", "text": f"what is number {place}"} for place in range(20)]
JUDGED = [f"q{place}\td{place}\t1" for place in range(20)]


def benchmark(
    documents: list[dict[str, str]] = DOCUMENTS,
    queries: list[dict[str, str]] = QUERIES,
    judged: list[str] = JUDGED,
    header: str = "query-id\tcorpus-id\tscore",
) -> str:
    folder = Path("shop")
    (folder / "qrels").mkdir(parents=True)
    for name, rows in (("corpus", documents), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "qrels" / "test.tsv").write_text("\n".join([header, *judged]) + "\n", encoding="utf-8")
    return str(folder)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Told:
    model = tiny_text_model(tmp_path / "tiny", num_blocks=2)

    def run(source: str, *flags: str) -> str:
        assert command(["tune", source, "--model", str(model), "--out", "run", "--threads", "1", *flags]) == 2
        assert not Path("run").exists()
        message = capsys.readouterr().err
        assert "\n  Try: " in message or "\n     Try: " in message
        return " ".join(message.split())

    return run


def findings(source: str, **settings: object) -> dict[str, str]:
    """What `check` says, by check; several findings of one check stand behind each other."""
    found: dict[str, str] = {}
    for item in check(build_spec(source, **settings)).findings:
        assert item.remedy
        found[item.check] = f"{found.get(item.check, '')} {item.problem}"
    return found


def test_judgements_of_what_is_not_there_are_named_by_line_and_left_out() -> None:
    said = findings(benchmark(judged=[*JUDGED, "q99\td1\t1", "q1\td99\t1", "q2\td3\thigh"]))["judgements"]
    assert "name a query that queries.jsonl does not have" in said
    assert "qrels/test.tsv:22 ('q99')" in said
    assert "qrels/test.tsv:23 ('d99')" in said
    assert "have a score that is no number, and are left out: qrels/test.tsv:24 ('high')" in said
    assert load(build_spec("shop")).dataset.table.num_rows == 40


def test_empty_and_repeated_documents_are_named() -> None:
    documents = [
        *DOCUMENTS,
        {"_id": "e", "title": "", "text": " "},
        {"_id": "again", "title": "", "text": "Words about NUMBER 3"},
    ]
    said = findings(benchmark(documents=documents))["documents"]
    assert "1 document of 22 is empty" in said
    assert "corpus.jsonl:21" in said
    assert "the same as an earlier one" in said
    assert "corpus.jsonl:22" in said


def test_a_query_that_nothing_is_relevant_to_is_left_out() -> None:
    said = findings(benchmark(judged=[*JUDGED[:-1], "q19\td19\t0"]))["queries"]
    assert "No document is relevant to 1 query" in said
    assert "queries.jsonl:20" in said


def test_ids_given_twice_are_refused(told: Told) -> None:
    message = told(benchmark(documents=[*DOCUMENTS, {"_id": "d3", "title": "", "text": "other words"}]))
    assert "corpus.jsonl gives 1 id a second time: corpus.jsonl:21 ('d3')" in message
    assert "an _id of its own" in message


def test_documents_without_texts_are_refused(told: Told) -> None:
    message = told(benchmark(documents=[{"_id": "d1", "body": "words"}]))
    assert "corpus.jsonl needs the columns _id, text; it lacks text" in message


def test_judgements_that_match_nothing_are_refused(told: Told) -> None:
    message = told(benchmark(judged=["a\tb\t1", "c\td\t1"]))
    assert "name a query that queries.jsonl does not have" in message


def test_judgements_without_a_score_are_refused(told: Told) -> None:
    message = told(benchmark(header="query-id\tcorpus-id", judged=["q1\td1"]))
    assert "needs three columns: query, document and score" in message
    assert "query-id corpus-id score" in message


def triplets(*rows: tuple[str, str, str]) -> str:
    sound = [(f"what is {place}", f"it is number {place}", f"it is colour {place}") for place in range(20)]
    lines = ["anchor,positive,negative", *(",".join(row) for row in [*sound, *rows])]
    Path("triplets.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return "triplets.csv"


def test_a_negative_that_belongs_is_named() -> None:
    said = findings(triplets(("who asks", "an answer", "An  answer"), ("what is 3", "something", "it is number 3")))
    assert "In 2 rows the negative is the text itself, or a text that belongs to it" in said["negatives"]
    assert "triplets.csv:22, triplets.csv:23" in said["negatives"]


def test_a_text_paired_with_itself_is_left_out() -> None:
    said = findings(triplets(("the same", "The same", "another")))["pairs"]
    assert "1 row pairs a text with itself" in said
    assert "triplets.csv:22" in said


def test_the_same_query_in_train_and_test_is_dropped_from_train() -> None:
    triplets()
    Path("test.csv").write_text("anchor,positive,negative\nWhat is  3,it is number 3,no\nnew,text,no\n", encoding="utf-8")
    said = findings("triplets.csv", train=None, test="test.csv")["overlap"]
    assert "1 of 2 test rows" in said


@pytest.mark.parametrize(
    ("flags", "problem", "remedy"),
    [
        (("--ewc", "0.1"), "--ewc measures how single examples depend on each weight", "--towards-pretrained"),
        (("--head-layers", "2"), "--head-layers is for heads that are small networks", "leave it out"),
        (("--hard-negatives", "bm52:1"), "expected none, model:N or bm25:N", "--hard-negatives bm25:1"),
        (("--label-smoothing", "0.1"), "--label-smoothing is for examples with one label", "leave --label-smoothing out"),
        (("--task", "text-similarity"), "no column plays the role text_pair", "--text COLUMN"),
        (("--negative", "nagative"), "--negative names 'nagative'", "--negative negative"),
    ],
)
def test_settings_that_do_not_fit_are_refused(told: Told, flags: tuple[str, ...], problem: str, remedy: str) -> None:
    message = told(triplets(), *flags)
    assert problem in message
    assert remedy in message
