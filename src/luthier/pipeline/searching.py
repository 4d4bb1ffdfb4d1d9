"""The story of a search: load, check, split, choose; one pass through the frozen model; trials until the budget is spent; then
the best values once more as a whole run of `tune`, which alone looks at the test.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.core.decision import Decision
from luthier.core.names import count_of
from luthier.core.process import StopRequest, keep_freed_memory, stop_on_signals
from luthier.core.progress import Observer, Quiet, counted
from luthier.core.records import to_plain
from luthier.core.storage import write_text
from luthier.errors import DivergedError, Stopped, UsageError
from luthier.pipeline.prepare import prepare
from luthier.pipeline.records import Search
from luthier.pipeline.run_folder import SPEC, new_path, refuse_taken_folder
from luthier.pipeline.search_final import FINAL, train_best
from luthier.pipeline.search_result import describe, trial_line, write_records, write_trials
from luthier.pipeline.search_spec import SearchSpec, load_search, space_of
from luthier.spec import TuneSpec
from luthier.studies.records import SearchRecord, TrialRecord
from luthier.studies.settings import DEFAULT_TRIALS, SearchSettings
from luthier.studies.space import Point, as_plain
from luthier.tasks.protocol import has_own_head, steering_measure

if TYPE_CHECKING:
    from luthier.pipeline.choose import Chosen
    from luthier.pipeline.prepare import Prepared
    from luthier.pipeline.trials import Trials
    from luthier.studies.study import Study

BEST, DATABASE = "best.yaml", "study.db"
MOST_TRIALS = 100_000  # of a search that only time limits
SHARE_OF_MEMORY = 0.5


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A search at work.

    Attributes:
        folder: Of this process's records.
        asked: With its space written out.
    """

    folder: Path
    asked: SearchSpec
    study: "Study"
    trials: "Trials"


Working = Callable[[Opened, StopRequest, Observer], int]


def search(
    asked: SearchSpec, *, observer: Observer | None = None, resumes: bool = False, working: Working | None = None
) -> Search:
    """Search, and train what was found once more as a whole run.

    Args:
        asked: The search; with `settings.final` off only the study is worked on.
        observer: Is told what happens.
        resumes: Whether the folder holds this search already: its trials count, and further processes may join.
        working: Runs the trials and returns how many it has run; this process does by default.

    Raises:
        UsageError: the folder is taken, or the search is finished.
        DivergedError: not one trial ran to its end.
        Stopped: Ctrl-C; says how to go on.
    """
    observer = observer or Quiet()
    with _at_work(asked, observer=observer, resumes=resumes) as (opened, stop):
        ran = (working or _work)(opened, stop, observer)
        record = describe(opened.study, opened.trials, opened.asked)
        write_records(opened.folder, record)
        best = _best_spec(opened, record)
        write_text(opened.folder / BEST, best.to_yaml())
    run = None
    if asked.settings.final:
        run = train_best(opened.folder, opened.trials, best, record, has_worked=ran > 0, observer=observer)
    return Search(folder=opened.folder, spec=best, record=record, run=run)


def resumed_search(folder: Path, settings: SearchSettings) -> SearchSpec:
    """The search of a folder, to go on with it, or to join those at work on it; what `settings` says beyond it counts.

    Raises:
        UsageError: there is no search.
    """
    if not (folder / SPEC).is_file():
        what = "holds no search: it has no spec.yaml" if folder.is_dir() else "does not exist"
        raise UsageError(f"{folder} {what}.", remedy="ls runs")
    asked = load_search(folder / SPEC)
    said = {name: value for name, value in settings.model_dump().items() if value != getattr(SearchSettings(), name)}
    base = asked.base.with_values({"output.out": str(folder)})
    return replace(asked, base=base, settings=asked.settings.model_copy(update=said))


def work_on_study(
    source: Path | SearchSpec, *, url: str | None = None, name: str = "worker", observer: Observer | None = None
) -> list[TrialRecord]:
    """Run trials of a study until its budget is spent, beside any number of other processes; no final training.

    Args:
        source: The folder of a search that was begun, or the search itself (the same on every machine).
        url: Of the database; that of the search by default.
        name: Of this worker; its records go to a folder of their own below the search's where the search is given as such.
        observer: Is told what happens.

    Returns:
        All trials of the study.
    """
    settings = SearchSettings(study=url, final=False)
    if isinstance(source, SearchSpec):
        out = Path(source.base.output.out or "runs/search") / "workers" / name
        asked = replace(
            source,
            base=source.base.with_values({"output.out": str(out), "output.overwrite": True}),
            settings=source.settings.model_copy(update={"final": False, **({"study": url} if url else {})}),
        )
        resumes = (out / SPEC).is_file()
    else:
        asked, resumes = resumed_search(source, settings), True
    with _at_work(asked, observer=observer or Quiet(), resumes=resumes) as (opened, stop):
        _work(opened, stop, observer or Quiet())
        return opened.study.records()


@contextmanager
def _at_work(asked: SearchSpec, *, observer: Observer, resumes: bool) -> Iterator[tuple[Opened, StopRequest]]:
    """Everything that comes before the first trial, and the study open until the block ends."""
    keep_freed_memory()
    spec = asked.base
    folder: Path | None = None
    with stop_on_signals() as stop:
        try:
            with stop.at_once():
                if not resumes:
                    refuse_taken_folder(spec)
                prepared = prepare(spec, observer=observer)

                from luthier.pipeline.choose import choose_model
                from luthier.pipeline.trials import Trials
                from luthier.studies.database import naming_the_study, shown_url

                chosen = choose_model(spec, prepared, backbone=None, observer=observer)
                asked = with_space(asked, chosen, observer)
                folder = _open_folder(asked, prepared, chosen, resumes=resumes)
                observer.stage("Measure before", "one pass through the frozen model, for all trials")
                trials = Trials(spec, prepared, chosen, asked.space, stop=stop, observer=observer)
                url = study_url(asked.settings, folder)
                study = _open_study(asked, trials, url)
            try:
                with naming_the_study(url):
                    observer.stage("Search", f"{count_of(study.limit, 'trial')} in {study.name}, {shown_url(url)}")
                    yield Opened(folder=folder, asked=asked, study=study, trials=trials), stop
            finally:
                study.close()
        except (KeyboardInterrupt, Stopped):
            raise _stopped(folder, stop) from None


def _stopped(folder: Path | None, stop: StopRequest) -> Stopped:
    what = f"Stopped by {stop.signal_name or 'SIGINT'}."
    if folder is None:
        return Stopped(f"{what} Nothing was written.", remedy="the same command begins again")
    return Stopped(
        f"{what} {folder} keeps every trial that is over; the one that was going on is begun again, with the same values.",
        remedy=f"luthier search --resume {folder}",
    )


def with_space(asked: SearchSpec, chosen: "Chosen", observer: Observer) -> SearchSpec:
    """The search with a space: the one that was written, or what is usual for the methods that fit."""
    if asked.space:
        return asked
    from luthier.studies.spaces import default_space

    methods = _methods(asked.base, chosen)
    observer.decided(methods)
    space = space_of(default_space(methods.value, fixed=asked.fixed), asked.base)
    if not space:
        raise UsageError(
            f"Nothing varies: for {methods.value[0]} everything that usually would was given a value.",
            remedy="--method auto, or a space in the spec: training: {learning_rate: {log: [1e-5, 1e-3]}}",
        )
    return replace(asked, space=space)


def _methods(spec: TuneSpec, chosen: "Chosen") -> Decision[list[str]]:
    """The methods to try where nobody says: those of the ladder that fit into memory."""
    from luthier.core.process import available_memory_bytes
    from luthier.training.methods import ladder_rungs

    if spec.training.method != "auto":
        return Decision(name="methods", value=[spec.training.method], reason="asked for")
    available = available_memory_bytes() if chosen.device == "cpu" else None
    fitting: list[str] = []
    left_out: list[str] = []
    probe, *others = ladder_rungs(chosen.backbone.num_blocks)
    for rung in others if has_own_head(chosen.task) else (probe, *others):  # with a head of its own there is no probe
        moving = sum(parameter.numel() for _, parameter in chosen.backbone.parameters_from(rung.boundary))
        # Weights, gradients, two moments, the best so far and the pre-trained values, four bytes each.
        needs = 24 * moving if rung.boundary < chosen.backbone.num_blocks else 0
        fits = available is None or needs < SHARE_OF_MEMORY * available
        (fitting if fits else left_out).append(rung.name)
    why = "the rungs of the ladder" + (f"; {', '.join(left_out)} would need more than half of the memory" if left_out else "")
    return Decision(name="methods", value=fitting, reason=why, override="--method NAME")


def _open_folder(asked: SearchSpec, prepared: "Prepared", chosen: "Chosen", *, resumes: bool) -> Path:
    from luthier.pipeline.after import resolved_spec
    from luthier.pipeline.run_folder import empty
    from luthier.studies.database import without_password

    spec = asked.base
    path = Path(spec.output.out) if spec.output.out else new_path(f"{prepared.dataset.name}-search")
    path.mkdir(parents=True, exist_ok=True)
    if resumes:
        return path
    empty(path)
    settings = asked.settings
    if settings.study is not None:
        settings = settings.model_copy(update={"study": without_password(settings.study)})
    written = replace(
        asked, base=resolved_spec(spec, prepared, chosen).with_values({"output.out": str(path)}), settings=settings
    )
    write_text(path / SPEC, written.to_yaml())
    return path


def study_url(settings: SearchSettings, folder: Path) -> str:
    """Where the trials are kept."""
    return settings.study or f"sqlite:///{(folder / DATABASE).resolve()}"


def _open_study(asked: SearchSpec, trials: "Trials", url: str) -> "Study":
    from luthier.evaluation.measures import MEASURES
    from luthier.pipeline.search_defaults import default_points
    from luthier.studies.samplers import Proposals
    from luthier.studies.study import open_study

    settings, prepared = asked.settings, trials.prepared
    chosen = trials.desk(asked.base).chosen
    defaults = default_points(asked.space, asked.base, chosen, penalty=trials.default_penalty())
    return open_study(
        url,
        name=study_name(asked, prepared, chosen),
        space=asked.space,
        direction=MEASURES[steering_measure(prepared.task)].direction,
        proposals=Proposals(sampler=settings.sampler, seed=asked.base.training.seed, defaults=defaults),
        limit=num_trials(asked, defaults) or MOST_TRIALS,
        seconds=settings.seconds,
    )


def num_trials(asked: SearchSpec, defaults: Sequence[Point]) -> int | None:
    """How many trials there will be; None if only time says so. A grid has no more than its points and the defaults."""
    from luthier.studies.samplers.grid import points_beyond

    settings = asked.settings
    trials = settings.trials or (None if settings.seconds else DEFAULT_TRIALS)
    points = len(defaults) + len(points_beyond(asked.space, defaults)) if settings.sampler == "grid" else None
    return min((number for number in (trials, points) if number is not None), default=None)


def study_name(asked: SearchSpec, prepared: "Prepared", chosen: "Chosen") -> str:
    """The same for the same question: data, model, space and everything that does not vary; so machines find each other."""
    training = asked.base.training.model_dump(exclude={"device", "threads", "precision", "checkpoint_seconds", "store"})
    content = {
        "space": as_plain(asked.space),
        "training": training,
        "model": asked.base.model.model_dump(exclude={"name", "revision", "max_length"}),
        "weights": chosen.weights_key,
        "precision": chosen.precision,
        "sampler": asked.settings.sampler,
        "pruner": asked.settings.pruner,
        "parts": {name: rows.tolist() for name, rows in chosen.parts.items()},
    }
    digest = hashlib.sha256(json.dumps(to_plain(content), sort_keys=True).encode())
    digest.update(chosen.inputs.keys.tobytes() + chosen.targets.tobytes())
    return f"{prepared.dataset.name}-{digest.hexdigest()[:12]}"


def _work(opened: Opened, stop: StopRequest, observer: Observer) -> int:
    """Run trials until the budget is spent; returns how many this process has run."""
    from luthier.studies.pruners import PRUNERS
    from luthier.studies.work import work

    study, measure, ran = opened.study, steering_measure(opened.trials.prepared.task), 0
    done = sum(record.is_over for record in study.records())
    if done:
        observer.note(f"{count_of(done, 'trial')} of this study {'is' if done == 1 else 'are'} over already")
    total = study.limit if study.limit < MOST_TRIALS else 0
    with counted(observer, "search", total, "trials") as watched:
        if done:
            watched.advance(done)

        def tell(record: TrialRecord) -> None:
            nonlocal ran
            ran += 1
            watched.advance(1)
            records = study.records()
            observer.note(trial_line(record, records, measure))
            write_trials(opened.folder, records)

        work(study, opened.trials.run, PRUNERS[opened.asked.settings.pruner], stop=stop, tell=tell)
    return ran


def _best_spec(opened: Opened, record: SearchRecord) -> TuneSpec:
    """The plain spec of the best trial.

    Raises:
        DivergedError: no trial ran to its end; quotes the last reason.
    """
    best = record.best_trial
    if best is None:
        reasons = [trial.reason for trial in record.trials if trial.reason]
        last = f" The last one: {reasons[-1]}" if reasons else ""
        raise DivergedError(
            f"Not one of {count_of(len(record.trials), 'trial')} ran to its end.{last}",
            remedy=f"a space of smaller rates in {opened.folder / SPEC}, or --pruner none",
        )
    spec = load_search(opened.folder / SPEC).base
    return spec.with_values({**best.values, "output.out": str(opened.folder / FINAL), "output.overwrite": False})
