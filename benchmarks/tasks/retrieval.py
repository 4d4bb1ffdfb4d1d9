"""Five 60/40 splits of a retrieval benchmark's queries: learn on 60 per cent, of which a fifth chooses, and score the other 40.

    python benchmarks/tasks/retrieval.py FOLDER OUT [--method M] [--model NAME] [--threads N] [any flag of luthier tune]

FOLDER holds a benchmark in BEIR's layout. Each split is one run of `luthier tune FOLDER --split 48/12/40 --seed S`; nothing of
the 40 per cent is looked at before its scores are written. What is printed: the scores of every model on each split, their
means, and how often the tuned model is above BM25. Beside the card's BM25, which knows no language, stands one with English
stop words and endings cut off, computed here for the same queries.
"""

import argparse
import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from luthier.cli.main import run as command
from luthier.data.relevance import read_relevance
from luthier.evaluation import bm25
from luthier.evaluation.measures.retrieval import gain
from luthier.evaluation.nearest import best_places

SEEDS = range(5)
MEASURE = "ndcg_at_10"
ENDINGS = ("ies", "es", "s", "ing", "ed", "ly")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("out", type=Path)
    arguments, flags = parser.parse_known_args()
    found = []
    for seed in SEEDS:
        out = arguments.out / f"split-{seed}"
        asked = ["tune", arguments.folder, "--split", "48/12/40", "--seed", str(seed), "--out", str(out), *flags]
        if not (out / "manifest.json").is_file() and command(asked) not in (0, 3):
            raise SystemExit(1)
        metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
        scores = {model: values[MEASURE]["value"] for model, values in metrics["test"].items()}
        found.append({**scores, "bm25, English": english_bm25(arguments.folder, out)})
        print(f"split {seed}: " + ", ".join(f"{model} {score:.4f}" for model, score in found[-1].items()), flush=True)
    names = [name for name in found[0] if all(name in scores for scores in found)]
    means = {name: float(np.mean([scores[name] for scores in found])) for name in names}
    print("mean:    " + ", ".join(f"{model} {score:.4f}" for model, score in means.items()))
    for other in ("classic", "bm25, English", "pretrained"):
        gains = [scores["tuned"] - scores[other] for scores in found]
        print(f"tuned above {other} on {sum(gain > 0 for gain in gains)} of {len(gains)} splits, by {np.mean(gains):+.4f}")
    (arguments.out / "splits.json").write_text(json.dumps({"splits": found, "means": means}, indent=1), encoding="utf-8")


def english_bm25(folder: str, run: Path) -> float:
    """nDCG@10 on the test queries of a run, by BM25 with stop words left out and endings cut off."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    def stem(word: str) -> str:
        ending = next((ending for ending in ENDINGS if word.endswith(ending) and len(word) > len(ending) + 3), "")
        return word.removesuffix(ending)

    def simplified(text: str) -> str:
        words = re.findall(r"\w+", text.lower())
        return " ".join(stem(word) for word in words if word not in ENGLISH_STOP_WORDS)

    from luthier.data.load import load_source
    from luthier.data.settings import DataSettings

    source = load_source([folder], DataSettings())
    parts = {row["example_id"]: row["part"] for row in pq.read_table(run / "split.parquet").to_pylist()}
    rows = source.table.to_pylist()
    documents = [rows[row] for row in source.corpus]
    index = bm25.Bm25.build([simplified(row["text"]) for row in documents])
    values = []
    for row in rows[: len(rows) - len(documents)]:
        if parts.get(row["example_id"]) != "test":
            continue
        wanted = read_relevance(row["relevant"]) or {}
        places = best_places(index.scores([simplified(row["text"])]), 10)[0]
        grades = np.array([[wanted.get(documents[place]["_id"], 0.0) for place in places]])
        ideal = np.array([sorted(wanted.values(), reverse=True)[:10]])
        values.append(float(gain(grades, 10)[0] / gain(ideal, 10)[0]))
    return float(np.mean(values))


if __name__ == "__main__":
    main()
