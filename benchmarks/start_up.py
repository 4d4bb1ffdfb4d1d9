"""How long does one wait before anything happens? `luthier --help`, `luthier check` on a small table and on a million rows.

Wall seconds on the clock, the median of fresh processes. Beside them: importing the Trainer of transformers, which is what a
training script of one's own waits for.
"""

import csv
import random
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from banking77 import load_parts
from measuring import Cost, luthier_command, median_of, run_command, scratch_folder
from results import Bar, Benchmark, Case, Measured, Row, at_most, cost_row
from runner import main

HEAVY = ("torch", "transformers", "sklearn", "scipy", "matplotlib", "accelerate")
NUM_SMALL_ROWS = 200


def cases(quick: bool) -> list[Case]:
    """Start of the two commands, the large table, and the peer."""
    runs = 5 if quick else 15
    return [
        Case(name="help", function="start", settings={"arguments": ["--help"], "runs": runs}),
        Case(name="check-small", function="start", settings={"arguments": ["check", "small.csv"], "runs": runs}),
        Case(name="check-million", function="check_large", settings={"rows": 100_000 if quick else 1_000_000, "seed": 0}),
        Case(name="import-trainer", function="import_trainer", settings={"runs": 3}, is_peer=True),
    ]


def start(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A command that should answer at once; afterwards once more, to see what it imports."""
    table = scratch_folder() / "small.csv"
    _write_table(table, NUM_SMALL_ROWS, seed=0)
    arguments = [str(table) if argument == table.name else argument for argument in settings["arguments"]]
    found = _median_of_runs([*luthier_command(), *arguments], settings["runs"])
    return {**found, "heavy_modules": _heavy_modules(arguments)}


def import_trainer(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a script that trains with transformers waits for."""
    return _median_of_runs([sys.executable, "-c", "from transformers import Trainer"], settings["runs"])


def _median_of_runs(command: Sequence[str], runs: int) -> dict[str, Any]:
    run_command(command)  # warm-up: files come into the page cache, bytecode is written
    costs: list[Cost] = [run_command(command) for _ in range(runs)]
    return {
        "cpu_seconds": median(cost.cpu_seconds for cost in costs),
        "wall_seconds": median(cost.wall_seconds for cost in costs),
        "peak_bytes": max(cost.peak_bytes for cost in costs),
        "all_wall_seconds": [round(cost.wall_seconds, 4) for cost in costs],
    }


def _heavy_modules(arguments: Sequence[str]) -> list[str]:
    code = (
        "import atexit, json, sys\n"
        f"heavy = {HEAVY!r}\n"
        "atexit.register(lambda: print('\\n' + json.dumps([name for name in heavy if name in sys.modules])))\n"
        "from luthier.cli.main import main\n"
        "main(sys.argv[1:])\n"
    )
    output = run_command([sys.executable, "-c", code, *arguments]).output
    return [str(name) for name in re.findall(r'"(\w+)"', output.splitlines()[-1])]


def check_large(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`luthier check --fast` on a table of short texts made with a seed; making it is not counted."""
    table = scratch_folder() / "large.csv"
    _write_table(table, settings["rows"], seed=settings["seed"])
    cost = run_command([*luthier_command(), "check", str(table), "--fast"])
    return {
        "cpu_seconds": cost.cpu_seconds,
        "wall_seconds": cost.wall_seconds,
        "peak_bytes": cost.peak_bytes,
        "file_bytes": table.stat().st_size,
    }


def _write_table(path: Path, num_rows: int, *, seed: int) -> None:
    """Texts of 5 to 20 words drawn as often as banking77 has them, and 77 labels that go with a text's first word."""
    parts, num_labels = load_parts(None)
    known = Counter(word for text in parts["train"].texts for word in text.split())
    words, weights = list(known), list(known.values())
    generator = random.Random(seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "category"])
        for _ in range(num_rows):
            chosen = generator.choices(words, weights, k=generator.randint(5, 20))
            writer.writerow([" ".join(chosen), f"intent_{len(chosen[0]) * 7 % num_labels}"])


def bars(measured: Measured) -> list[Bar]:
    """The promises."""
    found = []
    for name, seconds in (("help", 0.3), ("check-small", 1.0), ("check-million", 60.0)):
        value = median_of(measured[name], "wall_seconds") if name in measured else None
        found.append(at_most(f"{name}, wall seconds", value, seconds, unit=" s"))
    peak = median_of(measured["check-million"], "peak_bytes") / 1e9 if "check-million" in measured else None
    found.append(at_most("check-million, peak memory", peak, 1.0, unit=" GB"))
    for name in (name for name in ("help", "check-small") if name in measured):
        modules = measured[name][-1]["heavy_modules"]
        question = f"{name}: none of {', '.join(HEAVY)} is imported"
        found.append(Bar(question=question, value=", ".join(modules) or "none", promise="none", is_met=not modules))
    return found


def rows(measured: Measured) -> list[Row]:
    """One row a case."""
    return [cost_row(name, items) for name, items in measured.items()]


BENCHMARK = Benchmark(
    name="start_up",
    question="How long does one wait for `luthier --help`, for `luthier check`, and for a check of a million rows?",
    cases=cases,
    bars=bars,
    rows=rows,
    reductions="5 instead of 15 starts, and 100,000 instead of 1,000,000 rows.",
    functions={"start": start, "check_large": check_large, "import_trainer": import_trainer},
)

if __name__ == "__main__":
    main(BENCHMARK)
