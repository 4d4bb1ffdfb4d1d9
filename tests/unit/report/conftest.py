"""Run folders with plausible records, made from simulated answers: what the report is tested, and looked at, with."""

import base64
import io
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from luthier.core.decision import Decision
from luthier.core.process import Cost
from luthier.core.storage import append_line, write_json, write_text
from luthier.evaluation.calibration import calibration_error, confidences, reliability_curve
from luthier.evaluation.per_class import class_scores, confusion_matrix
from luthier.evaluation.predictions import classification_predictions, write_predictions
from luthier.evaluation.records import Comparison, Interval, Metrics, Predictions

SUPPORT = (
    "delivery late", "damaged parcel", "billing", "returns", "device defect", "account access", "warranty", "other",
)  # fmt: skip
STEMS = [
    "card arrival",
    "cash withdrawal",
    "transfer",
    "top up",
    "exchange rate",
    "direct debit",
    "PIN",
    "refund",
    "verification",
]
ENDS = ["pending", "declined", "fee charged", "not recognised", "limit", "not working", "wrong amount", "timing", "cancelled"]
MESSAGES = (
    "my parcel says delivered since tuesday but nobody rang and nothing is in the letterbox?!",
    "Hi, I was charged twice for the same order last week. Could you please look into it and refund one of the payments?",
    "The charger gets so hot that I don't dare to leave it plugged in overnight.",
    "pls cancel",
    "I have been trying to log in for two days. The reset mail never comes, I checked the spam folder. This is the third time "
    "I write, and every time I get the same automatic answer that does not help at all.",
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a simulated run is like."""

    name: str
    labels: tuple[str, ...]
    accuracies: Mapping[str, float]
    absent: Mapping[str, str]
    verdict: str
    reason: str
    recommended: str = "tuned"
    num_test: int = 400
    task: str = "text-classification"
    model: str = "minilm"


CASES = {
    "tickets": Case(
        name="tickets",
        labels=SUPPORT,
        accuracies={"majority": 0.19, "classic": 0.81, "pretrained": 0.78, "probe": 0.872, "tuned": 0.915},
        absent={"scratch": "not asked for; add --compare-scratch"},
        verdict="keep",
        reason="The tuned model beats majority, classic and pretrained (each p < 0.001 after Holm's correction) and is not "
        "significantly worse than the probe.",
    ),
    "banking": Case(
        name="banking",
        labels=tuple(f"{stem} {end}" for stem in STEMS for end in ENDS)[:77],
        accuracies={"majority": 0.013, "classic": 0.874, "pretrained": 0.806, "probe": 0.931, "tuned": 0.936},
        absent={"scratch": "not asked for; add --compare-scratch"},
        verdict="keep with care",
        reason="The tuned model beats every model that needed no tuning, but the probe is within one standard error of it "
        "(difference 0.5 points, standard error 0.6): the cheaper model is recommended.",
        recommended="probe",
        num_test=3080,
    ),
    "insects": Case(
        name="insects",
        labels=("ants", "bees"),
        accuracies={"majority": 0.54, "pretrained": 0.948, "probe": 0.954, "tuned": 0.935},
        absent={"classic": "no classic baseline for images yet", "scratch": "not asked for; add --compare-scratch"},
        verdict="do not keep",
        reason="The tuned model does not beat the pre-trained model as it comes (difference −1.3 points, p = 0.69).",
        recommended="pretrained",
        num_test=153,
        task="image-classification",
        model="mobilenet_v2",
    ),
}  # fmt: skip


def simulate_answers(case: Case, accuracy: float, seed: int) -> Predictions:
    """Answers that are right with about the given probability; each label is mostly taken for its neighbour."""
    generator = np.random.default_rng(seed)
    num_labels, n = len(case.labels), case.num_test
    targets = np.sort(np.random.default_rng(0).choice(num_labels, n, p=label_shares(num_labels)))
    hardness = np.linspace(1.9, 0.1, num_labels)[targets]
    wrong = generator.random(n) < (1 - accuracy) * hardness
    answers = np.where(wrong, (targets + generator.choice([1, 1, 1, 2], n)) % num_labels, targets)
    logits = generator.normal(0, 1, (n, num_labels))
    logits[np.arange(n), answers] += np.where(wrong, generator.uniform(3, 7, n), generator.uniform(4, 10, n))
    logits[np.arange(n), answers] = np.maximum(logits[np.arange(n), answers], logits.max(axis=1) + 0.01)
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return classification_predictions(
        example_ids=[f"{case.name}.csv:{row + 2}" for row in range(n)],
        targets=[case.labels[target] for target in targets],
        probs=probs,
        labels=case.labels,
    )


def label_shares(num_labels: int) -> np.ndarray:
    """A mildly uneven distribution."""
    shares = np.linspace(1.6, 0.5, num_labels)
    return np.asarray(shares / shares.sum())


def metrics_of(case: Case, tuned: Predictions) -> Metrics:
    """The metrics of a case: scores as given, what is per label counted from the answers."""
    confidence, right = confidences(tuned)
    value = case.accuracies["tuned"]
    error = np.sqrt(value * (1 - value) / case.num_test)
    return Metrics(
        task=case.task,
        primary_measure="accuracy",
        directions={"accuracy": "higher", "macro_f1": "higher", "log_loss": "lower"},
        verdict=case.verdict,
        verdict_reason=case.reason,
        recommended=case.recommended,
        n=case.num_test,
        test={name: scores_of(score, case.num_test) for name, score in case.accuracies.items()},
        comparisons=[
            Comparison(
                a="tuned", b=name, measure="accuracy", difference=value - other, low=value - other - 2 * error,
                high=value - other + 2 * error, p=0.2, p_holm=0.0123 if value - other > 2 * error else 0.69,
                standard_error=float(error), test="McNemar's exact test",
            )
            for name, other in case.accuracies.items() if name != "tuned"
        ],
        absent=case.absent,
        cost={
            name: Cost(cpu_seconds=seconds, wall_seconds=seconds / 1.9, peak_memory_bytes=900 * 2**20)
            for name, seconds in {"majority": 0.0, "classic": 4.2, "pretrained": 21.0, "probe": 23.5, "tuned": 254.0}.items()
            if name in case.accuracies
        },
        per_class=[vars(score) for score in class_scores(tuned)],
        confusion=confusion_matrix(tuned).tolist(),
        labels=case.labels,
        calibration={
            "probe": {"expected_calibration_error": 0.031},
            "tuned": {
                "expected_calibration_error": calibration_error(confidence, right),
                "best_temperature": 1.31,
                "curve": [vars(point) for point in reliability_curve(confidence, right)],
            },
        },
        seeds=(0,),
    )  # fmt: skip


def scores_of(accuracy: float, n: int) -> dict[str, Interval]:
    """A model's scores with intervals of the size they would have."""
    error = 1.96 * np.sqrt(accuracy * (1 - accuracy) / n)
    macro = accuracy - 0.011
    return {
        "accuracy": Interval(value=accuracy, low=accuracy - error, high=min(accuracy + error, 1)),
        "macro_f1": Interval(value=macro, low=macro - 1.2 * error, high=min(macro + 1.2 * error, 1)),
        "log_loss": Interval(value=1.2 - accuracy, low=1.1 - accuracy, high=1.3 - accuracy),
    }


def write_run(folder: Path, case: Case) -> Path:
    """Write a whole run folder for a case."""
    folder.mkdir(parents=True, exist_ok=True)
    tuned = simulate_answers(case, case.accuracies["tuned"], 1)
    write_json(folder / "metrics.json", metrics_of(case, tuned))
    write_predictions(
        folder / "predictions.parquet", tuned, others={"probe": simulate_answers(case, case.accuracies["probe"], 2)}
    )
    write_text(folder / "spec.yaml", spec_text(case))
    write_json(folder / "findings.json", findings_of(case))
    for decision in decisions_of(case):
        append_line(folder / "decisions.jsonl", decision)
    for event in journal_of(case):
        append_line(folder / "journal.jsonl", event)
    return folder


def spec_text(case: Case) -> str:
    """A spec as a run resolves it."""
    return (
        f"sources:\n- {case.name}.csv\ndata:\n  target: category\n  text: message\n  split: 80/10/10\n"
        f"model:\n  name: {case.model}\n"
        "training:\n  method: auto\n  num_epochs: 5\n  learning_rate: 0.0003\n  batch_size: 32\n  seed: 0\n"
    )


def decisions_of(case: Case) -> list[Decision[Any]]:
    """A few decisions of each shape."""
    return [
        Decision(name="target", value="category", reason=f"The only column with few values ({len(case.labels)}) that is not a "
                 "date.", evidence={"distinct": len(case.labels), "rows": 10 * case.num_test}, override="--target COLUMN"),
        Decision(name="task", value=case.task, reason="One input column and one label per row.", override="--task NAME"),
        Decision(name="split", value={"train": 8 * case.num_test, "validation": case.num_test, "test": case.num_test},
                 reason="No parts were given: 80/10/10, every label in the same proportion.", override="--split 70/15/15"),
        Decision(name="model", value=case.model, reason="The default for this kind of data; it was found on this machine.",
                 override="--model NAME"),
        Decision(name="precision", value="bfloat16", reason="This processor multiplies bfloat16 natively.",
                 evidence={"amx_bf16": True}, override="--precision float32"),
        Decision(name="learning_rate", value=0.0003, reason="The default of this model family for top blocks.",
                 override="--learning-rate 1e-4"),
    ]  # fmt: skip


def findings_of(case: Case) -> dict[str, Any]:
    """What checks usually find."""
    shares = label_shares(len(case.labels))
    parts = {"train": 8 * case.num_test, "validation": case.num_test, "test": case.num_test}
    ids = [f"{case.name}.csv:{row}" for row in (17, 92, 105, 230)]
    role = "image" if case.task.startswith("image") else "text"
    return {
        "schema_version": 1,
        "data": {
            "name": case.name,
            "files": [f"{case.name}.csv"],
            "columns": [
                {"name": "message", "kind": role, "missing": 4, "distinct": 1186, "mean_words": 19.4, "examples": []},
                {"name": "category", "kind": "category", "missing": 0, "distinct": 8, "mean_words": 1.2, "examples": []},
                {"name": "queue_code", "kind": "category", "missing": 0, "distinct": 8, "mean_words": 1, "examples": []},
            ],
            "roles": {role: "message", "target": "category"},
            "parts": parts,
            "class_counts": {
                label: {part: round(share * count) for part, count in parts.items()}
                for label, share in zip(case.labels, shares, strict=True)
            },
        },
        "findings": [
            {
                "check": "imbalance",
                "severity": "info",
                "problem": "The most frequent label is 3.2 times as frequent as the rarest.",
                "remedy": "read macro-F1 and the table of classes beside accuracy",
                "part": "train",
                "evidence": {"ratio": 3.2},
            },
            {
                "check": "duplicates",
                "severity": "warning",
                "problem": "23 rows repeat an earlier row of the same part. First rows: 17, 92, 105.",
                "remedy": "nothing to do: 23 rows are left out; `--duplicates keep` uses them all the same",
                "count": 23,
                "part": "train",
                "by_default": True,
                "examples": ids,
            },
            {
                "check": "leak",
                "severity": "error",
                "problem": "Column 'queue_code' gives the label away: each of its values has one label only. A model that "
                "sees it would look perfect and be useless.",
                "remedy": "nothing to do: it is used for nothing; `--ignore queue_code` hides this line",
                "count": 1,
                "by_default": True,
                "evidence": {"purity": 1.0},
            },
            {
                "check": "conflicts",
                "severity": "warning",
                "problem": "6 texts have two different labels. First rows: 230, 311.",
                "remedy": "`--conflicts drop` (leaves out 12 rows)",
                "count": 12,
                "examples": ids[3:],
            },
        ],
        "removals": [
            {"check": "duplicates", "count": 23, "part": "train", "reason": "repeats of an earlier row"},
            {"check": "missing", "count": 4, "part": "train", "reason": "no text"},
            {"check": "leak", "count": 1, "part": "", "column": "queue_code", "reason": "gives the label away"},
        ],
    }  # fmt: skip


MACHINE = {
    "cpu": "Imagined Processor 9",
    "cores": 4,
    "memory_bytes": 8 << 30,
    "system": "Linux 6.1",
    "python": "3.11.9",
    "packages": {"luthier": "0.1.0", "torch": "2.13.0"},
}


def journal_of(case: Case) -> list[dict[str, Any]]:
    """Three rungs: a probe without steps, top blocks that help, all blocks that do not."""
    probe, top = case.accuracies["probe"], case.accuracies["tuned"]
    events: list[dict[str, Any]] = [{"event": "started", "machine": MACHINE}]
    events += rung_events("probe", boundary=6, parameters=29_568, scores=[probe + 0.002], steps=0)
    events += rung_events(
        "top-blocks:2", boundary=4, parameters=3_579_000, scores=[probe + gain * (top - probe) for gain in (0.2, 0.7, 1, 0.9)]
    )
    events += rung_events("full", boundary=0, parameters=22_700_000, scores=[top - 0.01, top + 0.001, top], kept=False)
    return events


def rung_events(
    rung: str, *, boundary: int, parameters: int, scores: Sequence[float], steps: int = 120, kept: bool = True
) -> list[dict[str, Any]]:
    """The events of one rung: a noisy falling loss, and an evaluation after each epoch."""
    generator = np.random.default_rng(len(rung))
    events: list[dict[str, Any]] = [
        {"event": "rung_started", "rung": rung, "boundary": boundary, "num_blocks": 6, "trainable_parameters": parameters,
         "learning_rate": 3e-4 if steps else None}
    ]  # fmt: skip
    for step in range(1, steps * len(scores) + 1):
        loss = 0.25 + 0.9 * float(np.exp(-step / 90)) + 0.05 * float(generator.normal())
        events.append({"event": "step", "rung": rung, "step": step, "epoch": step / steps, "loss": loss, "gradient_norm": 1.0})
    for epoch, score in enumerate(scores, 1):
        events.append({"event": "evaluation", "rung": rung, "step": epoch * steps, "epoch": epoch, "loss": 1 - score,
                       "scores": {"accuracy": score, "macro_f1": score - 0.01}, "best": score == max(scores)})  # fmt: skip
    first = rung == "probe"
    events.append(
        {"event": "rung_finished", "rung": rung, "score": max(scores), "difference": None if first else 0.0123,
         "standard_error": None if first else 0.0051, "kept": kept,
         "reason": "where the ladder starts" if first else "better by more than one standard error" if kept else
         "within one standard error: the cheaper rung wins",
         "cost": {"cpu_seconds": 2.0 + 0.6 * steps, "wall_seconds": 1.1 + 0.3 * steps, "peak_memory_bytes": 900 * 2**20}}
    )  # fmt: skip
    return events


def texts_of(case: Case) -> dict[str, str]:
    """A text for each example of a case."""
    return {f"{case.name}.csv:{row}": MESSAGES[row % len(MESSAGES)] for row in range(case.num_test + 20)}


def thumbnail(seed: int) -> str:
    """A small picture as a data URI."""
    from PIL import Image

    generator = np.random.default_rng(seed)
    small = Image.fromarray(generator.integers(60, 220, (5, 6, 3), dtype=np.uint8)).resize((192, 160), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture(scope="session")
def finished_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folders of all cases, written once; tests get copies."""
    folder = tmp_path_factory.mktemp("finished")
    for name, case in CASES.items():
        write_run(folder / name, case)
    return folder


@pytest.fixture
def make_run(finished_runs: Path, tmp_path: Path) -> Callable[..., Path]:
    """Makes the run folder of a case, with some of its fields changed: `make_run("tickets", labels=...)`."""

    def make(name: str, **changes: Any) -> Path:
        if changes:
            return write_run(tmp_path / name, replace(CASES[name], **changes))
        return Path(shutil.copytree(finished_runs / name, tmp_path / name))

    return make


@pytest.fixture
def tickets(make_run: Callable[..., Path]) -> Path:
    """The run folder of a plain text run."""
    return make_run("tickets")


@pytest.fixture(scope="session")
def picture() -> str:
    """A thumbnail of a few kilobytes."""
    return thumbnail(0)
