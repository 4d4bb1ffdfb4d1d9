"""The evidence card on the terminal: all scores, how tuned compares, what it cost; the verdict; what to type next."""

import math
from collections.abc import Sequence
from dataclasses import replace

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from luthier.cli.terminal import printable
from luthier.evaluation.records import MODEL_NAMES, Comparison, Interval, Metrics
from luthier.report.wording import AS_SHARE, duration, measure_name, p_value, score, signed

VERDICT_STYLES = {"keep": "bold green", "keep with care": "bold yellow", "do not keep": "bold red"}
STRIP_WIDTH = 19
WIDTH_FOR_STRIP = 92  # on narrower terminals the drawn intervals go first, then the second measure
WIDTH_FOR_SECOND_MEASURE = 70


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
    parts += [Text(f"  {name}: {printable(reason)}", style="dim") for name, reason in metrics.absent.items()]
    return Group(*parts, Text(), verdict_lines(metrics))


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


def next_commands(commands: Sequence[tuple[str, str]]) -> RenderableType:
    """Commands worth typing now, with what they do."""
    lines = [Text.assemble(("━━ ", "cyan"), ("Next", "bold"))]
    for command, purpose in commands:
        lines += [Text.assemble("  ", (command, "cyan")), Text(f"      {purpose}", style="dim")]
    return Group(Text(), *lines)


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
    measures = _shown_measures(metrics)[: 2 if width >= WIDTH_FOR_SECOND_MEASURE else 1]
    with_strip = width >= WIDTH_FOR_STRIP
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    table.add_column(measure_name(metrics.primary_measure), no_wrap=True)
    if with_strip:
        table.add_column("", no_wrap=True)
    for measure in measures[1:]:
        table.add_column(measure_name(measure), no_wrap=True, justify="right")
    table.add_column("Tuned better by", no_wrap=True)
    table.add_column("CPU", justify="right", no_wrap=True)
    names = [name for name in MODEL_NAMES if name in metrics.test] + [name for name in metrics.test if name not in MODEL_NAMES]
    for name in names:
        table.add_row(
            *_row(metrics, name, measures, with_strip=with_strip), style="bold" if name == metrics.recommended else ""
        )
    return table


def _row(metrics: Metrics, name: str, measures: Sequence[str], *, with_strip: bool) -> list[Text]:
    scores = metrics.test[name]
    primary = measures[0]
    strip = [_strip_cell(metrics, scores.get(primary))] if with_strip else []
    others = [Text(score(measure, scores[measure].value) if measure in scores else "–") for measure in measures[1:]]
    return [
        Text(name, style="cyan"),
        _score_cell(primary, scores.get(primary)),
        *strip,
        *others,
        _difference_cell(metrics, name),
        Text(duration(metrics.cost[name].cpu_seconds) if name in metrics.cost else "–", style="dim"),
    ]


def _score_cell(measure: str, interval: Interval | None) -> Text:
    if interval is None:
        return Text("–")
    scale, digits = (100, 1) if measure in AS_SHARE else (1, 3)
    span = f"  {interval.low * scale:.{digits}f}–{interval.high * scale:.{digits}f}"
    return Text.assemble(f"{score(measure, interval.value):>6}", (span, "dim"))


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
    amount = f"{signed(better.measure, better.difference, unit=False):>6}"
    return Text.assemble((amount, style), (f"  p {_compared(better.p_holm)}", "dim"))


def _compared(p: float) -> str:
    shown = p_value(p)
    return shown if shown.startswith("<") else f"= {shown}"


def _against(metrics: Metrics, name: str) -> Comparison | None:
    """Tuned against one model by the primary measure, whichever of the two the record names first."""
    for item in metrics.comparisons:
        if item.measure == metrics.primary_measure and {item.a, item.b} == {"tuned", name}:
            return item if item.a == "tuned" else _reversed(item)
    return None


def _reversed(item: Comparison) -> Comparison:
    return replace(item, a=item.b, b=item.a, difference=-item.difference, low=-item.high, high=-item.low)


def _shown_measures(metrics: Metrics) -> list[str]:
    known = {measure for scores in metrics.test.values() for measure in scores}
    wanted = [metrics.primary_measure, "macro_f1", "accuracy", *metrics.directions]
    return [measure for measure in dict.fromkeys(wanted) if measure in known]
