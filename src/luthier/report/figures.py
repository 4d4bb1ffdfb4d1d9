"""The report's charts, drawn by matplotlib as inline SVG: same bytes for same numbers, colours and letters from the page.

Colours are placeholders that become the page's CSS variables, so that a chart follows light, dark and print by itself.
"""

import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from luthier.evaluation.display import is_share
from luthier.report import wording
from luthier.report.ladder import Rung

INK, SOFT, LINE, ACCENT, PAPER = "#010203", "#010204", "#010205", "#010206", "#010207"
VARIABLES = {INK: "--ink", SOFT: "--soft", LINE: "--line", ACCENT: "--accent", PAPER: "--paper"}
# Inches of 72 units; the page shows a chart at about 1.4 times this size, so 7 units are 10 pixels.
SIZE = (3.7, 2.35)
MOST_POINTS = 150
STYLE = {
    "svg.fonttype": "none",
    "font.size": 7.5,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "text.color": SOFT,
}


def draw_losses(rungs: Sequence[Rung]) -> str:
    """Training loss over steps, rung after rung; empty if no rung took steps."""
    trained = [rung for rung in rungs if rung.steps]
    if not trained:
        return ""
    with chart("Training loss by step, one line for each rung of the ladder") as (axes, drawn):
        start = 0
        for rung in trained:
            steps = thinned(rung.steps)
            axes.plot([start + step for step, _ in steps], [loss for _, loss in steps], color=ACCENT, linewidth=1.3)
            start = _mark_end(axes, rung, start)
        axes.set_xlim(0, start)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("Steps, one rung after the other" + _dots(rungs))
        axes.set_title("Training loss", loc="left", fontsize=8.5, color=INK, pad=16)
    return drawn[0]


def draw_validation(rungs: Sequence[Rung], measure: str) -> str:
    """Validation score over steps, rung after rung, the best of each marked; a rung with one score is a dashed line."""
    scored = [(rung, [look for look in rung.evaluations if measure in look.scores]) for rung in rungs]
    trained = [(rung, looks) for rung, looks in scored if len(looks) > 1]
    if not trained:
        return ""
    share = 100 if is_share(measure) else 1
    name = wording.measure_name(measure)
    with chart(f"{name} on validation by step, one line for each rung of the ladder") as (axes, drawn):
        start = 0
        for rung, looks in trained:
            places, scores = [start + look.step for look in looks], [share * look.scores[measure] for look in looks]
            axes.plot(places, scores, color=ACCENT, linewidth=1.3, marker="o", markersize=2.8)
            best = max((place for place, look in enumerate(looks) if look.best), default=None)
            if best is not None:
                axes.plot(
                    places[best],
                    scores[best],
                    "o",
                    markersize=6.5,
                    markerfacecolor=PAPER,
                    markeredgecolor=ACCENT,
                    markeredgewidth=1.5,
                )
            start = _mark_end(axes, rung, start)
        for rung, looks in scored:
            only = looks[0].scores[measure] if looks else rung.score
            if len(looks) < 2 and only is not None:
                _reference(axes, rung, share * only, start)
        axes.set_xlim(0, 1.02 * start)
        axes.margins(y=0.15)
        axes.set_xlabel("Steps, one rung after the other; circles mark the best" + _dots(rungs))
        axes.set_title(f"{name} on validation" + (", %" if share == 100 else ""), loc="left", fontsize=8.5, color=INK, pad=16)
    return drawn[0]


def draw_range_test(title: str, evidence: Mapping[str, Any], chosen: float) -> str:
    """The loss over the learning rate in a range test, against the loss at the start; the rate that was chosen is marked."""
    rates, raw, smoothed = evidence["rates"], evidence["losses"], evidence["smoothed"]
    with chart(f"Loss over the learning rate in the range test of {title}; {chosen:g} was chosen") as (axes, drawn):
        axes.set_xscale("log")
        axes.plot(rates, raw, ".", color=SOFT, markersize=2.2)
        axes.plot(rates, smoothed, color=ACCENT, linewidth=1.3)
        low = min(smoothed)
        axes.set_ylim(1.6 * low - 0.02, max(0.6 * abs(low), 0.05))
        axes.set_xlim(rates[0], rates[-1])
        axes.axvline(chosen, color=INK, linewidth=0.9, linestyle=(0, (3, 3)))
        axes.annotate(f"{chosen:g}", (chosen, 1.02), xycoords=("data", "axes fraction"), ha="center", fontsize=7, color=INK)
        axes.set_xlabel("Learning rate, rising from step to step")
        axes.set_title(f"Change of loss, {title}", loc="left", fontsize=8.5, color=INK, pad=16)
    return drawn[0]


def draw_reliability(points: Sequence[tuple[float, float, int]]) -> str:
    """Accuracy over confidence in percent, with the diagonal of perfect calibration; the axes begin where the dots do."""
    label = "Share of right answers by stated confidence; the diagonal would be perfect"
    lowest = 10 * math.floor(10 * min(min(confidence, accuracy) for confidence, accuracy, _ in points) - 0.2)
    low = max(0, lowest)
    with chart(label, size=(3.3, 3.0)) as (axes, drawn):
        axes.plot([low, 100], [low, 100], color=SOFT, linewidth=0.8, linestyle=(0, (3, 3)))
        confidences, accuracies = [100 * c for c, _, _ in points], [100 * a for _, a, _ in points]
        axes.plot(confidences, accuracies, color=ACCENT, linewidth=1)
        axes.scatter(confidences, accuracies, s=16, color=ACCENT, linewidths=0, zorder=3)
        axes.set_xlim(low, 101)
        axes.set_ylim(low, 101)
        axes.set_xlabel("Stated confidence, %")
        axes.set_title("Answers that are right, %", loc="left", fontsize=8.5, color=INK, pad=8)
    return drawn[0]


def _mark_end(axes: Any, rung: Rung, start: int) -> int:
    """Name a rung above its stretch of the axis and end it with a thin line; returns where the next one starts."""
    last = max([step for step, _ in rung.steps[-1:]] + [look.step for look in rung.evaluations[-1:]])
    end = start + max(last, 1)
    transform = axes.get_xaxis_transform()
    axes.text((start + end) / 2, 1.03, wording.rung_name(rung.name), ha="center", fontsize=7, transform=transform)
    if start:
        axes.axvline(start, color=LINE, linewidth=0.8)
    for step in rung.unfroze:
        axes.axvline(start + step, color=SOFT, linewidth=0.7, linestyle=(0, (1, 3)))
    return end


def _dots(rungs: Sequence[Rung]) -> str:
    """What the dotted lines mean, where there are any."""
    return "; dotted lines: one more block trains" if any(rung.unfroze for rung in rungs) else ""


def _reference(axes: Any, rung: Rung, score: float, end: int) -> None:
    axes.axhline(score, color=SOFT, linewidth=0.9, linestyle=(0, (3, 3)))
    axes.annotate(
        wording.rung_name(rung.name), (end, score), xytext=(0, -3), textcoords="offset points", ha="right", va="top", fontsize=7
    )


def thinned(steps: Sequence[tuple[int, float]], *, most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """Means of consecutive steps, at most `most` of them: a line of 50,000 noisy points says no more, and weighs more.

    Example:
        >>> thinned([(1, 4.0), (2, 2.0), (3, 3.0), (4, 1.0)], most=2)
        [(1.5, 3.0), (3.5, 2.0)]
    """
    width = -(-len(steps) // most)
    groups = [steps[place : place + width] for place in range(0, len(steps), width)]
    return [(sum(step for step, _ in group) / len(group), sum(loss for _, loss in group) / len(group)) for group in groups]


@contextmanager
def chart(label: str, *, size: tuple[float, float] = SIZE) -> Iterator[tuple[Any, list[str]]]:
    """Axes to draw on; when the block ends, the SVG is in the list."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    drawn: list[str] = []
    # The label as salt: ids of two charts on one page must differ.
    with mpl.rc_context({**STYLE, "svg.hashsalt": label}):
        figure = Figure(figsize=size)
        # Fixed margins: room for four-digit labels, in a fifth of the time of an automatic layout.
        figure.subplots_adjust(left=0.1, right=0.985, top=0.84, bottom=0.17)
        yield figure.add_subplot(), drawn
        figure.patch.set_visible(False)
        figure.axes[0].patch.set_visible(False)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    drawn.append(inline_svg(buffer.getvalue(), label))


def inline_svg(document: str, label: str) -> str:
    """An SVG document made fit for an HTML page: no prologue, no ids nobody refers to, the page's colours and letters."""
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    view = re.search(r'viewBox="([^"]*)"', svg)
    svg = re.sub(
        r"<svg[^>]*>", f'<svg class="chart" viewBox="{view[1] if view else ""}" role="img" aria-label="{label}">', svg, count=1
    )
    referred = set(re.findall(r'(?:href="|url\()#([\w-]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in referred else "", svg)
    # HTML knows `href` on its own; without the namespace declaration `xlink:` would mean nothing.
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return re.sub(r"\s*\n\s*", "\n", svg)
