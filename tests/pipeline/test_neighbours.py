"""The verbs on vectors: what is found, recommended and put together is right, told, written, and the same by all ways."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import luthier
from luthier.cli.main import run as command
from luthier.core.progress import Quiet
from luthier.neighbours.encoder import load_encoder
from luthier.neighbours.index import open_index
from luthier.testing.folders import tiny_text_model

TOPICS = {"bread": ["flour", "dough", "oven", "yeast", "crust"], "sea": ["wave", "harbour", "sail", "anchor", "tide"]}
WORDS = [word for words in TOPICS.values() for word in words]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return str(tiny_text_model(tmp_path / "tiny", words=WORDS, num_blocks=2))


def articles(number: int = 40) -> list[dict[str, str]]:
    generator = np.random.default_rng(0)
    rows = []
    for place in range(number):
        topic = list(TOPICS)[place % 2]
        words = generator.choice(TOPICS[topic], 6)
        rows.append({"item": f"a{place}", "text": " ".join(words), "topic": topic})
    return rows


def write(path: str, rows: list[dict[str, str]]) -> str:
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_find_compares_every_text_and_keeps_the_vectors(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luthier.neighbours.texts.ROWS_PER_BATCH", 7)  # several pieces
    rows = articles()
    corpus = write("articles.csv", rows)
    queries = ["dough in the oven", "sail on the tide"]
    found = luthier.find(model, corpus, queries, top=5)
    encoder = load_encoder(model)
    vectors, asked = encoder.encode([row["text"] for row in rows]), encoder.encode(queries)
    for query, one in zip(asked, found, strict=True):
        expected = np.argsort(-(vectors @ query), kind="stable")[:5]
        assert [hit.id for hit in one.hits] == [rows[place]["item"] for place in expected]
        assert [hit.score for hit in one.hits] == pytest.approx((vectors @ query)[expected].tolist(), abs=1e-5)
        assert [hit.rank for hit in one.hits] == [1, 2, 3, 4, 5]
    assert open_index(encoder, corpus, observer=Quiet()).reused
    write("articles.csv", rows[:-1])
    assert not open_index(encoder, corpus, observer=Quiet()).reused
    assert len(luthier.find(model, corpus, "tide", top=100)[0].hits) == 39


def test_a_folder_of_documents_is_a_corpus_and_titles_are_read(model: str, tmp_path: Path) -> None:
    lines = [{"_id": "d1", "title": "Of yeast", "text": "dough"}, {"_id": "d2", "title": "", "text": "anchor and sail"}]
    (tmp_path / "benchmark").mkdir()
    (tmp_path / "benchmark" / "corpus.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    hits = luthier.find(model, tmp_path / "benchmark", "yeast")[0].hits
    assert {hit.id: hit.text for hit in hits} == {"d1": "Of yeast. dough", "d2": "anchor and sail"}


def test_the_command_prints_what_python_gives(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = write("articles.csv", articles())
    expected = luthier.find(model, corpus, "flour", top=3)[0]
    assert command(["find", model, corpus, "flour", "--top", "3", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [hit["id"] for hit in printed[0]["hits"]] == [hit.id for hit in expected.hits]
    assert command(["find", model, corpus, "flour", "--top", "3", "--quiet"]) == 0
    assert capsys.readouterr().out.split() == [hit.id for hit in expected.hits]
    assert command(["find", model, corpus, "flour"]) == 0
    assert '"flour"' in capsys.readouterr().out


def test_segments_are_the_topics_and_are_named_by_their_words(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = articles(60)
    table = write("articles.csv", rows)
    found = luthier.segment(model, table, num_clusters=2, compare="topic", out="segmented.csv")
    assert found.agreement == pytest.approx(1.0)
    assert found.decisions[0].value == 2
    assert found.silhouette > 0.1
    assert sum(one.size for one in found.segments) == 60
    for one in found.segments:
        topic = next(name for name, words in TOPICS.items() if one.name.split(", ")[0] in words)
        assert set(one.name.split(", ")) <= set(TOPICS[topic])
        assert len(one.examples) == 3
    with Path("segmented.csv").open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    assert [int(row["segment"]) for row in written] == found.numbers.tolist()
    assert [float(row["segment_distance"]) for row in written] == pytest.approx(found.distances.tolist(), abs=1e-6)
    assert [row["topic"] for row in written] == [row["topic"] for row in rows]
    assert command(["segment", model, table, "--compare", "topic", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert len(printed["numbers"]) == 60
    assert printed["decisions"][0]["evidence"]["tried"]["2"] == pytest.approx(found.silhouette, abs=1e-3)
    assert command(["segment", model, table, "--num-clusters", "2"]) == 0
    assert "silhouette" in capsys.readouterr().out


def write_history(rows: list[dict[str, str]]) -> str:
    """Readers of one topic each, who have all read the same article, too."""
    generator, history = np.random.default_rng(1), []
    for reader in range(20):
        own = [row["item"] for row in rows if row["topic"] == list(TOPICS)[reader % 2] and row["item"] != "a0"]
        for item in ["a0", *generator.choice(own, 5, replace=False).tolist()]:
            history.append({"user": f"u{reader}", "item": item})
    return write("read.csv", history)


def test_recommendations_are_like_what_was_liked_and_are_measured(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = articles()
    items, history = write("articles.csv", rows), write_history(rows)
    found = luthier.recommend(model, items, history, top=10)
    found.save("for-you.csv")
    topic = {row["item"]: row["topic"] for row in rows}
    liked: dict[str, set[str]] = {}
    with Path(history).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            liked.setdefault(row["user"], set()).add(row["item"])
    assert len(found.items) == 200
    assert all(item.item not in liked[item.user] and item.because in liked[item.user] for item in found.items)
    of_own_topic = [topic[item.item] == list(TOPICS)[int(item.user[1:]) % 2] for item in found.items]
    assert np.mean(of_own_topic) > 0.7
    assert found.num_measured == 20
    assert found.recall["content"].low <= found.recall["content"].value <= found.recall["content"].high
    assert found.recall["random"].value == pytest.approx(10 / 35)
    with Path("for-you.csv").open(encoding="utf-8", newline="") as file:
        assert [row["item"] for row in csv.DictReader(file)] == [item.item for item in found.items]
    assert command(["recommend", model, items, "--history", history, "--user", "u3", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [item["item"] for item in printed["items"]] == [item.item for item in found.items if item.user == "u3"]
    assert command(["recommend", model, items, "--history", history]) == 0
    assert "left out and looked for" in capsys.readouterr().out


def test_what_all_read_is_recommended_where_taste_follows_fashion(model: str) -> None:
    """Everybody's last article is the same one, about nothing that they had read of: popularity finds it, content does not."""
    rows = [row for row in articles() if row["topic"] == "bread"]
    rows.append({"item": "hit", "text": "harbour anchor wave tide sail", "topic": "sea"})
    history = [
        {"user": f"u{reader}", "item": item}
        for reader in range(15)
        for item in [rows[reader]["item"], rows[(reader + 3) % 20]["item"], "hit"]
    ]
    found = luthier.recommend(model, write("articles.csv", rows), write("read.csv", history), top=3)
    assert found.recall["popular"].value == 1
    assert found.recall["content"].value < 0.5
    assert found.verdict.startswith("Recommend what is popular")


Told = Callable[..., str]


@pytest.fixture
def told(model: str, capsys: pytest.CaptureFixture[str]) -> Told:
    write("articles.csv", articles())
    write("read.csv", [{"user": "ada", "item": "a1"}, {"user": "ada", "item": "a2"}])

    def run(*words: str) -> str:
        assert command([model if word == "MODEL" else word for word in words]) in (1, 2)
        message = capsys.readouterr().err
        assert "\n  Try: " in message or "\n     Try: " in message
        return " ".join(message.split())

    return run


@pytest.mark.parametrize(
    ("words", "problem", "remedy"),
    [
        (("find", "minilmm", "articles.csv", "x"), "minilmm", "minilm"),
        (("find", "MODEL", "articles.csv", " "), "A query is empty", "luthier find MODEL CORPUS"),
        (("find", "MODEL", "nowhere.csv", "x"), "There is no nowhere.csv", "read.csv"),
        (("find", "MODEL", "articles.csv", "x", "--text", "txt"), "no column 'txt'", "--text text"),
        (("find", "MODEL", "articles.csv", "x", "--id", "itm"), "no column 'itm'", "--id item"),
        (("find", "MODEL", "articles.csv", "x", "--top", "0"), "at least 1 is needed", "--top 10"),
        (("segment", "MODEL", "articles.csv", "--num-clusters", "1"), "at least 2", "--num-clusters 5"),
        (
            ("segment", "MODEL", "articles.csv", "--num-clusters", "many"),
            "expected auto or a whole number",
            "--num-clusters auto",
        ),
        (("segment", "MODEL", "articles.csv", "--num-clusters", "90"), "90 are the fewest", "--num-clusters 8"),
        (("segment", "MODEL", "articles.csv", "--compare", "tpic"), "no column 'tpic'", "--compare topic"),
        (("segment", "MODEL", "articles.csv", "--out", "x.pdf"), "Cannot write '.pdf'", "--out x.csv"),
        (("recommend", "MODEL", "articles.csv", "--history", "articles.csv"), "lacks the column user", "user and item"),
        (("recommend", "MODEL", "articles.csv", "--history", "read.csv", "--user", "adda"), "no user 'adda'", "--user ada"),
        (("recommend", "MODEL", "articles.csv", "--history", "read.csv", "--id", "topic"), "no item", "--id COLUMN"),
        (("recommend", "MODEL", "articles.csv", "--history", "read.csv", "--top", "-1"), "at least 1", "--top 10"),
    ],
)
def test_wrong_input_is_told_with_a_way_out(told: Told, words: tuple[str, ...], problem: str, remedy: str) -> None:
    message = told(*words)
    assert problem in message
    assert remedy in message
