"""Charts as inline SVG."""

import re
from xml.etree import ElementTree

from luthier.report.figures import draw_losses, draw_reliability, draw_validation, thinned
from luthier.report.ladder import Evaluation, Rung


def make_rung(name: str, num_steps: int, scores: list[float]) -> Rung:
    looks = [
        Evaluation(
            step=num_steps * (place + 1), epoch=place + 1.0, loss=None, scores={"accuracy": score}, best=score == max(scores)
        )
        for place, score in enumerate(scores)
    ]
    steps = tuple((step, 1.0 / step) for step in range(1, num_steps * len(scores) + 1))
    return Rung(name=name, steps=steps, evaluations=tuple(looks))


RUNGS = [make_rung("probe", 0, [0.8]), make_rung("top-blocks:2", 20, [0.82, 0.85]), make_rung("full", 20, [0.8, 0.84])]


def test_a_chart_is_well_formed_takes_its_colours_from_the_page_and_has_a_name() -> None:
    svg = draw_losses(RUNGS)
    root = ElementTree.fromstring(svg)
    assert root.attrib["role"] == "img"
    assert "Training loss" in root.attrib["aria-label"]
    assert "var(--accent)" in svg
    assert not re.search(r"#0102|http|<metadata|font-family|<style>\*", svg)


def test_rungs_that_took_steps_are_named_and_a_single_score_is_a_line() -> None:
    losses, scores = draw_losses(RUNGS), draw_validation(RUNGS, "accuracy")
    assert "Top 2 blocks" in losses
    assert "All blocks" in losses
    assert "Probe" not in losses
    assert "Probe" in scores


def test_a_rung_that_only_says_its_score_is_a_line_too() -> None:
    probe = Rung(name="probe", finished=True, score=0.8)
    assert "Probe" in draw_validation([probe, *RUNGS[1:]], "accuracy")
    assert "Probe" not in draw_validation(RUNGS[1:], "accuracy")


def test_nothing_to_draw_is_an_empty_text() -> None:
    assert draw_losses(RUNGS[:1]) == ""
    assert draw_validation(RUNGS[:1], "accuracy") == ""
    assert draw_validation(RUNGS, "macro_f1") == ""


def test_charts_are_the_same_each_time() -> None:
    points = [(0.5, 0.4, 10), (0.9, 0.95, 90)]
    assert draw_reliability(points) == draw_reliability(points)
    assert draw_losses(RUNGS) == draw_losses(RUNGS)


def test_long_training_makes_no_larger_chart() -> None:
    short, long = (make_rung("full", steps, [0.5, 0.6]) for steps in (100, 20_000))
    assert len(draw_losses([long])) < 1.5 * len(draw_losses([short]))
    means = thinned(long.steps, most=50)
    assert len(means) == 50
    assert abs(sum(loss for _, loss in means) / 50 - sum(loss for _, loss in long.steps) / len(long.steps)) < 1e-9
