"""The benchmarks can be started, and their arithmetic and bookkeeping are right; they themselves are run by `make bench`."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = [
    "adapters",
    "crash_safety",
    "features",
    "frozen_prefix",
    "frozen_prefix_media",
    "frozen_prefix_tokens",
    "full_fine_tuning",
    "images_against_keras",
    "memory",
    "search",
    "start_up",
    "time_to_accuracy",
]


@pytest.fixture
def benchmark_modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """Scripts and modules of the folder import each other by their plain names, as when a script is started."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return {name: importlib.import_module(name) for name in ("measuring", "results", *SCRIPTS)}


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_benchmark_explains_itself(name: str) -> None:
    done = subprocess.run([sys.executable, FOLDER / f"{name}.py", "--help"], capture_output=True, text=True, check=True)
    assert "With --quick:" in " ".join(done.stdout.split())


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_benchmark_has_cases_and_a_place_in_the_page(name: str, benchmark_modules: dict[str, ModuleType]) -> None:
    benchmark = benchmark_modules[name].BENCHMARK
    for quick in (False, True):
        cases = benchmark.cases(quick)
        assert {case.function for case in cases} <= set(benchmark.functions)
        assert len({case.name for case in cases}) == len(cases)
        assert name == "memory" or any(case.is_peer for case in cases)  # a prediction stands beside its measurement
    assert benchmark.bars({}), "bars must say what is missing, not fail"
    assert f"<!-- {name} begin -->" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_medians_and_ratios(benchmark_modules: dict[str, ModuleType]) -> None:
    measuring = benchmark_modules["measuring"]
    repeats = [{"phases": {"train": seconds}} for seconds in (9.0, 1.0, 2.0)]
    assert measuring.median_of(repeats, "phases.train") == 2.0
    assert measuring.ratio(6.0, 2.0) == 3.0
    assert measuring.is_same_speed({"float32": 100, "bfloat16": 300}, {"float32": 90, "bfloat16": 310})
    assert not measuring.is_same_speed({"float32": 100, "bfloat16": 300}, {"float32": 100, "bfloat16": 100})


def test_the_cost_of_a_command_counts_its_children(benchmark_modules: dict[str, ModuleType]) -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass\nkept = bytearray(60_000_000)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}], check=True); print('done')"
    cost = benchmark_modules["measuring"].run_command([sys.executable, "-c", parent])
    assert cost.output == "done\n"
    assert cost.cpu_seconds >= 0.3
    assert cost.peak_bytes >= 60_000_000


def test_a_failing_command_says_why(benchmark_modules: dict[str, ModuleType]) -> None:
    measuring = benchmark_modules["measuring"]
    command = [sys.executable, "-c", "raise SystemExit('no such thing')"]
    with pytest.raises(measuring.Failed, match="no such thing"):
        measuring.run_command(command)
    assert measuring.run_command(command, permitted=(1,)).exit_code == 1


def test_what_was_measured_holds_for_its_settings_versions_and_source(
    benchmark_modules: dict[str, ModuleType], tmp_path: Path
) -> None:
    results = benchmark_modules["results"]
    ours = results.Case(name="ours", function="run", settings={"rows": 10})
    peer = results.Case(name="peer", function="run", settings={"rows": 10}, is_peer=True)
    machine = {"packages": {"torch": "2"}, "calibration": {"float32": 1.0}}
    path = tmp_path / "results" / "some.json"
    for case in (ours, peer):
        results.append(path, {"case": case.name, "settings": case.settings, "environment": machine, "source": "a"})
    first, second = results.load(path)
    assert json.loads(path.read_text(encoding="utf-8")) == [first, second]
    busier = {**machine, "calibration": {"float32": 0.5}}
    newer = {**machine, "packages": {"torch": "3"}}
    assert results.still_holds(first, ours, busier, digest="a")
    assert not results.still_holds(first, ours, machine, digest="b")
    assert results.still_holds(second, peer, machine, digest="b")
    assert not results.still_holds(second, peer, newer, digest="b")


def test_a_missed_promise_is_shown_as_missed(benchmark_modules: dict[str, ModuleType]) -> None:
    results = benchmark_modules["results"]
    bars = [
        results.at_least("faster", 2.9, 3.0),
        results.at_most("seconds", 0.2, 0.3, unit=" s"),
        results.at_least("later", None, 3.0),
    ]
    assert [row[""] for row in results.bar_rows(bars)] == ["**missed**", "met", ""]
    assert "2.9 times" in results.markdown(results.bar_rows(bars))


def test_tables_go_between_their_markers_only(benchmark_modules: dict[str, ModuleType], tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- a begin -->\nold\n<!-- a end -->\nafter\n", encoding="utf-8")
    benchmark_modules["results"].write_between_markers(page, "a", "new")
    assert page.read_text(encoding="utf-8") == "before\n<!-- a begin -->\nnew\n<!-- a end -->\nafter\n"
