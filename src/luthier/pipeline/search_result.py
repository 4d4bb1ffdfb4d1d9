"""What a search gave, as records and in words: the line of each trial, the best one, `search.json`, `trials.jsonl`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.core.records import to_json
from luthier.core.storage import write_json, write_text
from luthier.evaluation.display import format_score, format_seconds
from luthier.evaluation.measures import MEASURES
from luthier.evaluation.records import IndexedMeasure
from luthier.pipeline.search_spec import SearchSpec
from luthier.studies.records import SearchRecord, TrialRecord
from luthier.studies.space import as_plain
from luthier.tasks.protocol import steering_measure

if TYPE_CHECKING:
    from luthier.pipeline.trials import Trials
    from luthier.studies.study import Study

RECORD, TRIALS = "search.json", "trials.jsonl"


def trial_line(record: TrialRecord, records: Sequence[TrialRecord], measure: str) -> str:
    """A trial in a line."""
    said = {"complete": "", "pruned": "ended early, ", "failed": "failed: "}.get(record.state, "")
    score = record.reason if record.score is None else format_score(measure, record.score)
    again = f", as trial {record.repeats + 1}" if record.repeats is not None else f" in {format_seconds(record.wall_seconds)}"
    best = best_of(records, measure)
    mark = "  best so far" if best is not None and best.number == record.number else ""
    origin = " (defaults)" if record.is_default else ""
    return f"trial {record.number + 1}{origin}: {said}{score}{again}; {values_in_words(record)}{mark}"


def values_in_words(record: TrialRecord) -> str:
    """The values of a trial, the method first.

    Example:
        >>> values = {"training.method": "full", "training.learning_rate": 0.00031234}
        >>> values_in_words(TrialRecord(number=0, values=values, state="complete"))
        'full, learning rate 0.000312'
    """
    method = [str(value) for path, value in record.values.items() if path == "training.method"]
    rest = [
        f"{path.rpartition('.')[2].replace('_', ' ')} {format(value, '.3g') if isinstance(value, float) else value}"
        for path, value in record.values.items()
        if path != "training.method"
    ]
    return ", ".join([*method, *rest])


def best_of(records: Sequence[TrialRecord], measure: str) -> TrialRecord | None:
    """The best trial that ran to its end; the first of equals."""

    sign = 1 if MEASURES[measure].direction == "higher" else -1
    complete = [record for record in records if record.state == "complete" and record.score is not None]
    return max(complete, key=lambda record: (sign * (record.score or 0.0), -record.number), default=None)


def describe(study: "Study", trials: "Trials", asked: SearchSpec) -> SearchRecord:
    """Everything about a search so far."""
    from luthier.studies.importance import importances
    from luthier.studies.optimism import estimate_optimism

    measure, records = steering_measure(trials.prepared.task), study.records()
    rule, best = MEASURES[measure], best_of(records, measure)
    optimism = None
    if not isinstance(rule, IndexedMeasure):
        optimism = estimate_optimism(
            study.stats(),
            rule.value,
            direction=rule.direction,
            seed=asked.base.training.seed,
            units=trials.units().tolist(),
        )
    return SearchRecord(
        study=study.name,
        measure=measure,
        direction=rule.direction,
        sampler=asked.settings.sampler,
        pruner=asked.settings.pruner,
        seed=asked.base.training.seed,
        num_trials=study.limit,
        seconds=asked.settings.seconds,
        space=as_plain(asked.space),
        trials=records,
        best=None if best is None else best.number,
        importance=importances(asked.space, records),
        optimism=optimism,
        cpu_seconds=sum(record.cpu_seconds for record in records) + trials.shared_cost.cpu_seconds,
        wall_seconds=sum(record.wall_seconds for record in records) + trials.shared_cost.wall_seconds,
        shared_cpu_seconds=trials.shared_cost.cpu_seconds,
    )


def write_records(folder: Path, record: SearchRecord) -> None:
    """`search.json`, and a line for each trial."""
    write_trials(folder, record.trials)
    write_json(folder / RECORD, record)


def write_trials(folder: Path, records: Sequence[TrialRecord]) -> None:
    """A line for each trial."""
    write_text(folder / TRIALS, "".join(f"{to_json(item)}\n" for item in records))
