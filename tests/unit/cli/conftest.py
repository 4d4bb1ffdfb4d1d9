"""Evidence for the tests of the command line: a card with every kind of row."""

import pytest

from luthier.core.process import Cost
from luthier.evaluation.records import Comparison, Interval, Metrics

SCORES = {"majority": 0.182, "classic": 0.801, "pretrained": 0.772, "probe": 0.873, "tuned": 0.894}


def metrics_with(verdict: str) -> Metrics:
    test = {name: {"accuracy": Interval(value=score, low=score - 0.02, high=score + 0.02)} for name, score in SCORES.items()}
    comparisons = [
        Comparison(
            a="tuned", b=name, measure="accuracy", difference=0.894 - score, low=0.874 - score, high=0.914 - score,
            p=0.01, p_holm=0.04, standard_error=0.01, test="exact McNemar",
        )
        for name, score in SCORES.items() if name != "tuned"
    ]  # fmt: skip
    return Metrics(
        task="text-classification", primary_measure="accuracy", directions={"accuracy": "higher"}, verdict=verdict,
        verdict_reason="the rule that decided", recommended="tuned", n=1204, test=test, comparisons=comparisons,
        absent={"scratch": "was not asked for"}, cost={"tuned": Cost(cpu_seconds=183, wall_seconds=90, peak_memory_bytes=1)},
    )  # fmt: skip


@pytest.fixture
def metrics() -> Metrics:
    """A card whose verdict is `keep`."""
    return metrics_with("keep")
