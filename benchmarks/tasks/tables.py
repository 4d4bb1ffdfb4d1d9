"""Tables, more than one run of the plain command: five folds of telco_churn, and elec2 in order of time.

    python benchmarks/tasks/tables.py folds OUT             mean area under the ROC curve over five folds
    python benchmarks/tasks/tables.py in-order OUT          price direction of elec2, the last fifth held out
    python benchmarks/tasks/tables.py in-order-lagged OUT   the same with two more columns: the last answer, its mean over a day

Further arguments go to `luthier tune` as they are. Each fold is a whole run: validation is cut from its training part.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedKFold

DATA = Path(os.environ.get("LUTHIER_SHARED", "../shared")) / "data"
FOLDS = 5
Table = list[list[str]]


def read(path: Path) -> tuple[list[str], Table]:
    """Header and rows."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return header, rows


def write(path: Path, header: Sequence[str], rows: Table) -> Path:
    """A table; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def tune(out: Path, train: Path, test: Path, further: Sequence[str]) -> dict[str, dict[str, dict[str, float]]]:
    """One run; scores by model and measure."""
    if not (out / "metrics.json").is_file():
        words = ["tune", "--train", str(train), "--test", str(test), "--out", str(out), "--overwrite", "--quiet", *further]
        subprocess.run([sys.executable, "-m", "luthier", *words], check=False)
    scores: dict[str, dict[str, dict[str, float]]] = json.loads((out / "metrics.json").read_text(encoding="utf-8"))["test"]
    return scores


def folds(out: Path, further: Sequence[str]) -> None:
    """Five folds of telco_churn."""
    header, rows = read(DATA / "telco_churn" / "data.csv")
    labels = [row[header.index("Churn")] for row in rows]
    found: dict[str, list[float]] = {}
    for number, (train, test) in enumerate(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(rows, labels)):
        folder = out / f"fold-{number}"
        files = [
            write(folder / f"{name}.csv", header, [rows[row] for row in part])
            for name, part in (("train", train), ("test", test))
        ]
        scores = tune(folder / "run", *files, ["--target", "Churn", *further])
        scores.setdefault("probe", scores["tuned"])  # the model kept is the probe
        for model, by_measure in scores.items():
            found.setdefault(model, []).append(by_measure["roc_auc"]["value"])
        print({model: round(values[-1], 4) for model, values in found.items()}, flush=True)
    for model, values in found.items():
        print(f"{model}: mean {np.mean(values):.4f}, from {min(values):.4f} to {max(values):.4f} over {len(values)} folds")


def in_order(out: Path, further: Sequence[str], *, lagged: bool) -> None:
    """The last fifth of elec2 held out, the tenth before it to validate; rows stand in order of time."""
    header, rows = read(DATA / "elec2" / "data.csv")
    if lagged:
        header, rows = [*header, "last_class", "day_mean"], with_lags(rows, header.index("class"))
    table = write(out / "elec2.csv", header, rows)
    run = out / "run"
    if not (run / "metrics.json").is_file():
        words = ["tune", str(table), "--target", "class", "--in-order", "--split", "70/10/20", "--out", str(run), "--overwrite"]
        subprocess.run([sys.executable, "-m", "luthier", *words, *further], check=False)
    scores = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["test"]
    for model, by_measure in scores.items():
        print(f"{model}: accuracy {by_measure['accuracy']['value']:.4f}, ROC AUC {by_measure['roc_auc']['value']:.4f}")


def with_lags(rows: Table, target: int) -> Table:
    """Each row with the answer of the row before it, and the mean of up to 48 answers before it; the first has neither."""
    answers = [float(row[target]) for row in rows]
    lags = [("", "")]
    lags += [(rows[row - 1][target], f"{np.mean(answers[max(0, row - 48) : row]):.4f}") for row in range(1, len(rows))]
    return [[*row, *lag] for row, lag in zip(rows, lags, strict=True)]


def main() -> None:
    """Pick one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["folds", "in-order", "in-order-lagged"])
    parser.add_argument("out", type=Path)
    known, further = parser.parse_known_args()
    if known.what == "folds":
        folds(known.out, further)
    else:
        in_order(known.out, further, lagged=known.what == "in-order-lagged")


if __name__ == "__main__":
    main()
