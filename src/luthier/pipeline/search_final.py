"""After a search: the best values as a whole run of `tune`, which alone looks at the test; its report tells of the search."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.core.decision import Decision
from luthier.core.manifest import MANIFEST, write_manifest
from luthier.core.progress import Observer, Quiet
from luthier.core.records import to_plain
from luthier.core.storage import locked_folder, read_json, write_json
from luthier.errors import UsageError
from luthier.pipeline.records import Run
from luthier.pipeline.run_folder import SPEC, is_run_folder
from luthier.pipeline.search_result import RECORD
from luthier.spec import TuneSpec, load_spec
from luthier.studies.records import SearchRecord

if TYPE_CHECKING:
    from luthier.pipeline.trials import Trials

FINAL, REPORT = "best", "report.html"


def train_best(
    folder: Path, trials: "Trials", best: TuneSpec, record: SearchRecord, *, has_worked: bool, observer: Observer
) -> Run | None:
    """Train the best values as a whole run; None if another process of this search does that, or has done it.

    Args:
        folder: Of the search.
        trials: What ran them.
        best: The best values as a plain spec.
        record: The search, for the report.
        has_worked: Whether this process has run a trial: then a finished search is no mistake.
        observer: Is told what happens.

    Raises:
        UsageError: the search was finished before.
    """
    from luthier.pipeline.story import tune

    out = folder / FINAL
    try:
        with locked_folder(folder):
            if _is_final(out, record):
                if has_worked:
                    return None
                raise UsageError(
                    f"The search in {folder} is finished; there is nothing to go on with.",
                    remedy=f"luthier search --resume {folder} --trials {2 * len(record.trials)}",
                )
            observer.stage("Final training", "the best values, as a whole run; test is scored once")
            was_begun = is_run_folder(out) and load_spec(out / SPEC) == best and not (out / MANIFEST).is_file()
            asked = best.with_values({"output.overwrite": True})
            run = tune(asked, observer=Hushed(observer), resumes=was_begun)
            _tell_of_search(folder, trials, best, record)
            return run
    except UsageError as error:
        if "Another process" not in error.problem:
            raise
        observer.note("Another process of this search trains the final model.")
        return None


def _tell_of_search(folder: Path, trials: "Trials", best: TuneSpec, record: SearchRecord) -> None:
    """Put the search into the final run's folder and report; the report also stands where one looks first."""
    from luthier.pipeline.examples import example_texts
    from luthier.report import wanted_examples, write_report

    out = folder / FINAL
    write_json(out / RECORD, record)
    texts = example_texts(best, trials.prepared, out, wanted_examples(out))
    for path in (out / REPORT, folder / REPORT):
        write_report(out, title=trials.prepared.dataset.name, examples=texts, out=path)
    write_manifest(out)


class Hushed:
    """An observer that does not hear the beginning of the story again, which the search has told.

    Args:
        observer: Hears the rest.
    """

    def __init__(self, observer: Observer) -> None:
        self._told, self._heard = observer, Quiet()
        self._observer: Observer = self._heard

    def stage(self, name: str, detail: str = "") -> None:
        """From the first measurement on everything is told."""
        self._observer = self._told if name == "Measure before" else self._observer
        self._observer.stage(name, detail)

    def note(self, message: str, *, level: str = "info") -> None:
        """One line."""
        self._observer.note(message, level=level)

    def decided(self, decision: Decision[Any]) -> None:
        """An automatic choice."""
        self._observer.decided(decision)

    def start(self, label: str, total: int, unit: str) -> None:
        """Countable work begins."""
        self._observer.start(label, total, unit)

    def advance(self, amount: int, detail: str = "") -> None:
        """Some of it is done."""
        self._observer.advance(amount, detail)

    def finish(self) -> None:
        """Countable work is over."""
        self._observer.finish()


def _is_final(out: Path, record: SearchRecord) -> bool:
    """Whether the run in a folder is a finished one, of these trials."""
    if not (out / MANIFEST).is_file() or not (out / RECORD).is_file():
        return False
    return bool(read_json(out / RECORD)["trials"] == to_plain(record.trials))
