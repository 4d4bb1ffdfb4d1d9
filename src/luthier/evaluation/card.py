"""The evidence card: every model of a run on one test set, what tuning gained, what it cost, and the verdict.

Records only: the plain text is made in `card_text`, the terminal's and the report's looks elsewhere, all from `Metrics`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from luthier.core.process import Cost
from luthier.core.records import from_plain
from luthier.core.storage import read_json
from luthier.errors import DataError
from luthier.evaluation.bootstrap import Resampled, resample
from luthier.evaluation.by_source import scores_by_source
from luthier.evaluation.calibration import best_temperature, calibration_error, confidences, error_grew, reliability_curve
from luthier.evaluation.card_text import render_text
from luthier.evaluation.compare import comparison_of, holm, paired_test
from luthier.evaluation.costs import describe_alarms, weigh_alarms
from luthier.evaluation.details import details_of
from luthier.evaluation.intervals import score_interval
from luthier.evaluation.measures import MEASURES, AnyMeasure
from luthier.evaluation.predictions import aligned
from luthier.evaluation.records import MODEL_NAMES, RANKINGS, Comparison, Interval, Metrics, Predictions
from luthier.evaluation.settings import EvaluationSettings
from luthier.evaluation.verdict import Change, decide_verdict


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What a run knows besides its test predictions.

    Attributes:
        task: Name of the task.
        absent: By model: why it is not on the card.
        described: By model: what it is called, and what it does in a sentence; where the task says so.
        cost: By model: what it took to make.
        seeds: Seeds of the runs behind the card.
        validation: By model: its score on validation, where that is worth showing.
        steers_by: The measure of these scores, where that is not the primary one.
        validation_predictions: Of the tuned model; gives the temperature that would calibrate it best.
        retained: By model and measure: scores on what the model could do before.
        retained_about: The same in a sentence, or why it was not measured.
        importance: Of a model of tables: what each column matters.
        sources: Of each test example of the tuned model, where several sources are mixed; empty for those of none.
        changes: What else tuning may have made worse (retained scores, slices), with limits, for the verdict.
    """

    task: str
    absent: Mapping[str, str] = field(default_factory=dict)
    described: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    cost: Mapping[str, Cost] = field(default_factory=dict)
    seeds: Sequence[int] = ()
    validation: Mapping[str, float] = field(default_factory=dict)
    validation_predictions: Predictions | None = None
    retained: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    retained_about: str = ""
    importance: Mapping[str, float] = field(default_factory=dict)
    sources: Sequence[str] = ()
    changes: Sequence[Change] = ()
    steers_by: str = ""


@dataclass(frozen=True, kw_only=True)
class EvidenceCard:
    """What `print(run.card)` shows; `metrics` holds the numbers."""

    metrics: Metrics

    def __str__(self) -> str:
        return render_text(self.metrics)


def build_card(
    test: Mapping[str, Predictions], facts: RunFacts, *, measures: Sequence[str], settings: EvaluationSettings, seed: int = 0
) -> EvidenceCard:
    """Score every model, compare tuned with each, decide.

    Args:
        test: Test predictions by model (`MODEL_NAMES`), `tuned` among them; all of the same examples.
        facts: What else the run knows.
        measures: Names of `MEASURES`; the first is the primary one, which is compared and decides.
        settings: Confidence and number of resamples.
        seed: Seed of resamples and swaps.

    Raises:
        DataError: `tuned` is missing, there are no examples, or models were not scored on the same ones.
        SpecError: a measure is unknown.
    """
    models = _in_order(test)
    chosen = [MEASURES[name] for name in measures]
    resampled = resample(models, chosen, samples=settings.bootstrap_samples, seed=seed)
    scores = intervals_of(resampled, chosen, settings.confidence)
    comparisons = _comparisons(models, chosen, resampled, settings=settings, seed=seed)
    verdict = decide_verdict(
        scores,
        comparisons,
        primary_measure=measures[0],
        direction=chosen[0].direction,
        alpha=1 - settings.confidence,
        changes=[*facts.changes, *_calibration_changes(models, settings, seed)],
    )
    details = details_of(tuned := models["tuned"])
    return EvidenceCard(
        metrics=Metrics(
            task=facts.task,
            primary_measure=measures[0],
            directions={item.name: item.direction for item in chosen},
            verdict=verdict.name,
            verdict_reason=verdict.reason,
            recommended=verdict.recommended,
            n=tuned.table.num_rows,
            test=scores,
            comparisons=comparisons,
            absent=_reasons(models, facts.absent),
            cost=facts.cost,
            validation=facts.validation,
            steers_by=facts.steers_by,
            answer_kind=tuned.answer_kind,
            described=facts.described,
            per_class=details.per_class,
            confusion=details.confusion,
            details=details.more,
            labels=tuned.labels,
            calibration=_calibration(models, facts.validation_predictions),
            retained=facts.retained,
            retained_about=facts.retained_about,
            seeds=facts.seeds,
            confidence=settings.confidence,
            bootstrap_samples=settings.bootstrap_samples,
            num_units=resampled["tuned"][measures[0]].num_units,
            importance=facts.importance,
            by_source=scores_by_source(models, facts.sources, chosen[0], settings=settings, seed=seed),
            alarms=_alarms(tuned, facts.validation_predictions, settings, seed),
        )
    )


def _alarms(tuned: Predictions, validation: Predictions | None, settings: EvaluationSettings, seed: int) -> dict[str, object]:
    found = weigh_alarms(validation, tuned, settings, seed=seed) if _has_probs(tuned) else None
    return {} if found is None else {**asdict(found), "sentence": describe_alarms(found)}


def read_metrics(path: Path) -> Metrics:
    """The record of a `metrics.json`; `EvidenceCard(metrics=...)` shows it again."""
    return from_plain(Metrics, read_json(path))


def _in_order(test: Mapping[str, Predictions]) -> dict[str, Predictions]:
    if "tuned" not in test or not test["tuned"].table.num_rows:
        raise DataError("A card needs test predictions of the tuned model.", remedy="give a test part, or --split 80/10/10")
    names = [name for name in MODEL_NAMES if name in test] + [name for name in test if name not in MODEL_NAMES]
    return {name: aligned(test["tuned"], test[name]) for name in names}


def _reasons(models: Mapping[str, Predictions], absent: Mapping[str, str]) -> dict[str, str]:
    """Of rows without an order in time nobody expects the last answer."""
    missing = [name for name in MODEL_NAMES if name not in models and (name != "persistence" or name in absent)]
    return {name: absent.get(name, "not measured in this run") for name in missing}


def intervals_of(
    resampled: Mapping[str, Mapping[str, Resampled]], measures: Sequence[AnyMeasure], confidence: float
) -> dict[str, dict[str, Interval]]:
    """By model and measure: the score with its interval."""
    return {
        model: {item.name: score_interval(by_measure[item.name], item, confidence=confidence) for item in measures}
        for model, by_measure in resampled.items()
    }


def _comparisons(
    models: Mapping[str, Predictions],
    measures: Sequence[AnyMeasure],
    resampled: Mapping[str, Mapping[str, Resampled]],
    *,
    settings: EvaluationSettings,
    seed: int,
) -> list[Comparison]:
    """Tuned against every other model; the draws of the scores serve the differences too.

    The primary measure compares; where that asks for a ranking, which the last answer does not give, accuracy compares with it.
    """
    found = []
    for model in (model for model in models if model != "tuned"):
        by_answers = [item for item in measures if item.name == "accuracy"] if model == "persistence" else []
        measure = by_answers[0] if by_answers and measures[0].name in RANKINGS else measures[0]
        difference = resampled["tuned"][measure.name] - resampled[model][measure.name]
        p, test = paired_test(models["tuned"], models[model], measure, samples=settings.bootstrap_samples, seed=seed)
        names = ("tuned", model)
        found.append(
            comparison_of(difference, names=names, measure=measure.name, p=p, test=test, confidence=settings.confidence)
        )
    return holm(found)


def _has_probs(predictions: Predictions) -> bool:
    return predictions.answer_kind in ("label", "labels") and "probs" in predictions.table.column_names


def _calibration(models: Mapping[str, Predictions], validation: Predictions | None) -> dict[str, object]:
    found: dict[str, object] = {}
    for name in (name for name, said in models.items() if _has_probs(said)):
        confidence, right = confidences(models[name])
        if not len(confidence):
            continue
        facts: dict[str, object] = {"expected_calibration_error": calibration_error(confidence, right)}
        if name == "tuned":
            facts["curve"] = [asdict(point) for point in reliability_curve(confidence, right)]
            if validation is not None and validation.answer_kind == "label":
                facts["best_temperature"] = best_temperature(validation)
        found[name] = facts
    return found


def _calibration_changes(models: Mapping[str, Predictions], settings: EvaluationSettings, seed: int) -> list[Change]:
    """The probe is the model before its pre-trained weights moved; without one there is no before.

    Of several labels each model gives others: their confidences are about other things, and are not compared.
    """
    if "probe" not in models or models["tuned"].answer_kind != "label" or not _has_probs(models["probe"]):
        return []
    before, after = (calibration_error(*confidences(models[name])) for name in ("probe", "tuned"))
    change = Change(
        what="the calibration error (probe to tuned)",
        before=before,
        after=after,
        limit=settings.calibration_limit,
        direction="lower",
    )
    real = change.is_beyond_limit() and error_grew(
        models["probe"], models["tuned"], confidence=settings.confidence, samples=200, seed=seed
    )
    return [change] if real else []
