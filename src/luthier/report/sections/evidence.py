"""Section 2: every model on one card, on the same test examples, with intervals, paired tests and cost."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from luthier.core.storage import format_bytes
from luthier.evaluation.records import MODEL_NAMES, Metrics
from luthier.report import wording
from luthier.report.axis import Axis, build_axis
from luthier.report.records import RunRecords
from luthier.report.section import Section
from luthier.report.sections.summary import against_tuned


@dataclass(frozen=True, kw_only=True)
class CardRow:
    """One model on the card, in words; `low`, `dot`, `high` are places on the axis in percent.

    Attributes:
        off_axis: The model is so far behind that it lies outside the plot.
    """

    name: str
    title: str
    meaning: str
    score: str
    range: str
    low: float
    dot: float
    high: float
    off_axis: bool
    difference: str
    difference_range: str
    p: str
    test: str
    time: str
    memory: str


def build_evidence(run: RunRecords) -> Section:
    """The card: interval plot, table of differences and costs, and the models that are absent with the reason."""
    metrics = run.metrics
    measure = metrics.primary_measure
    intervals = {name: scores[measure] for name, scores in metrics.test.items() if measure in scores}
    direction = metrics.directions.get(measure, "higher")
    axis = build_axis(intervals, direction)
    best_first = sorted(intervals, key=lambda name: intervals[name].value, reverse=direction == "higher")
    rows = [_row(metrics, name, axis) for name in best_first]
    rows = [replace(row, meaning=_kept_rung(run) or row.meaning) if row.name == "tuned" else row for row in rows]
    facts = {
        "measure": wording.measure_name(measure),
        "meaning": wording.measure_meaning(measure),
        "rows": rows,
        "ticks": [(axis.place(tick), wording.tick(measure, tick)) for tick in axis.ticks],
        "models": [wording.model_name(name, metrics.described) for name in best_first],
        "absent": [(wording.model_name(name, metrics.described), reason) for name, reason in _in_order(metrics.absent)],
        "others": _other_measures(metrics, best_first),
        "tests": sorted({item.test for item in metrics.comparisons}),
        "retained": _retained(metrics),
        "sources": _by_source(metrics, best_first),
        "retained_about": metrics.retained_about,
        "alarms": str(metrics.alarms.get("sentence", "")),
    }
    return Section(title="The evidence", template="evidence.html", facts=facts)


def _in_order(by_model: Mapping[str, Any]) -> list[tuple[str, Any]]:
    order = {name: place for place, name in enumerate(MODEL_NAMES)}
    return sorted(by_model.items(), key=lambda item: order.get(item[0], len(order)))


def _row(metrics: Metrics, name: str, axis: Axis) -> CardRow:
    measure = metrics.primary_measure
    interval = metrics.test[name][measure]
    versus = against_tuned(metrics, name)
    cost = metrics.cost.get(name)
    return CardRow(
        name=name,
        title=wording.model_name(name, metrics.described),
        meaning=wording.model_meaning(name, metrics.described),
        score=wording.score(measure, interval.value),
        range=wording.score_range(measure, interval),
        low=axis.place(interval.low),
        dot=axis.place(interval.value),
        high=axis.place(interval.high),
        off_axis=not axis.holds(interval.value),
        difference=wording.signed(measure, versus.difference) if versus else "",
        difference_range=wording.signed_range(measure, versus.low, versus.high) if versus else "",
        p=wording.p_value(versus.p_holm) if versus else "",
        test=versus.test if versus else "",
        time=wording.duration(cost.cpu_seconds) if cost else "",
        memory=format_bytes(cost.peak_memory_bytes).replace(" ", wording.NBSP) if cost and cost.peak_memory_bytes else "",
    )


def _kept_rung(run: RunRecords) -> str:
    kept = [rung.name for rung in run.rungs if rung.kept]
    return f"The last rung kept: {wording.rung_name(kept[-1])}." if kept else ""


def _other_measures(metrics: Metrics, models: list[str]) -> dict[str, Any]:
    """A table of all other measures: one row per model, one column per measure."""
    measures = list(dict.fromkeys(name for scores in metrics.test.values() for name in scores))
    rows = [
        (
            wording.model_name(model, metrics.described),
            [
                (wording.score(name, scores[name].value), wording.score_range(name, scores[name]))
                if name in scores
                else ("–", "")
                for name in measures
            ],
        )
        for model in models
        for scores in [metrics.test[model]]
    ]
    return {"columns": [wording.measure_name(name) for name in measures], "rows": rows}


def _by_source(metrics: Metrics, models: list[str]) -> list[tuple[str, int, list[tuple[str, str]]]]:
    """Of each source: its name, how many test examples are of it, and what each model scores on them."""
    measure = metrics.primary_measure
    return [
        (
            item.source,
            item.n,
            [
                (wording.score(measure, item.scores[model].value), wording.score_range(measure, item.scores[model]))
                for model in models
            ],
        )
        for item in metrics.by_source
    ]


def _retained(metrics: Metrics) -> list[tuple[str, str, str, str]]:
    """What the models can still do of what they could before: (model, measure, score, interval)."""
    return [
        (
            wording.model_name(model, metrics.described),
            wording.measure_name(name),
            wording.score(name, item.value),
            wording.score_range(name, item),
        )
        for model, scores in _in_order(metrics.retained)
        for name, item in scores.items()
    ]
