"""`luthier tune`: the main job. Parses, hands the spec to the pipeline, shows the evidence and what to type next."""

import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from luthier.cli.cluster import cluster_options, refuse_lonely_flags
from luthier.cli.command import GroupedOption, Verb
from luthier.cli.console import Watch
from luthier.cli.options import PANELS, output_options, set_option, setting_options, spec_from_flags
from luthier.cli.results import print_json
from luthier.core.seat import taken_seat
from luthier.errors import UsageError
from luthier.spec import Given, TuneSpec

if TYPE_CHECKING:
    from luthier.evaluation.records import Metrics
    from luthier.pipeline import Run

NOT_KEPT = 3


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a run is computed: on a Ray cluster by so many workers, or here."""

    cluster: str | None
    workers: int | None

    def tune(self, spec: TuneSpec, watch: Watch) -> "Run":
        """The whole story there."""
        from luthier import pipeline

        if self.cluster is None:
            return pipeline.tune(spec, observer=watch)
        from luthier.cluster.training import tune_on_cluster

        return tune_on_cluster(spec, self.cluster, workers=self.workers, observer=watch)

    def resume(self, folder: Path, watch: Watch) -> "Run":
        """The rest of the story there, wherever it began."""
        from luthier import pipeline

        if self.cluster is None:
            return pipeline.resume(folder, observer=watch)
        from luthier.cluster.training import resume_on_cluster

        return resume_on_cluster(folder, self.cluster, workers=self.workers, observer=watch)


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
    """Tune, go on with `resume`, or with `plan` only say what would happen; `settings` are the spec's flags, and a job."""
    refuse_lonely_flags(cluster, workers, plan=plan)
    place = Place(cluster=cluster, workers=workers)
    given = [*sources, *assignments, *(value for value in settings.values() if value not in (None, ()))]
    if resume is not None:
        if given or plan:
            raise UsageError(
                "A run that goes on takes everything from its own spec.yaml; found further sources or flags.",
                remedy=f"luthier tune --resume {resume}",
            )
        return _watched(lambda watch: _go_on(Path(resume), place, watch, as_json=as_json), quiet=quiet, as_json=as_json)
    if not given:
        context = click.get_current_context()
        click.echo(VERB.get_short_help(context))
        return 0
    job = _job(settings.pop("openai_job", None), model=settings.get("model"), quiet=quiet, as_json=as_json)
    spec = spec_from_flags(sources, settings, assignments, job=job)
    if plan:  # shows on one page what a run tells as it goes
        return _watched(lambda watch: _plan(spec, watch, as_json=as_json), quiet=True, as_json=as_json)
    return _watched(lambda watch: _tune(spec, place, watch, as_json=as_json), quiet=quiet, as_json=as_json)


def _job(path: object, *, model: object, quiet: bool, as_json: bool) -> Sequence[Given]:
    """What a job for OpenAI's service says, if there is one, after telling what becomes of it here."""
    if path is None:
        return ()
    from luthier.pipeline.openai_job import read_openai_job

    job = read_openai_job(Path(str(path)), model=None if model is None else str(model))

    def tell(watch: Watch) -> int:
        watch.stage("Job", str(path))
        for decision in job.decisions:
            watch.decided(decision)
        return 0

    _watched(tell, quiet=quiet, as_json=as_json)
    return job.given


def _watched(work: Callable[[Watch], int], *, quiet: bool, as_json: bool) -> int:
    watch = Watch(quiet=quiet, on_stderr=as_json)
    try:
        return work(watch)
    finally:
        watch.close()


def _tune(spec: TuneSpec, place: Place, watch: Watch, *, as_json: bool) -> int:
    # Nothing that a library prints may end up between the lines of the result.
    with redirect_stdout(sys.stderr if as_json else sys.stdout):
        done = place.tune(spec, watch)
    return _tell(done, spec, watch, as_json=as_json)


def _go_on(folder: Path, place: Place, watch: Watch, *, as_json: bool) -> int:
    from luthier.pipeline.run_folder import unfinished_spec

    with redirect_stdout(sys.stderr if as_json else sys.stdout):
        spec = unfinished_spec(folder)
        done = place.resume(folder, watch)
    return _tell(done, spec, watch, as_json=as_json)


def _tell(done: "Run", spec: TuneSpec, watch: Watch, *, as_json: bool) -> int:
    seat = taken_seat()
    if not seat.is_main:
        return 0
    if as_json:
        print_json(
            {
                "folder": done.folder,
                "model": done.model_path,
                "verdict": done.verdict,
                "recommended": done.metrics.recommended,
                "metrics": done.metrics,
            }
        )
    elif watch.quiet:
        click.echo(f"{done.verdict}: {done.metrics.recommended} ({done.folder})")
    else:
        _show(done, spec, watch)
    # A launcher takes every code but 0 for a crash.
    return NOT_KEPT if done.verdict == "do not keep" and seat.count == 1 else 0


def _show(done: "Run", spec: TuneSpec, watch: Watch) -> None:
    from luthier.cli.card import evidence_card
    from luthier.cli.results import print_commands

    watch.console.print()
    watch.console.print(evidence_card(done.metrics, width=watch.console.width))
    print_commands(watch.console, commands_after(done.metrics, done.folder, done.model_path, spec))


def commands_after(metrics: "Metrics", folder: Path, model_path: Path, spec: TuneSpec) -> list[tuple[str, str]]:
    """The three commands one might type after a run, with what they do; they depend on the verdict."""
    source = shlex.join(spec.sources)
    report = (f"{_opener()} {shlex.quote(str(folder / 'report.html'))}", "read the report: what was wrong, for whom, how sure")
    again = f"luthier tune {shlex.quote(str(folder / 'spec.yaml'))}"
    if metrics.verdict == "do not keep":
        ladder = (f"{again} --method auto --out {shlex.quote(f'{folder}-auto')}", "try every rung of the ladder")
        models = (f"luthier models {source}", "see other pre-trained models to start from")
        check = (f"luthier check {source}", "see what could be better about the data")
        return [report, check, models if spec.training.method == "auto" else ladder]
    predict = f"luthier predict {shlex.quote(str(model_path))} NEW.csv --out answers.csv"
    seed = (f"{again} --seed {spec.training.seed + 1} --out {shlex.quote(f'{folder}-again')}", "see how much of it was luck")
    refit = (f"{again} --refit --out {shlex.quote(f'{folder}-refit')}", "train the winner on train and validation together")
    return [report, (predict, "add the model's answers to new rows"), seed if spec.training.refit else refit]


def _opener() -> str:
    return {"darwin": "open", "win32": "start"}.get(sys.platform, "xdg-open")


def _plan(spec: TuneSpec, watch: Watch, *, as_json: bool) -> int:
    from luthier import pipeline

    with redirect_stdout(sys.stderr if as_json else sys.stdout):
        planned = pipeline.plan(spec, observer=watch)
    if not taken_seat().is_main:
        return 0
    if as_json:
        print_json(planned)
        return 0
    from luthier.cli.results import plan_page
    from luthier.cli.terminal import open_console

    open_console().print(plan_page(planned))
    return 0


VERB = Verb(
    "tune",
    run,
    params=[
        click.Argument(["sources"], nargs=-1, metavar="SOURCE..."),
        *setting_options(tuple(PANELS)),
        GroupedOption(
            ["--plan"], is_flag=True, help="Say what would happen, what it would cost and what is doubtful; do nothing"
        ),
        GroupedOption(
            ["--openai-job"],
            metavar="JOB.json",
            help="Run a fine-tuning job as it is written for OpenAI's service; with --model",
        ),
        GroupedOption(["--resume"], metavar="RUN", help="Go on with the unfinished run in this folder, to the same weights"),
        *cluster_options("Train on a Ray cluster", "Processes of the cluster that share every step"),
        set_option(),
        *output_options(),
    ],
    summary="Tunes a pre-trained model on your data, measures it against what needs no tuning, and says whether to keep it.",
    examples=(
        "luthier tune tickets.csv --target category",
        "luthier tune photos/ --method full --num-epochs 5",
        "luthier tune train.csv test.csv --plan",
        "luthier tune spec.yaml --set training.seed=7",
        "luthier tune --resume runs/tickets-20260301-101500",
    ),
    main_flags=("--target", "--text", "--model", "--method", "--num-epochs", "--split", "--out", "--plan", "--json"),
)
