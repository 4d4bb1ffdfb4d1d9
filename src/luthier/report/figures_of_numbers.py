"""The report's charts of answers that are numbers: against the truth, and how far off they are."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from luthier.report.figures import ACCENT, INK, SOFT, chart


def draw_answers(points: Sequence[Sequence[float]], span: Sequence[float]) -> str:
    """Answers over the truth, with the line on which all would be right."""
    low = min([span[0], *(answer for _, answer in points)])
    high = max([span[1], *(answer for _, answer in points)])
    room = 0.04 * (high - low) or 1.0
    label = "Answers over the truth; on the dashed line an answer is right"
    with chart(label, size=(3.5, 3.2)) as (axes, drawn):
        axes.plot([low - room, high + room], [low - room, high + room], color=SOFT, linewidth=0.8, linestyle=(0, (3, 3)))
        truths, answers = [point[0] for point in points], [point[1] for point in points]
        axes.scatter(truths, answers, s=7, color=ACCENT, linewidths=0, alpha=0.45)
        axes.set_xlim(low - room, high + room)
        axes.set_ylim(low - room, high + room)
        axes.set_xlabel("The truth")
        axes.set_title("Answer", loc="left", fontsize=8.5, color=INK, pad=8)
    return drawn[0]


def draw_errors(histogram: Mapping[str, Any]) -> str:
    """How many answers are how far off; zero is marked."""
    edges, counts = histogram["edges"], histogram["counts"]
    with chart("How many answers are how far off", size=(3.5, 3.2)) as (axes, drawn):
        widths = [high - low for low, high in pairwise(edges)]
        axes.bar(edges[:-1], counts, width=widths, align="edge", color=ACCENT, linewidth=0)
        axes.set_axisbelow(True)
        axes.axvline(0, color=INK, linewidth=0.9, linestyle=(0, (3, 3)))
        axes.set_xlabel("Answer minus truth")
        axes.set_title("Test examples", loc="left", fontsize=8.5, color=INK, pad=8)
    return drawn[0]
