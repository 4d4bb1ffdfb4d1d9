"""Vectors of texts: from queries and documents, triplets, labels and scored pairs to a tuned, measured, saved model."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import luthier
from luthier.core.storage import read_json
from luthier.package.predict import predict_source
from luthier.testing.folders import tiny_text_model

# A query's word, and the word by which its documents go: no word in common, so that it has to be learnt.
MEANT = {"cash": "refund", "box": "parcel", "display": "screen", "bill": "invoice", "noisy": "broken", "slow": "late"}
FILLERS = ("please", "the", "my", "again", "since", "monday", "and", "was", "very", "today", "so", "help", "when", "really")
FAST = {"learning_rate": 5e-3, "head_learning_rate": 0.1}  # for networks that know nothing yet
RUN: Mapping[str, Any] = {"threads": 1, "precision": "float32", "bootstrap_samples": 200, "preflight": False}


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return str(tiny_text_model(tmp_path / "tiny", words=[*MEANT, *MEANT.values(), *FILLERS], num_blocks=2))


def sentence(word: str, generator: np.random.Generator) -> str:
    words = [word, word, *generator.choice(FILLERS, 4)]
    return " ".join(generator.permutation(words))


def write_benchmark(folder: Path, *, queries: int = 72, documents: int = 60) -> Path:
    """BEIR's layout: every query's word has ten documents."""
    generator, words = np.random.default_rng(0), list(MEANT)
    (folder / "qrels").mkdir(parents=True)
    corpus = [
        {"_id": f"d{place}", "title": "", "text": sentence(MEANT[words[place % len(words)]], generator)}
        for place in range(documents)
    ]
    asked = [{"_id": f"q{place}", "text": sentence(words[place % len(words)], generator)} for place in range(queries)]
    judged = ["query-id\tcorpus-id\tscore"]
    for place in range(queries):
        relevant = np.arange(place % len(words), documents, len(words))
        judged += [f"q{place}\td{document}\t{1 + number % 2}" for number, document in enumerate(relevant)]
    for name, rows in (("corpus", corpus), ("queries", asked)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "qrels" / "test.tsv").write_text("\n".join(judged) + "\n", encoding="utf-8")
    return folder


def test_queries_and_documents_are_tuned_measured_reported_and_saved(model: str, tmp_path: Path) -> None:
    folder = write_benchmark(tmp_path / "shop")
    run = luthier.tune(folder, model=model, method="full", num_epochs=3, **FAST, split="60/20/20", **RUN)
    metrics = run.card.metrics
    assert metrics.task == "text-retrieval"
    assert metrics.primary_measure == "ndcg_at_10"
    assert read_json(run.folder / "findings.json")["data"]["name"] == "shop"
    assert set(metrics.test) >= {"majority", "classic", "pretrained", "tuned"}
    assert metrics.test["tuned"]["ndcg_at_10"].value > metrics.test["classic"]["ndcg_at_10"].value + 0.1
    assert metrics.n == 14
    assert sum(metrics.details["rankings"].values()) == metrics.n
    report = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "The worst rankings" in report
    assert "BM25" in report

    table = pq.read_table(run.folder / "predictions.parquet").to_pylist()
    assert all(len(row["prediction"]) == 60 and row["prediction"][0].startswith("d") for row in table)
    assert all(len(row["target"].split(", ")) == row["num_relevant"] == 10 for row in table)

    loaded = luthier.load_model(run.model_path)
    texts = ["my cash please", "the parcel was very late again today", ""]
    vectors = np.stack(loaded.predict(texts))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(vectors, from_sentence_transformers(run.model_path, texts), atol=1e-5)
    (tmp_path / "new.csv").write_text("text\nmy cash\nthe box\n", encoding="utf-8")
    with pytest.raises(luthier.SpecError, match="no probabilities"):
        predict_source(run.model_path, "new.csv", out=Path("vectors.parquet"), probs=True)
    predict_source(run.model_path, "new.csv", out=Path("vectors.parquet"))
    assert np.asarray(pq.read_table("vectors.parquet")["vector"].to_pylist()).shape == (2, 16)


def from_sentence_transformers(folder: Path, texts: list[str]) -> np.ndarray:
    """The same vectors by the library whose layout the folder has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sentence_transformers import SentenceTransformer

        return np.asarray(SentenceTransformer(str(folder), device="cpu").encode(texts))


def losses(folder: Path) -> list[float]:
    events = [json.loads(line) for line in (folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    return [event["loss"] for event in events if event["event"] == "step"]


def rates(folder: Path) -> dict[str, list[float]]:
    events = [json.loads(line) for line in (folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    found: dict[str, list[float]] = {}
    for event in (event for event in events if event["event"] == "step"):
        found.setdefault(event["rung"], []).append(event["learning_rate"])
    return found


def test_the_store_gives_the_same_losses_as_computing_everything(model: str, tmp_path: Path) -> None:
    folder = write_benchmark(tmp_path / "shop")
    settings = {"model": model, "method": "top-blocks:1", "num_epochs": 1, "split": "60/20/20", **RUN}
    runs = [luthier.tune(folder, store=store, out=f"run-{store}", **settings) for store in ("float32", "off")]
    stored, computed = (losses(run.folder) for run in runs)
    assert len(stored) > 3
    assert stored == pytest.approx(computed, abs=1e-5)
    decisions = [read_decisions(run.folder)["store"] for run in runs]
    assert decisions[0] == "float32"
    assert max(rates(runs[0].folder)["top-blocks:1"]) == pytest.approx(1e-4, rel=0.2)  # a fifth of the method's own
    assert decisions[1] == "off"


def read_decisions(folder: Path) -> dict[str, Any]:
    lines = (folder / "decisions.jsonl").read_text(encoding="utf-8").splitlines()
    return {item["name"]: item["value"] for item in map(json.loads, lines)}


@pytest.mark.parametrize("method", ["probe", "lora:2", "gradual"])
def test_every_method_learns_from_triplets(model: str, tmp_path: Path, method: str) -> None:
    generator, words = np.random.default_rng(1), list(MEANT)
    rows = ["anchor,positive,negative"]
    for place in range(60):
        word, other = words[place % len(words)], words[(place + 1) % len(words)]
        rows.append(f"{sentence(word, generator)},{sentence(MEANT[word], generator)},{sentence(MEANT[other], generator)}")
    (tmp_path / "triplets.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    run = luthier.tune("triplets.csv", model=model, method=method, num_epochs=2, split="60/20/20", **RUN)
    metrics = run.card.metrics
    assert metrics.task == "text-retrieval"
    assert metrics.n == 12
    table = pq.read_table(run.folder / "predictions.parquet").to_pylist()
    assert all(row["target"].startswith("triplets.csv:") and row["target"].endswith("#positive") for row in table)
    assert all(len(row["prediction"]) == 100 for row in table)  # of 120 texts: positives and negatives


def test_texts_of_one_label_are_found_among_those_of_train(model: str, tmp_path: Path) -> None:
    generator, words = np.random.default_rng(2), list(MEANT)
    rows = [f"{sentence(words[place % 6], generator)},{words[place % 6]}" for place in range(90)]
    (tmp_path / "texts.csv").write_text("\n".join(["text,topic", *rows]) + "\n", encoding="utf-8")
    run = luthier.tune("texts.csv", task="text-retrieval", model=model, method="full", num_epochs=2, **FAST, **RUN)
    table = pq.read_table(run.folder / "predictions.parquet").to_pylist()
    split = pq.read_table(run.folder / "split.parquet").to_pylist()
    train = {row["example_id"] for row in split if row["part"] == "train"}
    assert all(set(row["prediction"]) <= train for row in table)
    assert all(row["target"] in MEANT for row in table)
    assert run.card.metrics.test["tuned"]["ndcg_at_10"].value > run.card.metrics.test["majority"]["ndcg_at_10"].value


def test_scored_pairs_are_ordered_by_the_cosine_of_their_vectors(model: str, tmp_path: Path) -> None:
    generator, words = np.random.default_rng(3), list(MEANT)
    rows = ["text_a,text_b,score"]
    for _ in range(200):
        first, second = generator.choice(6, 2)
        score = (5 if first == second else 1) + generator.random()
        rows.append(f"{sentence(words[first], generator)},{sentence(words[second], generator)},{score:.2f}")
    (tmp_path / "pairs.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    run = luthier.tune("pairs.csv", task="text-similarity", model=model, method="full", num_epochs=6, **FAST, **RUN)
    metrics = run.card.metrics
    assert metrics.primary_measure == "spearman"
    assert metrics.test["majority"]["spearman"].value == 0
    assert metrics.test["tuned"]["spearman"].value > metrics.test["pretrained"]["spearman"].value
    answers = luthier.load_model(run.model_path).predict([("my cash", "my cash"), ("my cash", "the late box")])
    assert answers[0] == pytest.approx(1, abs=1e-5)
    assert -1 <= answers[1] <= 1
    assert "The worst comparisons" in (run.folder / "report.html").read_text(encoding="utf-8")
    assert read_json(run.folder / "metrics.json")["answer_kind"] == "similarity"


@pytest.mark.parametrize("way", ["model:2", "bm25:1"])
def test_mined_negatives_are_told_and_never_belong_to_their_query(model: str, tmp_path: Path, way: str) -> None:
    folder = write_benchmark(tmp_path / "shop")
    settings = {"model": model, "method": "probe", "num_epochs": 1, "split": "60/20/20", **RUN}
    run = luthier.tune(folder, hard_negatives=way, **settings)
    lines = (run.folder / "decisions.jsonl").read_text(encoding="utf-8").splitlines()
    decision = next(item for item in map(json.loads, lines) if item["name"] == "hard_negatives")
    assert decision["evidence"]["queries"] == 43
    assert 0 < decision["evidence"]["documents"] <= 2 * 43
    assert ("BM25's" if way.startswith("bm25") else "the frozen model's") in decision["reason"]
    plain = luthier.tune(folder, out="plain", **settings)
    assert losses(run.folder)[0] > losses(plain.folder)[0]  # there is more to tell apart
