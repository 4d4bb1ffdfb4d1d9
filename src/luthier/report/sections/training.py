"""Section 3: the ladder. Which rungs were tried, what each scored on validation, what it cost, and which one was kept."""

from dataclasses import dataclass

from luthier.core.storage import format_bytes
from luthier.report import wording
from luthier.report.figures import draw_losses, draw_range_test, draw_validation
from luthier.report.in_force import in_force
from luthier.report.ladder import Rung
from luthier.report.records import RunRecords
from luthier.report.section import Section


@dataclass(frozen=True, kw_only=True)
class RungRow:
    """One rung, in words."""

    name: str
    title: str
    trainable: str
    blocks: str
    learning_rate: str
    zeros: str
    averaged: str
    score: str
    difference: str
    standard_error: str
    time: str
    memory: str
    outcome: str
    kept: bool
    reason: str


def build_training(run: RunRecords) -> Section:
    """The table of rungs and the learning curves."""
    measure = run.metrics.steers_by or run.metrics.primary_measure
    last_kept = next((rung.name for rung in reversed(run.rungs) if rung.kept), "")
    facts = {
        "measure": wording.measure_name(measure),
        "rows": [_row(rung, measure, is_last_kept=rung.name == last_kept) for rung in run.rungs],
        "tested": [(wording.rung_name(rung.name), rung.checks) for rung in run.rungs if rung.checks],
        "in_force": in_force(run.setting),
        "range_tests": [
            draw_range_test(wording.rung_name(decision.evidence["rung"]), decision.evidence, decision.value)
            for decision in run.decisions
            if decision.name == "learning_rate" and "smoothed" in decision.evidence
        ],
        "figures": [figure for figure in (draw_losses(run.rungs), draw_validation(run.rungs, measure)) if figure],
    }
    return Section(title="What was trained", template="training.html", facts=facts)


def _row(rung: Rung, measure: str, *, is_last_kept: bool) -> RungRow:
    error = wording.signed(measure, rung.standard_error, unit=False).lstrip("+")
    return RungRow(
        name=rung.name,
        title=wording.rung_name(rung.name),
        trainable=_parameters(rung.trainable_parameters),
        blocks=_blocks(rung),
        learning_rate=f"{rung.learning_rate:.3g}" if rung.learning_rate else "",
        zeros="{:,} of {:,} head weights made zero by L1".format(*rung.zero_weights) if rung.zero_weights else "",
        averaged=_averaged(rung),
        score=wording.score(measure, rung.score),
        difference=wording.signed(measure, rung.difference),
        standard_error="" if rung.standard_error is None else error,
        time=wording.duration(rung.cost.cpu_seconds) if rung.cost else "–",
        memory="memory {1} (predicted {0})".format(*map(format_bytes, rung.memory)) if rung.memory else "",
        outcome=_outcome(rung, is_last_kept=is_last_kept),
        kept=is_last_kept,
        reason=rung.reason.removeprefix("not ").removeprefix("kept: "),
    )


def _averaged(rung: Rung) -> str:
    if rung.averaged is None:
        return ""
    count, tried = rung.averaged
    return f"mean of {count} of its best {tried} states" if count > 1 else f"no mean of its best {tried} states was as good"


def _outcome(rung: Rung, *, is_last_kept: bool) -> str:
    if not rung.finished:
        return "Not finished"
    if rung.kept:
        return "Kept" if is_last_kept else "Kept, then overtaken"
    return "Not kept"


def _blocks(rung: Rung) -> str:
    if rung.boundary is None or not rung.num_blocks:
        return ""
    trained = rung.num_blocks - rung.boundary
    some = f"{trained} of {rung.num_blocks} blocks"
    if trained and rung.moves != "all":
        return f"biases of {some} trained" if rung.moves == "biases" else f"{rung.moves} adapter in {some} trained"
    return f"{some} trained" if trained else f"all {rung.num_blocks} blocks frozen"


def _parameters(number: int | None) -> str:
    """A number of parameters in a unit one can grasp.

    Example:
        >>> _parameters(29568), _parameters(22_700_000)
        ('30 thousand', '22.7 million')
    """
    if number is None:
        return "–"
    if number < 10_000:
        return f"{number:,}"
    return f"{number / 1e3:,.0f} thousand" if number < 1_000_000 else f"{number / 1e6:,.1f} million"
