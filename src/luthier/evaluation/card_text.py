"""The evidence card as plain text: within 100 columns, readable without colour."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from textwrap import wrap

from luthier.core.names import count_of
from luthier.evaluation.by_source import describe_sources
from luthier.evaluation.display import (
    format_difference,
    format_p,
    format_score,
    format_seconds,
    is_share,
    measure_title,
    short_title,
)
from luthier.evaluation.records import MODEL_NAMES, Comparison, Direction, Metrics

WIDTH = 100
_GAP = "  "
_BAR_WIDTH = 12
_EIGHTHS = " ▏▎▍▌▋▊▉"
_MAX_OTHER_MEASURES = 2
_GLUED = re.compile(r" (?=%|points)|(?<=\bp) (?=[=<])|(?<=\bp [=<]) ")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the table.

    Attributes:
        cell: What stands in the row of a model.
        is_left: Whether cells stand on the left.
        drop_order: Where columns must go for the table to fit, 1 goes first; 0 always stays.
    """

    title: str
    cell: Callable[[str], str]
    is_left: bool = False
    drop_order: int = 0


def render_text(metrics: Metrics) -> str:
    """The card of a run: what `metrics.json` holds, for reading."""
    blocks = [_heading(metrics), "", *_table(metrics), "", *_notes(metrics), "", *_verdict(metrics)]
    blocks += [*_sources(metrics), *_alarms(metrics)]
    return "\n".join(line.rstrip() for line in blocks)


def _sources(metrics: Metrics) -> list[str]:
    """Scores by source, where several are mixed."""
    lines = [line for said in describe_sources(metrics) for line in _wrapped(said, hanging="  ")]
    return ["", f"BY SOURCE · {measure_title(metrics.primary_measure)}", *lines] if lines else []


def _alarms(metrics: Metrics) -> list[str]:
    """The threshold by costs, where some were given."""
    said = str(metrics.alarms.get("sentence", ""))
    return ["", "ALARMS", *wrap(said, WIDTH - 2, initial_indent="  ", subsequent_indent="  ")] if said else []


def model_rows(metrics: Metrics) -> list[str]:
    """The models in the order of the card: the cheapest first, tuned last of the known ones."""
    return [name for name in MODEL_NAMES if name in metrics.test] + [name for name in metrics.test if name not in MODEL_NAMES]


def _heading(metrics: Metrics) -> str:
    units = f" in {count_of(metrics.num_units, 'group')}" if 0 < metrics.num_units < metrics.n else ""
    return f"EVIDENCE · {metrics.task} · {count_of(metrics.n, 'test example')}{units} that no model was trained or chosen on"


def _table(metrics: Metrics) -> list[str]:
    models = model_rows(metrics)
    columns = _fitting(_columns(metrics), models)
    head = _line([column.title for column in columns], columns, models)
    rows = [_line([column.cell(model) for column in columns], columns, models) for model in models]
    return [head, "─" * len(head), *rows]


def _fitting(columns: Sequence[Column], models: Sequence[str]) -> list[Column]:
    """The columns without the least needed ones, where all together are too wide."""
    kept = list(columns)
    for column in sorted((column for column in columns if column.drop_order), key=lambda column: column.drop_order):
        if sum(_width(item, models) + len(_GAP) for item in kept) - len(_GAP) > WIDTH:
            kept.remove(column)
    return kept


def _width(column: Column, models: Sequence[str]) -> int:
    return max(len(column.title), *(len(column.cell(model)) for model in models))


def _line(cells: Sequence[str], columns: Sequence[Column], models: Sequence[str]) -> str:
    widths = [_width(column, models) for column in columns]
    padded = [
        cell.ljust(width) if column.is_left else cell.rjust(width)
        for cell, column, width in zip(cells, columns, widths, strict=True)
    ]
    return _GAP.join(padded)


def _columns(metrics: Metrics) -> list[Column]:
    primary = metrics.primary_measure
    rivals = {item.b: item for item in metrics.comparisons if item.a == "tuned" and item.measure == primary}
    columns = [
        Column(title="  model", cell=lambda model: f"{'▸' if model == metrics.recommended else ' '} {model}", is_left=True),
        Column(title=short_title(primary), cell=lambda model: format_score(primary, metrics.test[model][primary].value)),
        Column(title=f"{100 * metrics.confidence:g} % interval", cell=lambda model: _interval(metrics, model)),
    ]
    if is_share(primary):
        columns.append(Column(title="", cell=lambda model: bar(metrics.test[model][primary].value), is_left=True, drop_order=1))
    columns += _other_columns(metrics)
    if rivals:
        direction = metrics.directions[primary]
        columns.append(Column(title=_gain_title(metrics), cell=lambda model: _gain(rivals.get(model), direction)))
        columns.append(Column(title="p", cell=lambda model: format_p(rivals[model].p_holm) if model in rivals else ""))
    if metrics.cost:
        columns.append(Column(title="CPU time", cell=lambda model: _cpu_time(metrics, model)))
    return columns


def _other_columns(metrics: Metrics) -> list[Column]:
    names = [name for name in metrics.directions if name != metrics.primary_measure][:_MAX_OTHER_MEASURES]
    return [_measure_column(metrics, name, drop_order=len(names) + 1 - place) for place, name in enumerate(names)]


def _measure_column(metrics: Metrics, name: str, *, drop_order: int) -> Column:
    return Column(
        title=short_title(name),
        cell=lambda model: format_score(name, metrics.test[model][name].value) if name in metrics.test[model] else "",
        drop_order=drop_order,
    )


def _interval(metrics: Metrics, model: str) -> str:
    width = max(len(_high(metrics, name)) for name in metrics.test)
    low = format_score(metrics.primary_measure, metrics.test[model][metrics.primary_measure].low, unit=False)
    return f"{low} – {_high(metrics, model):>{width}}"


def _high(metrics: Metrics, model: str) -> str:
    return format_score(metrics.primary_measure, metrics.test[model][metrics.primary_measure].high, unit=False)


def _gain_title(metrics: Metrics) -> str:
    return "tuned gains" if metrics.directions[metrics.primary_measure] == "higher" else "tuned lowers"


def _gain(comparison: Comparison | None, direction: Direction) -> str:
    if comparison is None:
        return ""
    return format_difference(comparison.measure, comparison.difference if direction == "higher" else -comparison.difference)


def _cpu_time(metrics: Metrics, model: str) -> str:
    return format_seconds(metrics.cost[model].cpu_seconds) if model in metrics.cost else ""


def bar(share: float) -> str:
    """A share of one as a bar of twelve cells.

    Example:
        >>> bar(0.5)
        '██████······'
    """
    eighths = round(max(0.0, min(1.0, share)) * _BAR_WIDTH * 8)
    full, rest = divmod(eighths, 8)
    drawn = "█" * full + (_EIGHTHS[rest] if rest else "")
    return drawn.ljust(_BAR_WIDTH, "·")


def _notes(metrics: Metrics) -> list[str]:
    notes = [f"Not on the card: {name} ({reason.rstrip('.')})." for name, reason in metrics.absent.items()]
    if metrics.comparisons:
        tests = " and ".join(sorted({item.test for item in metrics.comparisons}))
        unit = "points of " if is_share(metrics.primary_measure) else ""
        title = measure_title(metrics.primary_measure)
        notes.append(f"{_gain_title(metrics)}: {unit}{title} against that model. p: {tests}, {_corrected(metrics)}.")
    notes += [metrics.retained_about] if metrics.retained_about else []
    return [line for note in notes for line in _wrapped(note, hanging="  ")]


def _corrected(metrics: Metrics) -> str:
    number = len(metrics.comparisons)
    return "one comparison" if number == 1 else f"corrected for {number} comparisons (Holm)"


def _verdict(metrics: Metrics) -> list[str]:
    lines = [f"VERDICT · {metrics.verdict.capitalize()}", *_wrapped(metrics.verdict_reason)]
    if metrics.recommended != "tuned":
        lines += ["", f"  Recommended: {metrics.recommended} (▸) instead of tuned."]
    return lines


def _wrapped(text: str, *, hanging: str = "") -> list[str]:
    """Lines of text, indented; a number stays with its sign and its unit."""
    glued = _GLUED.sub("\N{NO-BREAK SPACE}", text)
    lines = wrap(glued, WIDTH - 4, initial_indent="  ", subsequent_indent=f"  {hanging}", break_on_hyphens=False)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]
