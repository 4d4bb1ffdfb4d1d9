"""What do thirty trials cost? `luthier search` over probe and top-2 settings on banking77 against trainings by Trainer.

Ours is the whole command: reading, one pass through the frozen model, 30 trials, the final training, test answers and report.
The peers: one 5-epoch Trainer run of everything (measured for `time_to_accuracy`), and the same 30 trials by Trainer, two kinds
of which are measured once each: the last two blocks (for `frozen_prefix`) and the head alone. Thirty are extrapolated from them
by the mix of methods that our trials had; each counted in full, though many of ours were ended early. All trainings of blocks
have 5 epochs at most.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from banking77 import folder
from measuring import luthier_command, median_of, ratio, run_command, scratch_folder
from results import Bar, Benchmark, Case, Measured, Row, at_least, at_most, cost_row, load
from runner import main
from trainer_peer import run_trainer

HERE = Path(__file__).parent
TRIALS = 30
SPACE = {
    "probe": {"probe_penalty": {"log": [1e-5, 1.0]}},
    "top-blocks:2": {
        "learning_rate": {"log": [1e-4, 2e-3]},
        "head_learning_rate": {"log": [6e-4, 1e-2]},
        "weight_decay": {"log": [1e-3, 0.1]},
        "label_smoothing": {"uniform": [0.0, 0.2]},
    },
}
RECIPE = {"epochs": 5, "batch_size": 32, "learning_rate": 5e-4, "warmup_fraction": 0.1, "weight_decay": 0.01, "seed": 0}
# Where other benchmarks keep peers that did the same work: file, case.
FULL, TOP_BLOCKS = ("time_to_accuracy", "trainer-1e-4"), ("frozen_prefix", "trainer")
FULL_QUICK = ("time_to_accuracy", "trainer-3e-4")


def cases(quick: bool) -> list[Case]:
    """Our search; the head alone by Trainer, every block and the embeddings frozen."""
    rows, epochs = (1500, 3) if quick else (None, 5)
    ours = {"rows": rows, "trials": 6 if quick else TRIALS, "epochs": epochs, "seed": 0}
    probe = {**RECIPE, "rows": rows, "epochs": epochs, "frozen_blocks": 6}
    return [
        Case(name="search", function="search", settings=ours),
        Case(name="trainer-probe", function="trainer", settings=probe, is_peer=True),
    ]


def search(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`luthier search` as a user types it, and what its folder says."""
    scratch = scratch_folder()
    spec, out = scratch / "search.yaml", scratch / "search"
    # JSON is YAML.
    training = {"num_epochs": settings["epochs"], "method": {"choice": SPACE}}
    spec.write_text(json.dumps({"sources": [str(folder())], "training": training}), encoding="utf-8")
    command = [*luthier_command(), "search", str(spec), "--out", str(out), "--trials", str(settings["trials"]), "--quiet"]
    command += ["--seed", str(settings["seed"]), "--threads", str(settings["threads"])]
    command += [] if settings["rows"] is None else ["--max-rows", str(settings["rows"]), "--rare-classes", "keep"]
    cost = run_command(command, permitted=(0, 3))  # 3: done, but the verdict is "do not keep"
    record = json.loads((out / "search.json").read_text(encoding="utf-8"))
    metrics = json.loads((out / "best" / "metrics.json").read_text(encoding="utf-8"))
    methods = [trial["values"]["training.method"] for trial in record["trials"]]
    return {
        "cpu_seconds": cost.cpu_seconds,
        "wall_seconds": cost.wall_seconds,
        "peak_bytes": cost.peak_bytes,
        "trials": len(methods),
        "probes": methods.count("probe"),
        "ended_early": sum(trial["state"] == "pruned" for trial in record["trials"]),
        "optimism": (record["optimism"] or {}).get("amount"),
        "best_validation": next(trial["score"] for trial in record["trials"] if trial["number"] == record["best"]),
        "test_accuracy": metrics["test"]["tuned"]["accuracy"]["value"],
    }


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What another benchmark has measured of a peer.

    Attributes:
        seconds: CPU seconds of its process without its answers.
        where: How it was measured, in words: with other threads or on a busier machine a CPU second is another one.
    """

    seconds: float
    where: str


def stored(place: tuple[str, str], *, quick: bool) -> Stored | None:
    """A peer as another benchmark has measured it; None if it has not."""
    name, case = place
    found = [item for item in load(HERE / "peers" / f"{name}{'-quick' if quick else ''}.json") if item["case"] == case]
    if not found:
        return None
    last = found[-1]
    threads, speed = last["settings"].get("threads", 2), last["environment"]["calibration"]["float32"]
    where = f"by {name}, {threads} thread{'s' if threads > 1 else ''}, machine {speed:.0f}"
    return Stored(seconds=last["cpu_seconds"] - last["phases_cpu"]["test"], where=where)


def bars(measured: Measured) -> list[Bar]:
    """The promises."""
    ours = measured.get("search")
    quick = bool(ours) and ours[-1]["settings"]["rows"] is not None
    full, blocks = stored(FULL_QUICK if quick else FULL, quick=quick), stored(TOP_BLOCKS, quick=quick)
    cost = median_of(ours, "cpu_seconds") if ours else None
    head = measured.get("trainer-probe")
    share = None
    note = "needs search, trainer-probe, and the peers of time_to_accuracy and frozen_prefix"
    if ours and head and blocks:
        last = ours[-1]
        probe = median_of(head, "cpu_seconds") - median_of(head, "phases_cpu.test")
        by_trainer = last["probes"] * probe + (last["trials"] - last["probes"]) * blocks.seconds
        share = ratio(by_trainer, median_of(ours, "cpu_seconds"))
        note = (
            f"extrapolated from two trainings: {last['probes']} times the head alone ({probe:.0f} s) and "
            f"{last['trials'] - last['probes']} times the last two blocks ({blocks.seconds:.0f} s, {blocks.where})"
        )
    return [
        at_most(
            "CPU seconds of the search / of one 5-epoch Trainer run of everything",
            ratio(cost, full.seconds) if cost and full else None,
            2.0,
            unit=" times",
            note=f"that run: {full.seconds:.0f} s, {full.where}" if full else "needs the peer of time_to_accuracy",
        ),
        at_least("CPU seconds of the same trials by Trainer / of the search", share, 10.0, note=note),
    ]


def rows(measured: Measured) -> list[Row]:
    """One row a case."""
    return [
        cost_row(
            name,
            items,
            **{
                "trials": items[-1].get("trials", 1),
                "of them probes": items[-1].get("probes", ""),
                "ended early": items[-1].get("ended_early", ""),
                "test": f"{median_of(items, 'test_accuracy'):.2%}",
            },
        )
        for name, items in measured.items()
    ]


BENCHMARK = Benchmark(
    name="search",
    question="What does a search of 30 trials cost, beside one training of everything and beside the same trials by Trainer?",
    cases=cases,
    bars=bars,
    rows=rows,
    reductions="1,500 of the 10,003 training rows, 6 trials, 3 epochs for the peer: start-up, the baselines and the 3,080 test "
    "rows weigh most, so the promises, made for the full data, are not expected to hold.",
    functions={"trainer": run_trainer, "search": search},
)

if __name__ == "__main__":
    main(BENCHMARK)
