"""The evidence card on the terminal: all scores, how tuned compares, what it cost; the verdict; what to type next."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from luthier.cli.terminal import printable
from luthier.core.names import count_of
from luthier.evaluation.by_source import describe_sources
from luthier.evaluation.display import (
    as_heading,
    format_difference,
    format_p,
    format_score,
    format_seconds,
    is_share,
    measure_title,
    short_title,
)
from luthier.evaluation.records import MODEL_NAMES, Comparison, Interval, Metrics

VERDICT_STYLES = {"keep": "bold green", "keep with care": "bold yellow", "do not keep": "bold red"}
STRIP_WIDTH = 25
# On narrower terminals the drawn intervals go first, then the second measure, then the cost.
WIDTH_FOR_STRIP = 98
WIDTH_FOR_SECOND_MEASURE = 78
WIDTH_FOR_COST = 66


def evidence_card(metrics: Metrics, *, width: int = 100) -> RenderableType:
    """The card: a table of models, then the verdict with the rule that decided.

    Args:
        metrics: The record of the run.
        width: Columns of the terminal; a narrow one gets less detail.
    """
    table = _table(metrics, width)
    parts: list[RenderableType] = [
        Text.assemble(("━━ ", "cyan"), ("Evidence", "bold"), (f"  {metrics.n:,} test examples, scored once", "dim")),
        Text(),
        Padding(table, (0, 0, 0, 2)),
    ]
    parts += [Text(), *(Padding(Text(line, style="dim"), (0, 0, 0, 2)) for line in _notes(metrics))]
    said = str(metrics.alarms.get("sentence", ""))
    alarms: list[RenderableType] = [Text(), Padding(Text(printable(said)), (0, 0, 0, 2))] if said else []
    sources: list[RenderableType] = [Padding(Text(printable(line)), (0, 0, 0, 2)) for line in describe_sources(metrics)]
    return Group(*parts, Text(), verdict_lines(metrics), *([Text(), *sources] if sources else []), *alarms)


def verdict_lines(metrics: Metrics) -> Table:
    """Verdict, rule and recommended model, aligned."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", min_width=9)
    grid.add_column()
    style = VERDICT_STYLES.get(metrics.verdict, "bold")
    grid.add_row("  Verdict", Text(metrics.verdict.capitalize(), style=style))
    grid.add_row("  Because", Text(printable(metrics.verdict_reason)))
    if metrics.recommended:
        grid.add_row("  Use", Text(metrics.recommended, style="bold"))
    return grid


def interval_strip(interval: Interval, *, low: float, high: float, width: int = STRIP_WIDTH) -> str:
    """An interval drawn on a line from `low` to `high`; an arrow stands for a value beyond them.

    Example:
        >>> interval_strip(Interval(value=0.5, low=0.25, high=0.75), low=0.0, high=1.0, width=9)
        '  ├─●─┤  '
        >>> interval_strip(Interval(value=-0.5, low=-0.6, high=-0.4), low=0.0, high=1.0, width=9)
        '◂        '
    """
    span = (high - low) or 1.0
    first, middle, last = (round((value - low) / span * (width - 1)) for value in (interval.low, interval.value, interval.high))
    letters = ["─" if first <= place <= last else " " for place in range(width)]
    for place, letter in ((first, "├"), (last, "┤"), (middle, "●")):
        if 0 <= place < width:
            letters[place] = letter
    if middle < 0:
        letters[0] = "◂"
    if middle >= width:
        letters[-1] = "▸"
    return "".join(letters)


def _table(metrics: Metrics, width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    columns = _columns(metrics, width)
    for title, justify, _ in columns:
        table.add_column(title, justify=justify, no_wrap=True)
    names = [name for name in MODEL_NAMES if name in metrics.test] + [name for name in metrics.test if name not in MODEL_NAMES]
    for name in names:
        table.add_row(*(cell(name) for _, _, cell in columns), style="bold" if name == metrics.recommended else "")
    return table


def _columns(metrics: Metrics, width: int) -> list[tuple[str, Literal["left", "right"], Callable[[str], Text]]]:
    """Title, alignment and cell of each column that has room."""
    primary = metrics.primary_measure
    columns: list[tuple[str, Literal["left", "right"], Callable[[str], Text]]] = [
        ("", "left", lambda name: Text(name, style="cyan")),
        (_titled(primary), "left", lambda name: _score_cell(primary, metrics.test[name].get(primary))),
    ]
    if width >= WIDTH_FOR_STRIP:
        columns.append(("", "left", lambda name: _strip_cell(metrics, metrics.test[name].get(primary))))
    if width >= WIDTH_FOR_SECOND_MEASURE and (second := _second_measure(metrics)):
        columns.append((_titled(second), "right", lambda name: _value_cell(second, metrics.test[name].get(second))))
    columns.append(("Tuned better by", "left", lambda name: _difference_cell(metrics, name)))
    if width >= WIDTH_FOR_COST:
        columns.append(("CPU", "right", lambda name: _cost_cell(metrics, name)))
    return columns


def _second_measure(metrics: Metrics) -> str:
    known = {measure for scores in metrics.test.values() for measure in scores} - {metrics.primary_measure}
    return next((measure for measure in ("macro_f1", "accuracy", *metrics.directions) if measure in known), "")


def _value_cell(measure: str, interval: Interval | None) -> Text:
    return Text(format_score(measure, interval.value) if interval else "–")


def _cost_cell(metrics: Metrics, name: str) -> Text:
    return Text(format_seconds(metrics.cost[name].cpu_seconds) if name in metrics.cost else "–", style="dim")


def _score_cell(measure: str, interval: Interval | None) -> Text:
    if interval is None:
        return Text("–")
    low, high = (format_score(measure, value, unit=False) for value in (interval.low, interval.high))
    return Text.assemble(f"{format_score(measure, interval.value):>6}", (f"  {low}–{high}", "dim"))


def _strip_cell(metrics: Metrics, interval: Interval | None) -> Text:
    primary = metrics.primary_measure
    # The most frequent label scores so far from the rest that it would squeeze them together: it may stick out on the left.
    shown = [scores[primary] for name, scores in metrics.test.items() if primary in scores and name != "majority"]
    if interval is None or not shown:
        return Text("")
    low, high = min(item.low for item in shown), max(item.high for item in shown)
    if not all(map(math.isfinite, (low, high, interval.low, interval.value, interval.high))):
        return Text("")
    return Text(interval_strip(interval, low=low, high=high), style="cyan")


def _difference_cell(metrics: Metrics, name: str) -> Text:
    found = _against(metrics, name)
    if found is None:
        return Text("")
    better = found if metrics.directions.get(found.measure) != "lower" else _reversed(found)
    style = "" if better.low <= 0 <= better.high else "green" if better.difference > 0 else "red"
    amount = f"{format_difference(better.measure, better.difference):>6}"
    return Text.assemble((amount, style), (f"  p {format_p(better.p_holm, equals=True)}", "dim"))


def _notes(metrics: Metrics) -> list[str]:
    tests = " and ".join(sorted({item.test for item in metrics.comparisons}))
    unit = "points of " if is_share(metrics.primary_measure) else ""
    notes = [f"Scores with their {100 * metrics.confidence:g} % intervals."]
    if tests:
        corrected = f"corrected for {count_of(len(metrics.comparisons), 'comparison')} (Holm)"
        notes = [f"{notes[0]} Differences in {unit}{measure_title(metrics.primary_measure)}; {tests}, {corrected}."]
    notes += [printable(metrics.retained_about)] if metrics.retained_about else []
    return notes + [f"Not on the card: {name} ({printable(reason).rstrip('.')})." for name, reason in metrics.absent.items()]


def _titled(measure: str) -> str:
    return as_heading(short_title(measure))


def _against(metrics: Metrics, name: str) -> Comparison | None:
    """Tuned against one model by the primary measure, whichever of the two the record names first."""
    for item in metrics.comparisons:
        if item.measure == metrics.primary_measure and {item.a, item.b} == {"tuned", name}:
            return item if item.a == "tuned" else _reversed(item)
    return None


def _reversed(item: Comparison) -> Comparison:
    return replace(item, a=item.b, b=item.a, difference=-item.difference, low=-item.high, high=-item.low)
