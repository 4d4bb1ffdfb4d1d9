"""The section on the search, where there was one: what was tried, what mattered, what it cost, how much of it is luck."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from luthier.core.names import count_of
from luthier.report import wording
from luthier.report.records import RunRecords
from luthier.report.search_figures import draw_curves, draw_progress, draw_slice
from luthier.report.section import Section
from luthier.report.sections.summary import KeyNumber
from luthier.studies.records import Importance, SearchRecord, TrialRecord

FIRST_ROWS = 6
MOST_SLICES = 6
SAMPLERS = {
    "tpe": "each trial's settings were proposed from what the good ones before had in common (TPE)",
    "random": "each trial's settings were drawn at random",
    "grid": "every combination of a grid was tried in turn",
    "gp": "each trial's settings were proposed by a smooth model of the scores before (Gaussian process)",
}
STATES = {"complete": "ran to its end", "pruned": "ended early", "failed": "failed"}


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """One trial, in words."""

    number: int
    method: str
    values: str
    score: str
    time: str
    outcome: str
    reason: str
    is_best: bool


@dataclass(frozen=True, kw_only=True)
class ImportanceGroup:
    """Settings whose shares add up to all."""

    title: str
    num_trials: int
    bars: Sequence[tuple[str, float]]


def build_search(run: RunRecords) -> Section | None:
    """The section; None for a run that no search has led to."""
    record = run.search
    if record is None or record.best_trial is None:
        return None
    ranked = _ranked(record)
    facts: dict[str, Any] = {
        "lead": _lead(record),
        "numbers": _numbers(record, run),
        "luck": _luck(record, run),
        "best": [(_setting(path), _value(value)) for path, value in record.best_trial.values.items()],
        "best_number": record.best_trial.number + 1,
        "figures": [figure for figure in (draw_progress(record), draw_curves(record)) if figure],
        "groups": _groups(record),
        "slices": _slices(record),
        "measure": wording.measure_name(record.measure),
        "first": [_row(trial, record) for trial in ranked[:FIRST_ROWS]],
        "rest": [_row(trial, record) for trial in ranked[FIRST_ROWS:]],
    }
    return Section(title="What the search tried", template="search.html", facts=facts)


def _lead(record: SearchRecord) -> str:
    over = [trial for trial in record.trials if trial.is_over]
    text = f"Before this model was trained, {count_of(len(over), 'combination')} of settings were tried on the same data: "
    text += "first each method with its own values; then " if any(trial.is_default for trial in record.trials) else ""
    text += SAMPLERS.get(record.sampler, f"by {record.sampler}") + ". "
    text += f"{count_of(record.count('complete'), 'trial')} ran to the end"
    if record.count("pruned"):
        text += f", {record.count('pruned')} {'was' if record.count('pruned') == 1 else 'were'} ended early for falling behind"
    if record.count("failed"):
        text += f", {record.count('failed')} failed"
    return f"{text}. {_gain(record)} The test examples played no part in this."


def _gain(record: SearchRecord) -> str:
    """The best against the best of the methods' own values, in a sentence."""
    best, default = record.best_trial, record.best_default
    if best is None or default is None:
        return ""
    own = f"{wording.score(record.measure, default.score)} of the best method with its own values (trial {default.number + 1})"
    if best.is_default:
        return f"Nothing beat the {own}."
    gain = wording.signed(record.measure, (best.score or 0.0) - (default.score or 0.0))
    return (
        f"Trial {best.number + 1} won with {wording.score(record.measure, best.score)} on validation: {gain} against the {own}."
    )


def _numbers(record: SearchRecord, run: RunRecords) -> list[KeyNumber]:
    best, measure = record.best_trial, record.measure
    numbers = [_number(measure, best.score if best else 0.0, "Best trial on validation", note="chosen for being the best here")]
    if luck := record.optimism:
        numbers.append(
            _number(
                measure,
                luck.corrected,
                "The same without the luck of the choice",
                range=f"{wording.score(measure, luck.low)} to {wording.score(measure, luck.high)}",
                note="what such a choice gives on examples that it was not made on",
            )
        )
    if tested := run.metrics.test.get("tuned", {}).get(measure):
        numbers.append(
            _number(
                measure,
                tested.value,
                "The final model on test",
                range=wording.score_range(measure, tested),
                note="looked at once, after everything was decided",
            )
        )
    single = _single_cost(record)
    times = f"about {max(1, round(record.cpu_seconds / single))} times a single training" if single else ""
    cost, note = wording.duration(record.cpu_seconds), "time of a processor core, all trials together"
    return [*numbers, KeyNumber(label="Computing time of the search", value=cost, unit="", range=times, note=note)]


def _number(measure: str, value: float | None, label: str, *, note: str, range: str = "") -> KeyNumber:
    shown, _, unit = wording.score(measure, value).partition(wording.NBSP)
    return KeyNumber(label=label, value=shown, unit=unit, range=range, note=note)


def _single_cost(record: SearchRecord) -> float:
    """CPU seconds of a typical trial that trained blocks to the end, with what all trials shared."""
    costs = sorted(trial.cpu_seconds for trial in record.trials if trial.state == "complete" and trial.curve)
    return costs[len(costs) // 2] + record.shared_cpu_seconds if costs else 0.0


def _luck(record: SearchRecord, run: RunRecords) -> list[str]:
    luck = record.optimism
    if luck is None:
        return [
            "How much of the best score is luck was not estimated: there are too few trials, or too few validation examples."
        ]
    gap = wording.signed(record.measure, abs(luck.amount)).lstrip("+")
    said = [
        f"Whoever tries {luck.num_trials} things and keeps the best keeps some luck with it: the winner's score on the "
        "examples that chose it is too good. To see by how much, the choice was made again on "
        f"{luck.num_samples:,} resampled sets of the validation examples, each time scored on the examples left out. "
        f"The winner's {wording.score(record.measure, luck.best)} is worth "
        f"{wording.score(record.measure, luck.corrected)}: about {gap} of it is luck."
    ]
    tested = run.metrics.test.get("tuned", {}).get(record.measure)
    if tested is not None:
        low, high = sorted((tested.low, tested.high))
        inside = low <= luck.corrected <= high or luck.low <= tested.value <= luck.high
        said.append(
            f"On the test examples, which no trial has seen, the final model has {wording.score(record.measure, tested.value)} "
            f"({wording.score_range(record.measure, tested)})"
            + (", which agrees with that estimate." if inside else ": the parts differ by more, as small parts may.")
        )
    return said


def _groups(record: SearchRecord) -> list[ImportanceGroup]:
    groups = []
    for within in dict.fromkeys(item.within for item in record.importance):
        items: list[Importance] = [item for item in record.importance if item.within == within]
        if len(items) < 2:
            continue  # a single setting explains all that there is
        title = f"Among trials with {wording.rung_name(within.partition('=')[2]).lower()}" if within else "Among all trials"
        bars = [(_setting(item.path), round(100 * item.share, 1)) for item in items]
        groups.append(ImportanceGroup(title=title, num_trials=items[0].num_trials, bars=bars))
    return groups


def _slices(record: SearchRecord) -> list[str]:
    """The settings that mattered most, each among the trials that had it under the best trial's method."""
    best = record.best_trial
    assert best is not None
    drawn = []
    ranked = sorted(record.importance, key=lambda item: (item.within != "", -item.share))
    own = [item.path for item in ranked if not item.within or item.within.partition("=")[2] in map(str, best.values.values())]
    for path in dict.fromkeys([*own, *(path for path in best.values)]):
        trials = [trial for trial in record.trials if path == "training.method" or _same_method(trial, best)]
        if figure := draw_slice(record, path, trials):
            drawn.append(figure)
    return drawn[:MOST_SLICES]


def _same_method(trial: TrialRecord, other: TrialRecord) -> bool:
    return trial.values.get("training.method") == other.values.get("training.method")


def _ranked(record: SearchRecord) -> list[TrialRecord]:
    """Those that ran to the end, best first; then those ended early; then those that failed."""
    sign, order = (1 if record.direction == "higher" else -1), {"complete": 0, "pruned": 1, "failed": 2}
    over = [trial for trial in record.trials if trial.is_over]
    return sorted(over, key=lambda trial: (order[trial.state], -sign * (trial.score or 0.0), trial.number))


def _row(trial: TrialRecord, record: SearchRecord) -> TrialRow:
    method = trial.values.get("training.method")
    values = ", ".join(
        f"{_setting(path).lower()} {_value(value)}" for path, value in trial.values.items() if path != "training.method"
    )
    reason = trial.reason if trial.state != "complete" else ""
    if trial.repeats is not None:
        reason = f"the same settings as trial {trial.repeats + 1}, so it was not run again"
    if trial.attempts > 1:
        reason = (
            f"{reason}; " if reason else ""
        ) + f"begun {trial.attempts} times, because its process was stopped or had died"
    return TrialRow(
        number=trial.number + 1,
        method=wording.rung_name(str(method)) if method is not None else "",
        values=f"{values} (defaults)".strip() if trial.is_default else values,
        score=wording.score(record.measure, trial.score),
        time=wording.duration(trial.cpu_seconds),
        outcome="best" if trial.number == record.best else STATES[trial.state],
        reason=reason,
        is_best=trial.number == record.best,
    )


def _setting(path: str) -> str:
    name = path.rpartition(".")[2].replace("_", " ")
    return name[:1].upper() + name[1:]


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}".replace("e-0", "e-")
    return wording.rung_name(str(value)) if isinstance(value, str) else str(value)
