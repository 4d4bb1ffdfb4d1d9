"""The charts of a search: trials over time with the best so far, their learning curves, and the score over each setting."""

import math
from collections.abc import Sequence
from typing import Any

from luthier.evaluation.display import is_share
from luthier.report import wording
from luthier.report.figures import ACCENT, INK, LINE, PAPER, SOFT, chart
from luthier.studies.records import SearchRecord, TrialRecord

SPREAD = 40  # a setting whose values span this factor is drawn on a logarithmic axis


def draw_progress(record: SearchRecord) -> str:
    """Each trial's score in the order they were begun, and the best so far as a line; those ended early are hollow."""
    scored = [trial for trial in record.trials if trial.score is not None]
    if len(scored) < 2:
        return ""
    share, sign = _share(record), _sign(record)
    label = f"{wording.measure_name(record.measure)} on validation of each trial, in order, and the best so far"
    with chart(label) as (axes, drawn):
        best, line = -math.inf, []
        for trial in scored:
            if trial.state == "complete":
                best = max(best, sign * share * (trial.score or 0.0))
            line.append(sign * best)
        numbers = [trial.number + 1 for trial in scored]
        begun = [(number, value) for number, value in zip(numbers, line, strict=True) if math.isfinite(value)]
        axes.step([number for number, _ in begun], [value for _, value in begun], where="post", color=ACCENT, linewidth=1.2)
        for trial in scored:
            _dot(axes, trial.number + 1, share * (trial.score or 0.0), trial, record)
        _crop(axes, [share * (trial.score or 0.0) for trial in scored], sign)
        axes.set_xlim(0.2, max(numbers) + 0.8)
        axes.set_xlabel("Trial, in the order of their beginning")
        axes.set_title(_title(record, "the line is the best so far"), loc="left", fontsize=8.5, color=INK, pad=8)
    return drawn[0]


def draw_curves(record: SearchRecord) -> str:
    """The best score so far of each trial over its own steps; those ended early stop at a dot."""
    curved = [trial for trial in record.trials if len(trial.curve) > 1]
    if len(curved) < 2:
        return ""
    share, sign = _share(record), _sign(record)
    label = f"{wording.measure_name(record.measure)} on validation of each trial over its steps"
    with chart(label) as (axes, drawn):
        for trial in sorted(curved, key=lambda item: item.number == record.best):
            steps, scores = [10 * step for step, _ in trial.curve], [share * score for _, score in trial.curve]
            is_best = trial.number == record.best
            style = {"color": ACCENT, "linewidth": 1.8} if is_best else {"color": SOFT, "linewidth": 0.7, "alpha": 0.6}
            axes.plot(steps, scores, **style)
            if trial.state == "pruned":
                axes.plot(steps[-1], scores[-1], "o", markersize=3, color=SOFT)
        _crop(axes, [share * score for trial in curved for step, score in trial.curve if step > 1], sign)
        axes.set_xlim(8, 101)
        axes.set_xlabel("Part of the trial's steps, %; a dot: ended there")
        axes.set_title(_title(record, "the thick line is the best trial"), loc="left", fontsize=8.5, color=INK, pad=8)
    return drawn[0]


def draw_slice(record: SearchRecord, path: str, trials: Sequence[TrialRecord]) -> str:
    """The score of some trials over the values of one setting; empty where there is nothing to see."""
    shown = [trial for trial in trials if path in trial.values and trial.score is not None and trial.state != "failed"]
    values = [trial.values[path] for trial in shown]
    if len({str(value) for value in values}) < 2:
        return ""
    share, name = _share(record), path.rpartition(".")[2].replace("_", " ")
    numbers = [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    with chart(f"{wording.measure_name(record.measure)} of trials over {name}") as (axes, drawn):
        if len(numbers) == len(values):
            if min(numbers) > 0 and max(numbers) / min(numbers) > SPREAD / 4:
                axes.set_xscale("log")
                _plain_ticks(axes, max(numbers) / min(numbers))
            places = numbers
        else:
            words = sorted({str(value) for value in values})
            places = [float(words.index(str(value))) for value in values]
            axes.set_xticks(range(len(words)), words)
            axes.set_xlim(-0.5, len(words) - 0.5)
        for place, trial in zip(places, shown, strict=True):
            _dot(axes, place, share * (trial.score or 0.0), trial, record)
        _crop(axes, [share * (trial.score or 0.0) for trial in shown], _sign(record))
        axes.set_title(name[:1].upper() + name[1:], loc="left", fontsize=8.5, color=INK, pad=6)
    return drawn[0]


def _dot(axes: Any, place: float, score: float, trial: TrialRecord, record: SearchRecord) -> None:
    ring = {"markerfacecolor": PAPER, "zorder": 4}
    if trial.number == record.best:
        axes.plot(place, score, "o", markersize=6.5, markeredgecolor=ACCENT, markeredgewidth=1.6, **ring)
    elif trial.state == "pruned":
        axes.plot(place, score, "o", markersize=3.4, markeredgecolor=SOFT, markeredgewidth=0.8, **ring)
    else:
        axes.plot(place, score, "o", markersize=3.6, color=ACCENT, alpha=0.75, markeredgewidth=0, zorder=3)


def _crop(axes: Any, scores: Sequence[float], sign: int) -> None:
    """Leave trials that went badly wrong to the edge: otherwise they squeeze all others into one line."""
    ordered = sorted(scores, reverse=sign > 0)
    good, poor = ordered[0], ordered[3 * len(ordered) // 4]
    reach = max(2.5 * abs(good - poor), 0.02 * abs(good), 1e-6)
    worst = good - sign * reach * 1.6
    kept = [score for score in scores if sign * score >= sign * worst] or list(scores)
    low, high = min(kept), max(kept)
    room = 0.08 * (high - low or abs(high) * 0.02 or 1.0)
    axes.set_ylim(low - room, high + room)
    for line in axes.lines:
        line.set_clip_on(len(kept) < len(scores))
    if len(kept) < len(scores):
        axes.text(0.99, 0.02, f"{len(scores) - len(kept)} further down", transform=axes.transAxes, ha="right", fontsize=7)
    axes.spines["bottom"].set_color(LINE)


def _plain_ticks(axes: Any, span: float) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if span < 60 else (1.0,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:g}".replace("e-0", "e-")))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", length=0)


def _title(record: SearchRecord, note: str) -> str:
    unit = ", %" if _share(record) == 100 else ""
    return f"{wording.measure_name(record.measure)} on validation{unit}; {note}"


def _share(record: SearchRecord) -> int:
    return 100 if is_share(record.measure) else 1


def _sign(record: SearchRecord) -> int:
    return 1 if record.direction == "higher" else -1
