"""A search on the terminal: its best trials, which settings mattered, and how much of the best score is luck."""

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from luthier.cli.results import heading
from luthier.cli.terminal import printable
from luthier.core.names import count_of
from luthier.evaluation.display import format_difference, format_score, format_seconds, measure_title
from luthier.evaluation.records import Metrics
from luthier.pipeline import Search
from luthier.pipeline.search_result import values_in_words
from luthier.studies.records import SearchRecord, TrialRecord

MOST_ROWS = 8
MOST_SETTINGS = 6


def search_page(record: SearchRecord, *, test: Metrics | None) -> RenderableType:
    """The page.

    Args:
        record: The search.
        test: Of the final run, if there was one.
    """
    ended = ", ".join(
        filter(
            None,
            [
                count_of(record.count("complete"), "trial") + " to the end",
                f"{record.count('pruned')} ended early" if record.count("pruned") else "",
                f"{record.count('failed')} failed" if record.count("failed") else "",
            ],
        )
    )
    parts: list[RenderableType] = [
        heading("Search", f"{ended}; {format_seconds(record.cpu_seconds)} of CPU time"),
        Text(),
        Padding(_table(record), (0, 0, 0, 2)),
        Text(),
        *(Padding(Text(line), (0, 0, 0, 2)) for line in sentences(record, test)),
    ]
    return Group(*parts)


def _table(record: SearchRecord) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False)
    table.add_column("trial", justify="right")
    table.add_column(f"{measure_title(record.measure)}, validation", justify="right")
    table.add_column("time", justify="right")
    table.add_column("values")
    for trial in ranked(record)[:MOST_ROWS]:
        is_best = trial.number == record.best
        table.add_row(
            f"{trial.number + 1}",
            format_score(record.measure, trial.score or 0.0),
            format_seconds(trial.wall_seconds),
            Text(printable(values_in_words(trial) + (" (defaults)" if trial.is_default else ""))),
            style="bold" if is_best else "",
        )
    return table


def ranked(record: SearchRecord) -> list[TrialRecord]:
    """Trials that ran to their end, best first; repetitions are left out."""
    sign = 1 if record.direction == "higher" else -1
    complete = [trial for trial in record.trials if trial.state == "complete" and trial.repeats is None]
    return sorted(complete, key=lambda trial: (-sign * (trial.score or 0.0), trial.number))


def sentences(record: SearchRecord, test: Metrics | None) -> list[str]:
    """What was gained, what mattered, and what the best score is worth, in sentences."""
    said = [_gain(record)] if record.best_default is not None else []
    for within in dict.fromkeys(item.within for item in record.importance):
        items = [item for item in record.importance if item.within == within][:MOST_SETTINGS]
        if len(items) < 2:
            continue  # a single setting explains all that there is
        names = ", ".join(f"{item.path.rpartition('.')[2].replace('_', ' ')} {item.share:.0%}" for item in items)
        where = f" among trials with {within.partition('=')[2]}" if within else ""
        said.append(f"What mattered{where}: {names} (of the differences between {items[0].num_trials} trials).")
    if record.optimism is not None:
        luck = record.optimism
        amount = format_difference(record.measure, abs(luck.amount), unit=True).removeprefix("+")
        said.append(
            f"The best of {luck.num_trials} trials has {format_score(record.measure, luck.best)} on validation; about {amount} "
            f"of that is luck of having been chosen there: expect {format_score(record.measure, luck.corrected)} on new rows."
        )
    if test is not None and record.measure in test.test.get("tuned", {}):
        score = test.test["tuned"][record.measure]
        low, high = format_score(record.measure, score.low, unit=False), format_score(record.measure, score.high)
        said.append(f"On test, which no trial saw: {format_score(record.measure, score.value)} ({low} to {high}).")
    return said


def _gain(record: SearchRecord) -> str:
    default, best = record.best_default, record.best_trial
    assert default is not None and best is not None
    of_them = f"the best defaults (trial {default.number + 1}): {format_score(record.measure, default.score or 0.0)}"
    if best.is_default:
        return f"Nothing beat {of_them}."
    difference = format_difference(record.measure, (best.score or 0.0) - (default.score or 0.0), unit=True)
    score = format_score(record.measure, best.score or 0.0)
    return f"Trial {best.number + 1} has {score} on validation, {difference} against {of_them}."


def in_one_line(done: Search) -> str:
    """For `--quiet`."""
    best = done.record.best_trial
    score = "" if best is None or best.score is None else format_score(done.record.measure, best.score)
    verdict = "best" if done.run is None else done.run.verdict
    return f"{verdict}: {score} on validation, {values_in_words(best) if best else 'nothing'} ({done.folder})"
