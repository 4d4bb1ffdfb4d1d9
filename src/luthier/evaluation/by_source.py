"""Scores by source, where several are mixed: a model may be good on one of them only, which the whole does not show."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from luthier.evaluation.bootstrap import resample
from luthier.evaluation.display import format_score
from luthier.evaluation.intervals import score_interval
from luthier.evaluation.measures import AnyMeasure
from luthier.evaluation.records import Metrics, Predictions, SourceScores
from luthier.evaluation.settings import EvaluationSettings


def scores_by_source(
    models: Mapping[str, Predictions],
    sources: Sequence[str],
    measure: AnyMeasure,
    *,
    settings: EvaluationSettings,
    seed: int,
) -> list[SourceScores]:
    """The score of each model on the examples of each source, with its interval.

    Args:
        models: Predictions of the same examples in the same order.
        sources: Of each example; empty for those of none.
        measure: Of the card.
    """
    found = []
    names = np.array(sources, dtype=object)
    for source in dict.fromkeys(name for name in sources if name):
        rows = np.flatnonzero(names == source)
        own = {model: replace(said, table=said.table.take(rows)) for model, said in models.items()}
        resampled = resample(own, [measure], samples=settings.bootstrap_samples, seed=seed)
        scores = {
            model: score_interval(by_measure[measure.name], measure, confidence=settings.confidence)
            for model, by_measure in resampled.items()
        }
        found.append(SourceScores(source=source, n=len(rows), scores=scores))
    return found


def describe_sources(metrics: Metrics) -> list[str]:
    """A line for each source: how many examples, what tuned scores there, and the best of the others."""
    lines = []
    measure, sign = metrics.primary_measure, 1 if metrics.directions.get(metrics.primary_measure) != "lower" else -1
    for item in metrics.by_source:
        tuned = item.scores["tuned"]
        low, high = (format_score(measure, value, unit=False) for value in (tuned.low, tuned.high))
        others = {model: interval.value for model, interval in item.scores.items() if model != "tuned"}
        best = max(others, key=lambda model: sign * others[model]) if others else ""
        beside = f"; {best} {format_score(measure, others[best])}" if best else ""
        count = f"{item.n:,} test example" + ("" if item.n == 1 else "s")
        lines.append(f"{item.source} ({count}): tuned {format_score(measure, tuned.value)} [{low}, {high}]{beside}")
    return lines
