"""`luthier search`: many settings tried in one study, the best of them trained once more. Parses, hands over, shows."""

import shlex
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import click

from luthier.cli.cluster import cluster_options, refuse_lonely_flags
from luthier.cli.command import GroupedOption, Verb
from luthier.cli.console import Watch
from luthier.cli.options import PANELS, SEARCH_PANELS, output_options, search_from_flags, set_option, setting_options
from luthier.cli.results import print_json
from luthier.core.keys import Key
from luthier.errors import UsageError
from luthier.spec import search_keys

if TYPE_CHECKING:
    from luthier.pipeline import Search
    from luthier.pipeline.search_spec import SearchSpec

NOT_KEPT = 3


def run(
    *,
    sources: Sequence[str],
    assignments: Sequence[str],
    plan: bool,
    resume: str | None,
    cluster: str | None,
    workers: int | None,
    as_json: bool,
    quiet: bool,
    **settings: object,
) -> int:
    """Search, go on with `resume`, or with `plan` only say what would happen; `settings` are the flags made from the spec."""
    refuse_lonely_flags(cluster, workers, plan=plan)
    given = {name: value for name, value in settings.items() if value not in (None, ())}
    if not (sources or assignments or given or resume):
        click.echo(VERB.get_short_help(click.get_current_context()))
        return 0
    if resume is not None:
        _refuse_more(resume, sources, assignments, given, plan=plan)
    watch = Watch(quiet=quiet or plan, on_stderr=as_json)
    try:
        # Nothing that a library prints may end up between the lines of the result.
        with redirect_stdout(sys.stderr if as_json else sys.stdout):
            asked = _asked(sources, assignments, given, resume)
            if plan:
                return _plan(asked, watch, as_json=as_json)
            done = _search(asked, watch, resumes=resume is not None, cluster=cluster, workers=workers)
    finally:
        watch.close()
    return _tell(done, watch, as_json=as_json)


def _search(asked: "SearchSpec", watch: Watch, *, resumes: bool, cluster: str | None, workers: int | None) -> "Search":
    from luthier import pipeline

    if cluster is None:
        return pipeline.search(asked, observer=watch, resumes=resumes)
    from luthier.cluster.searching import search_on_cluster

    return search_on_cluster(asked, cluster, workers=workers, observer=watch, resumes=resumes)


def _asked(sources: Sequence[str], assignments: Sequence[str], given: dict[str, object], resume: str | None) -> "SearchSpec":
    if resume is None:
        return search_from_flags(sources, given, assignments)
    from luthier.pipeline.searching import resumed_search

    return resumed_search(Path(resume), search_from_flags([], given, []).settings)


def _refuse_more(
    resume: str, sources: Sequence[str], assignments: Sequence[str], given: dict[str, object], *, plan: bool
) -> None:
    """A search that goes on takes everything from its folder, but for how long it goes on and where its study is."""
    allowed: dict[str, Key] = {key.keyword: key for key in search_keys() if key.name in ("trials", "seconds", "study", "final")}
    if sources or assignments or plan or set(given) - set(allowed):
        flags = ", ".join(sorted(key.flag for key in allowed.values()))
        raise UsageError(
            f"A search that goes on takes everything from its own spec.yaml, but for {flags}; found more.",
            remedy=f"luthier search --resume {resume}",
        )


def _plan(asked: "SearchSpec", watch: Watch, *, as_json: bool) -> int:
    from luthier import pipeline

    planned = pipeline.plan_search(asked, observer=watch)
    if as_json:
        with redirect_stdout(sys.__stdout__ or sys.stdout):
            print_json(planned)
        return 0
    from luthier.cli.results import plan_page
    from luthier.cli.terminal import open_console

    open_console().print(plan_page(planned))
    return 0


def _tell(done: "Search", watch: Watch, *, as_json: bool) -> int:
    run = done.run
    if as_json:
        print_json(
            {
                "folder": done.folder,
                "best": None if done.record.best_trial is None else done.record.best_trial.values,
                "search": done.record,
                "model": None if run is None else run.model_path,
                "verdict": None if run is None else run.verdict,
                "metrics": None if run is None else run.metrics,
            }
        )
    elif watch.quiet:
        from luthier.cli.search_page import in_one_line

        click.echo(in_one_line(done))
    else:
        _show(done, watch)
    return NOT_KEPT if run is not None and run.verdict == "do not keep" else 0


def _show(done: "Search", watch: Watch) -> None:
    from luthier.cli.card import evidence_card
    from luthier.cli.results import print_commands
    from luthier.cli.search_page import search_page

    watch.console.print()
    watch.console.print(search_page(done.record, test=None if done.run is None else done.run.metrics))
    folder = shlex.quote(str(done.folder))
    more = (f"luthier search --resume {folder} --trials {2 * len(done.record.trials)}", "search on, from where it ended")
    if done.run is None:
        print_commands(watch.console, [(f"luthier tune {folder}/best.yaml", "train the best values as a whole run"), more])
        return
    watch.console.print()
    watch.console.print(evidence_card(done.run.metrics, width=watch.console.width))
    opener = {"darwin": "open", "win32": "start"}.get(sys.platform, "xdg-open")
    predict = f"luthier predict {shlex.quote(str(done.run.model_path))} NEW.csv --out answers.csv"
    commands = [
        (f"{opener} {folder}/report.html", "read the report: what was tried, what mattered, how sure it is"),
        (predict, "add the model's answers to new rows"),
        more,
    ]
    print_commands(watch.console, commands)


VERB = Verb(
    "search",
    run,
    params=[
        click.Argument(["sources"], nargs=-1, metavar="SOURCE..."),
        *setting_options((*SEARCH_PANELS, *PANELS)),
        *cluster_options("Take trials on a Ray cluster", "Workers of the cluster that take trials at the same time"),
        GroupedOption(
            ["--plan"], is_flag=True, help="Say what would vary, what it would cost and what is doubtful; do nothing"
        ),
        GroupedOption(
            ["--resume"], metavar="DIR", help="Go on with the search in this folder, or help those who are at work on it"
        ),
        set_option(),
        *output_options(),
    ],
    summary="Tries many settings in one study, trains the best of them once more, and says how much of the gain is luck.",
    examples=(
        "luthier search tickets.csv --target category",
        "luthier search spec.yaml --trials 50 --sampler gp",
        "luthier search tickets.csv --method top-blocks:2 --learning-rate '{log: [1e-4, 1e-3]}'",
        "luthier search spec.yaml --study postgresql+psycopg://ada@db.example/studies",
        "luthier search --resume runs/tickets-search-20260301-101500",
    ),
    main_flags=("--target", "--trials", "--seconds", "--sampler", "--pruner", "--method", "--out", "--plan", "--json"),
)
