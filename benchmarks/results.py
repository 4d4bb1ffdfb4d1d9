"""What was measured, on disk and in tables: measurements are appended, looked up again, and rendered with their bars.

`results/NAME.json` holds what was measured of Luthier, `peers/NAME.json` of the others; each line is one measurement with
the settings, versions, machine and calibration it was made with.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import ROOT, median_of

Measured = Mapping[str, Sequence[Mapping[str, Any]]]
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing that is measured.

    Attributes:
        name: As in tables and after `--only`.
        function: Name of the script's function that does it.
        settings: Everything that decides the result.
        is_peer: Whether it is somebody else's software, measured again only when versions or the machine change.
        repeats: How often, each time in a fresh process.
        only_by_name: Whether it is left out unless `--only` names it.
    """

    name: str
    function: str
    settings: Mapping[str, Any]
    is_peer: bool = False
    repeats: int = 1
    only_by_name: bool = False


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A number that answers something, and what was promised of it.

    Attributes:
        question: What it says.
        value: What was measured, with its unit; empty where something is missing.
        promise: In words; empty where the number is only told.
        is_met: Whether the promise holds; None where nothing was promised or measured.
        note: What else must be known to read it.
    """

    question: str
    value: str = ""
    promise: str = ""
    is_met: bool | None = None
    note: str = ""


def at_least(question: str, value: float | None, bound: float | None, *, unit: str = " times", note: str = "") -> Bar:
    """A number that is promised to be at least `bound`; None: it is only told.

    Example:
        >>> at_least("faster", 3.2, 3.0).is_met
        True
    """
    is_met = None if value is None or bound is None else value >= bound
    return _bar(question, value, "at least", bound, is_met=is_met, unit=unit, note=note)


def at_most(question: str, value: float | None, bound: float | None, *, unit: str = "", note: str = "") -> Bar:
    """A number that is promised to be at most `bound`; None: it is only told."""
    is_met = None if value is None or bound is None else value <= bound
    return _bar(question, value, "at most", bound, is_met=is_met, unit=unit, note=note)


def _bar(
    question: str, value: float | None, word: str, bound: float | None, *, is_met: bool | None, unit: str, note: str
) -> Bar:
    promise = "" if bound is None else f"{word} {shown(bound)}{unit}"
    return Bar(
        question=question, value="" if value is None else f"{shown(value)}{unit}", promise=promise, is_met=is_met, note=note
    )


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One question.

    Attributes:
        name: Of the script and of its files.
        question: In a sentence.
        cases: (quick) -> what to measure.
        bars: Measurements by case -> promised numbers.
        rows: Measurements by case -> rows of the table.
        reductions: What `--quick` leaves out, in a sentence.
        functions: By name, what cases run.
    """

    name: str
    question: str
    cases: Callable[[bool], list[Case]]
    bars: Callable[[Measured], list[Bar]]
    rows: Callable[[Measured], list[Row]]
    reductions: str
    functions: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]]


def source_digest() -> str:
    """A hash of the package's source: what was measured of Luthier holds for this source."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "src" / "luthier").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def file_of(folder: Path, benchmark: str, case: Case, *, quick: bool) -> Path:
    """Where the measurements of a case are kept."""
    return folder / ("peers" if case.is_peer else "results") / f"{benchmark}{'-quick' if quick else ''}.json"


def load(path: Path) -> list[dict[str, Any]]:
    """All measurements of a file, oldest first."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def append(path: Path, measurement: Mapping[str, Any]) -> None:
    """Add one measurement; the file is replaced as a whole, so that it is never half written."""
    lines = [json.dumps(item, sort_keys=True) for item in [*load(path), measurement]]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    temporary.replace(path)


def still_holds(measurement: Mapping[str, Any], case: Case, environment: Mapping[str, Any], *, digest: str) -> bool:
    """Whether a measurement is one of this case, of these versions, on this machine."""
    if measurement["case"] != case.name or measurement["settings"] != dict(case.settings):
        return False
    if {**measurement["environment"], "calibration": 0} != {**environment, "calibration": 0}:
        return False
    return case.is_peer or bool(measurement["source"] == digest)


def newest(folder: Path, benchmark: Benchmark, *, quick: bool) -> dict[str, list[dict[str, Any]]]:
    """For each case the repeats that belong together: those made like the newest of them."""
    found = {}
    for case in benchmark.cases(quick):
        of_case = [item for item in load(file_of(folder, benchmark.name, case, quick=quick)) if item["case"] == case.name]
        made = [(item["settings"], item.get("source"), item["environment"]["packages"]) for item in of_case]
        if of_case:
            found[case.name] = [item for item, how in zip(of_case, made, strict=True) if how == made[-1]]
    return found


def cost_row(name: str, measurements: Sequence[Mapping[str, Any]], **more: Any) -> Row:
    """The columns every table has; `more` are further columns.

    `machine` is the calibration before the case ran, in float32 GFLOP per CPU second: costs of rows in which it differs
    much were measured on a machine that was differently busy, and should be measured again.
    """
    return {
        "case": name,
        "CPU s": median_of(measurements, "cpu_seconds"),
        "wall s": median_of(measurements, "wall_seconds"),
        "peak MB": round(median_of(measurements, "peak_bytes") / 1e6),
        **more,
        "repeats": len(measurements),
        "machine": round(median_of(measurements, "environment.calibration.float32")),
    }


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table.

    Example:
        >>> print(markdown([{"case": "ours", "CPU s": 1.25}]))
        | case | CPU s |
        |---|---:|
        | ours | 1.25 |
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    numeric = {name for name in columns if all(isinstance(row.get(name), int | float | None) for row in rows)}
    lines = ["| " + " | ".join(columns) + " |", "|" + "|".join("---:" if name in numeric else "---" for name in columns) + "|"]
    lines += ["| " + " | ".join(shown(row.get(name)) for name in columns) + " |" for row in rows]
    return "\n".join(lines)


def shown(value: Any) -> str:
    """A value as tables show it."""
    if value is None:
        return "–"
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 100 else f"{value:.3g}"


def bar_rows(bars: Sequence[Bar]) -> list[Row]:
    """Bars as rows of a table."""
    words = {True: "met", False: "**missed**", None: ""}
    return [
        {"question": bar.question, "measured": bar.value, "promised": bar.promise, "": words[bar.is_met], "note": bar.note}
        for bar in bars
    ]


def render(benchmark: Benchmark, folder: Path, *, quick: bool) -> str:
    """The tables of a benchmark, with the machine they were made on."""
    measured = newest(folder, benchmark, quick=quick)
    if not measured:
        return "Nothing has been measured yet."
    parts = [markdown(benchmark.rows(measured)), markdown(bar_rows(benchmark.bars(measured)))]
    if quick:
        parts.append(f"Reduced: {benchmark.reductions}")
    return "\n\n".join([*parts, _made_on(measured)])


def _made_on(measured: Measured) -> str:
    last = max((item for items in measured.values() for item in items), key=lambda item: item["when"])
    machine = last["environment"]
    speed = machine["calibration"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    dates = sorted(item["when"][:10] for items in measured.values() for item in items)
    return (
        f"{machine['processor']}, {machine['cores']} cores, {last['settings']['threads']} threads; matrix products "
        f"{speed['float32']:.0f} (float32) and {speed['bfloat16']:.0f} (bfloat16) GFLOP per CPU second; "
        f"Python {machine['python']}, {versions}; measured {dates[0]}" + (f" to {dates[-1]}." if dates[0] != dates[-1] else ".")
    )


def write_between_markers(readme: Path, name: str, content: str) -> None:
    """Put `content` between `<!-- NAME begin -->` and `<!-- NAME end -->` of a page that has them."""
    text = readme.read_text(encoding="utf-8") if readme.exists() else ""
    begin, end = f"<!-- {name} begin -->", f"<!-- {name} end -->"
    if begin in text and end in text:
        head, _, rest = text.partition(begin)
        readme.write_text(f"{head}{begin}\n{content}\n{end}{rest.partition(end)[2]}", encoding="utf-8")
