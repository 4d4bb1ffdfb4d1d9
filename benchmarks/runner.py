"""The command line that all benchmarks share: which cases to measure, how often, and what to print.

A benchmark script is also its own worker: `--case NAME --settings JSON` runs one function in this process and prints what
it found as JSON on the last line.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from measuring import Failed, calibrate, describe_environment, is_same_speed, num_cores, run_case, shared_folder
from results import Benchmark, Case, append, file_of, load, render, source_digest, still_holds, write_between_markers


def main(benchmark: Benchmark, arguments: Sequence[str] | None = None) -> None:
    """Run a benchmark's command line."""
    given = _parser(benchmark).parse_args(arguments)
    if given.case:
        print(json.dumps(benchmark.functions[given.case](json.loads(given.settings))))
        return
    failures = 0
    if not given.render:
        shared_folder()
        failures = measure(benchmark, _chosen(benchmark, given), given)
    page = render(benchmark, given.folder, quick=given.quick)
    print(f"\n{benchmark.question}\n\n{page}")
    if not given.quick and not given.set:
        write_between_markers(given.folder / "README.md", benchmark.name, page)
    sys.exit(1 if failures else 0)


def measure(benchmark: Benchmark, cases: Sequence[Case], given: argparse.Namespace) -> int:
    """Measure what is missing, round by round, so that repeats of different cases lie side by side; returns the failures."""
    environment = {**describe_environment(), "calibration": calibrate()}
    digest = source_digest()
    counts = {case.name: 0 if given.again else _held(benchmark, case, environment, digest, given) for case in cases}
    failures = 0
    for turn in range(max((case.repeats for case in cases), default=0)):
        for case in (case for case in cases if turn < case.repeats):
            if counts[case.name] > turn:
                print(f"{benchmark.name}/{case.name}: held", file=sys.stderr)
                continue
            failures += not _measure_one(benchmark, case, environment, digest, given)
    return failures


def _held(benchmark: Benchmark, case: Case, environment: Mapping[str, Any], digest: str, given: argparse.Namespace) -> int:
    path = file_of(given.folder, benchmark.name, case, quick=given.quick)
    held = [item for item in load(path) if still_holds(item, case, environment, digest=digest)]
    if case.is_peer and not given.keep_peers:
        held = [item for item in held if is_same_speed(item["environment"]["calibration"], environment["calibration"])]
    return len(held)


def _measure_one(
    benchmark: Benchmark, case: Case, environment: Mapping[str, Any], digest: str, given: argparse.Namespace
) -> bool:
    print(f"{benchmark.name}/{case.name} ...", end=" ", flush=True, file=sys.stderr)
    script = Path(sys.modules["__main__"].__file__ or "").resolve()
    try:
        found = run_case(script, case.function, case.settings)
    except Failed as failure:
        print(f"failed\n{failure}", file=sys.stderr)
        return False
    print(f"{found['cpu_seconds']:.1f} CPU s, {found['wall_seconds']:.1f} s", file=sys.stderr)
    made = {
        "case": case.name,
        "settings": case.settings,
        "environment": environment,
        "when": time.strftime("%Y-%m-%dT%H:%M:%S"),
    }
    source = {} if case.is_peer else {"source": digest}
    append(file_of(given.folder, benchmark.name, case, quick=given.quick), {**made, **source, **found})
    return True


def _chosen(benchmark: Benchmark, given: argparse.Namespace) -> list[Case]:
    cases = benchmark.cases(given.quick)
    names = [case.name for case in cases]
    unknown = [name for name in given.only if name not in names]
    if unknown:
        sys.exit(f"Unknown case {', '.join(unknown)}. Known: {', '.join(names)}.")
    changes = {
        "threads": given.threads,
        **{key: json.loads(value) for key, _, value in (item.partition("=") for item in given.set)},
    }
    return [
        replace(
            case,
            settings={
                **case.settings,
                **{key: value for key, value in changes.items() if key in case.settings or key == "threads"},
            },
            repeats=given.repeats or case.repeats,
        )
        for case in cases
        if (case.name in given.only if given.only else not case.only_by_name)
    ]


def _parser(benchmark: Benchmark) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python benchmarks/{benchmark.name}.py",
        description=f"{benchmark.question} With --quick: {benchmark.reductions}".replace("%", "%%"),
    )
    parser.add_argument("--quick", action="store_true", help="a reduced measurement of a minute or two")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="measure this case only (repeatable)")
    parser.add_argument("--repeats", type=int, metavar="N", help="measurements of each case (default: by case)")
    parser.add_argument("--again", action="store_true", help="measure also what is held for these versions and this machine")
    parser.add_argument("--keep-peers", action="store_true", help="hold peers' results although the calibration has changed")
    parser.add_argument("--render", action="store_true", help="measure nothing; print the tables and write them to README.md")
    parser.add_argument("--threads", type=int, default=num_cores(), metavar="N", help="threads of every case (default: cores)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=JSON", help="change a setting, to try something out")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent, help="where results/ and peers/ are kept")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--settings", default="{}", help=argparse.SUPPRESS)
    return parser
