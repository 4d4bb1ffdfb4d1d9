"""How soon does a good model exist? `luthier tune` on banking77 against Hugging Face Trainer fine-tuning everything.

Both have all 10,003 rows of train.csv and make a tenth of them their validation part. The peer trains 5 epochs at each of
three learning rates and counts as the best of them by validation, with the cost of one run; ours is the whole command, from
reading the file to the report. CPU seconds are those of the whole process; the peer's test answers are left out, ours are in.
"""

from collections.abc import Mapping
from typing import Any

from banking77 import accuracy_bar, folder
from measuring import luthier_command, median_of, ratio, run_command, scratch_folder
from results import Bar, Benchmark, Case, Measured, Row, at_least, cost_row
from runner import main
from trainer_peer import run_trainer

LEARNING_RATES = ("1e-4", "3e-4", "5e-5")


def cases(quick: bool) -> list[Case]:
    """The peer at each rate, then our two commands."""
    reduced = {"rows": 1000 if quick else None, "seed": 0}
    peer = {
        **reduced,
        "epochs": 2 if quick else 5,
        "batch_size": 32,
        "frozen_blocks": 0,
        "warmup_fraction": 0,
        "weight_decay": 0,
    }
    rates = LEARNING_RATES[1:2] if quick else LEARNING_RATES
    return [
        *(
            Case(name=f"trainer-{rate}", function="trainer", settings={**peer, "learning_rate": float(rate)}, is_peer=True)
            for rate in rates
        ),
        Case(name="luthier", function="tune", settings={**reduced, "flags": []}),
        Case(name="luthier-full", function="tune", settings={**reduced, "flags": ["--method", "full"]}),
    ]


def tune(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`luthier tune` as a user types it, and what its run folder says."""
    run = scratch_folder() / "run"
    command = [*luthier_command(), "tune", str(folder()), "--out", str(run), "--quiet", "--seed", str(settings["seed"])]
    command += ["--threads", str(settings["threads"]), *settings["flags"]]
    command += [] if settings["rows"] is None else ["--max-rows", str(settings["rows"]), "--rare-classes", "keep"]
    cost = run_command(command, permitted=(0, 3))  # 3: done, but the verdict is "do not keep"
    return {
        "cpu_seconds": cost.cpu_seconds,
        "wall_seconds": cost.wall_seconds,
        "peak_bytes": cost.peak_bytes,
        **read_run(run),
    }


def read_run(run: Any) -> dict[str, Any]:
    """Scores of the model kept and of its probe, which rung was kept, and which test rows were answered rightly."""
    import json

    from luthier.evaluation.predictions import read_predictions

    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    decisions = [json.loads(line) for line in (run / "decisions.jsonl").read_text(encoding="utf-8").splitlines()]
    table = read_predictions(run / "predictions.parquet")["tuned"].table
    rows = sorted(
        table.select(["example_id", "target", "prediction"]).to_pylist(), key=lambda row: _row_number(row["example_id"])
    )
    probe = metrics["test"].get("probe", metrics["test"]["tuned"])
    return {
        "method": [item["value"] for item in decisions if item["name"] == "method"][-1],
        "verdict": metrics["verdict"],
        "validation_accuracy": metrics["validation"].get("tuned"),
        "test_accuracy": metrics["test"]["tuned"]["accuracy"]["value"],
        "probe_test_accuracy": probe["accuracy"]["value"],
        "test_right": "".join("1" if row["target"] == row["prediction"] else "0" for row in rows),
    }


def _row_number(example_id: str) -> int:
    return int(example_id.rpartition(":")[2])


def process_seconds(measured: Measured, name: str) -> float:
    """CPU seconds of one run; of the peer without its answers on validation and test."""
    answers = median_of(measured[name], "phases_cpu.test") if name.startswith("trainer") else 0.0
    return median_of(measured[name], "cpu_seconds") - answers


def best_trainer(measured: Measured) -> str | None:
    """The peer's case that is best on validation, among those measured."""
    names = [name for name in measured if name.startswith("trainer")]
    return max(names, key=lambda name: median_of(measured[name], "validation_accuracy"), default=None)


def bars(measured: Measured) -> list[Bar]:
    """The promises."""
    peer = best_trainer(measured)
    tried = sum(name.startswith("trainer") for name in measured)
    note = f"best of {tried} learning rates by validation: {peer}" if peer else ""
    found = []
    for name, bound in (("luthier", 5.0), ("luthier-full", 8.0)):
        both = peer is not None and name in measured
        value = ratio(process_seconds(measured, peer), process_seconds(measured, name)) if peer and both else None
        found.append(at_least(f"CPU seconds of Trainer / of {name}", value, bound, note=note))
        last = {case: items[-1] for case, items in measured.items()}
        found.append(accuracy_bar(f"test accuracy, {name} against Trainer", last.get(name), last.get(peer or "")))
    if "luthier" in measured:
        ours, probe = (100 * median_of(measured["luthier"], key) for key in ("test_accuracy", "probe_test_accuracy"))
        found.append(at_least("test accuracy of luthier", ours, 93.8, unit=" %", note="promised for the full data"))
        above = at_least("test accuracy of luthier above its probe's", ours - probe, 1e-9, unit=" points")
        found.append(
            Bar(question=above.question, value=above.value, promise="above 0", is_met=above.is_met, note=f"probe {probe:.2f} %")
        )
    return found


def rows(measured: Measured) -> list[Row]:
    """One row a case."""
    return [
        cost_row(
            name,
            items,
            **{
                "process CPU s": process_seconds(measured, name),
                "kept": items[-1].get("method", "full"),
                "validation": f"{median_of(items, 'validation_accuracy'):.2%}",
                "test": f"{median_of(items, 'test_accuracy'):.2%}",
            },
        )
        for name, items in measured.items()
    ]


BENCHMARK = Benchmark(
    name="time_to_accuracy",
    question="How many CPU seconds until a good model of banking77 exists, compared with fine-tuning everything?",
    cases=cases,
    bars=bars,
    rows=rows,
    reductions="1,000 of the 10,003 training rows, 2 of 5 epochs and one of three learning rates for the peer: the "
    "promises are made for the full data, here start-up, the baselines and the 3,080 test rows weigh most.",
    functions={"trainer": run_trainer, "tune": tune},
)

if __name__ == "__main__":
    main(BENCHMARK)
