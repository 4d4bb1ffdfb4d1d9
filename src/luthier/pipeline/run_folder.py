"""The run folder: what is written into it, and when. Records first, the manifest last."""

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from luthier.core.decision import Decision
from luthier.core.manifest import MANIFEST
from luthier.core.progress import Observer
from luthier.core.records import to_json, to_plain
from luthier.core.storage import (
    append_line,
    atomic_path,
    cannot_write,
    free_of_leftovers,
    locked_folder,
    remove_folder,
    write_json,
    write_text,
)
from luthier.data.clean import Removal
from luthier.data.dataset import EXAMPLE_ID, PARTS, Dataset
from luthier.data.findings import Finding
from luthier.data.keys import answer_kind
from luthier.data.lists import label_set
from luthier.data.targets import target_values
from luthier.errors import UsageError
from luthier.spec import TuneSpec, load_spec

if TYPE_CHECKING:
    from luthier.training.processes import Processes
    from luthier.training.shelf import Shelf

MOST_EXAMPLES = 20
SPEC, JOURNAL, SPLIT, CHECKPOINTS = "spec.yaml", "journal.jsonl", "split.parquet", "checkpoints"


class RunFolder:
    """Writes the records of one run.

    Attributes:
        path: The folder.
        shelf: Where its trainings save themselves; made when it is first asked for.
        is_resumed: Whether the run goes on from a state that was saved before.
        is_written: Whether this process writes; of several, only the main one does, and here nothing happens in the others.
        changes: What has changed since then, and is no reason not to go on.
    """

    def __init__(
        self,
        path: Path,
        *,
        origin: Mapping[str, Any],
        checkpoint_seconds: float | None,
        observer: Observer,
        is_written: bool = True,
    ) -> None:
        self.path = path
        self.is_written = is_written
        self.is_resumed = False
        self.changes: list[str] = []
        self._origin, self._checkpoint_seconds, self._observer = origin, checkpoint_seconds, observer

    @cached_property
    def shelf(self) -> "Shelf":
        """Torch is needed from here on."""
        from luthier.training.shelf import Shelf

        return Shelf(
            self.path / CHECKPOINTS,
            journal=self.path / JOURNAL,
            seconds=self._checkpoint_seconds,
            observer=self._observer,
            origin=self._origin,
        )

    def go_on(self) -> None:
        """Take the run back to the furthest state that is whole; what was done after it is done again.

        Raises:
            UsageError: settings, data or weights have changed since then.
        """
        from luthier.pipeline.origin import check_origin

        going_on = self.shelf.rewind()
        self.is_resumed = going_on is not None
        if going_on is not None:
            self.changes = check_origin(going_on.origin, self._origin, self.path, observer=self._observer)

    def record(self, event: Mapping[str, Any]) -> None:
        """Append an event to the journal."""
        if self.is_written:
            append_line(self.path / JOURNAL, event)

    def record_start(self, machine: Mapping[str, Any], *, num_processes: int = 1) -> None:
        """Begin the journal, or say in it that the run goes on, and what has changed meanwhile."""
        if self.is_resumed:
            self.record({"event": "resumed", "machine": machine, "processes": num_processes, "changes": self.changes})
        else:
            self.record({"event": "started", "machine": machine, "processes": num_processes})

    def write_spec(self, spec: TuneSpec) -> None:
        """The complete spec, with every automatic value resolved, and this folder as its place."""
        if self.is_written:
            write_text(self.path / SPEC, spec.with_values({"output.out": str(self.path)}).to_yaml())

    def write_decisions(self, decisions: Sequence[Decision[Any]]) -> None:
        """Every automatic choice, one a line."""
        if self.is_written:
            write_text(self.path / "decisions.jsonl", "".join(to_json(decision) + "\n" for decision in decisions))

    def write_findings(self, dataset: Dataset, findings: Sequence[Finding], removals: Sequence[Removal]) -> None:
        """What the data are, what is wrong with them, and what was taken out."""
        if not self.is_written:
            return
        ids = dataset.table.column(EXAMPLE_ID)
        content = {
            "schema_version": 1,
            "data": describe_data(dataset),
            "findings": [_plain_finding(finding, ids) for finding in findings],
            "removals": [asdict(removal) for removal in removals],
        }
        write_json(self.path / "findings.json", content)

    def write_split(self, table: pa.Table) -> None:
        """Which example is in which part."""
        if not self.is_written:
            return
        with atomic_path(self.path / SPLIT) as temporary:
            parquet.write_table(table, temporary, compression="zstd")


def refuse_taken_folder(spec: TuneSpec) -> None:
    """Raise UsageError if the folder asked for holds something that may not be replaced; told before anything is computed."""
    if spec.output.out is None:
        return
    path = Path(spec.output.out)
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file; a run needs a folder of its own.", remedy=f"--out {path.with_suffix('')}-run")
    if not path.is_dir() or not any(path.iterdir()) or (spec.output.overwrite and is_run_folder(path)):
        return
    what = "an earlier run" if is_run_folder(path) else "other files"
    remedy = f"--out {path}-2" + (", or --overwrite" if is_run_folder(path) else "")
    raise UsageError(f"{path} already holds {what}.", remedy=remedy)


@contextmanager
def open_shared_folder(
    spec: TuneSpec, name: str, processes: "Processes", *, origin: Mapping[str, Any], resumes: bool, observer: Observer
) -> Iterator[RunFolder]:
    """The folder of a run of several processes: the main one opens it, the others learn where it is and write nothing.

    Raises:
        UsageError, ResourceError: as `open_run_folder`, in the main process.
    """
    if processes.is_main:
        with open_run_folder(spec, name, origin=origin, resumes=resumes, observer=observer) as folder:
            processes.decided({"path": folder.path, "is_resumed": folder.is_resumed})
            yield folder
        return
    told = processes.decided(None)
    folder = RunFolder(Path(told["path"]), origin=origin, checkpoint_seconds=None, observer=observer, is_written=False)
    folder.is_resumed = told["is_resumed"]
    yield folder


@contextmanager
def open_run_folder(
    spec: TuneSpec, name: str, *, origin: Mapping[str, Any], resumes: bool, observer: Observer
) -> Iterator[RunFolder]:
    """The folder of a run, locked until the block ends; what an earlier run left in it goes, unless that one goes on.

    Args:
        name: Of the data, for a folder that nobody has named.
        origin: What the run is made from.

    Raises:
        UsageError: it exists and holds something, and may not be overwritten; or another process is at work in it; or what
            it goes on from was made from something else.
        ResourceError: it cannot be made.
    """
    path = Path(spec.output.out) if spec.output.out else new_path(name)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    with locked_folder(path):
        seconds = spec.training.checkpoint_seconds
        folder = RunFolder(path, origin=origin, checkpoint_seconds=seconds, observer=observer)
        if resumes:
            free_of_leftovers(path)
            folder.go_on()
        else:
            refuse_taken_folder(spec)
            empty(path)
        yield folder


def new_path(name: str) -> Path:
    """A folder that nothing has: named by the data and the time."""
    path = Path(f"runs/{name}-{time.strftime('%Y%m%d-%H%M%S')}")
    others = (path.with_name(f"{path.name}-{number}") for number in itertools.count(2))
    return next(item for item in (path, *itertools.islice(others, 100)) if not item.exists())


def unfinished_spec(folder: Path) -> TuneSpec:
    """What the unfinished run in a folder was asked for, to go on with it there.

    Raises:
        UsageError: there is no run, or it is finished.
    """
    if not is_run_folder(folder):
        what = "is no run folder: it has no spec.yaml" if folder.is_dir() else "does not exist"
        raise UsageError(f"{folder} {what}, so there is nothing to go on with.", remedy="ls runs")
    if (folder / MANIFEST).is_file():
        with locked_folder(folder):
            remove_folder(folder / CHECKPOINTS)  # of a run that was killed between its manifest and its end
        raise UsageError(
            f"The run in {folder} is finished; there is nothing to go on with.",
            remedy=f"luthier tune {folder / SPEC} --out {folder}-again",
        )
    return load_spec(folder / SPEC).with_values({"output.out": str(folder)})


def is_run_folder(path: Path) -> bool:
    """Whether a run, finished or not, wrote this folder."""
    return path.is_dir() and (path / SPEC).is_file()


def empty(path: Path) -> None:
    """Remove everything in a folder."""
    import shutil

    for item in path.iterdir():
        shutil.rmtree(item) if item.is_dir() and not item.is_symlink() else item.unlink()


def describe_data(dataset: Dataset) -> dict[str, Any]:
    """Files, columns, roles, sizes of the parts; rows of each label in each part, or what the numbers there are like."""
    kind = answer_kind(dataset)
    return {
        "name": dataset.name,
        "files": list(dataset.files),
        "columns": to_plain(dataset.schema.columns),
        "roles": dict(dataset.schema.roles),
        "features": list(dataset.schema.features),
        "parts": {name: len(rows) for name, rows in dataset.parts.items()},
        "class_counts": _class_counts(dataset) if kind in ("label", "labels") else {},
        "numbers": _spread_of_numbers(dataset) if kind == "number" else {},
    }


def _class_counts(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Label -> part -> rows; a row of several labels counts for each, one without any for the empty label."""
    counts: dict[str, dict[str, int]] = {}
    column = dataset.column("target")
    for part in (part for part in PARTS if part in dataset.parts):
        for entry in column.take(dataset.parts[part]).value_counts().to_pylist():
            found = [str(entry["values"] or "").strip()] if answer_kind(dataset) == "label" else label_set(entry["values"])
            for label in found or [""]:
                counts.setdefault(label, {})[part] = counts.get(label, {}).get(part, 0) + entry["counts"]
    return dict(sorted(counts.items()))


def _spread_of_numbers(dataset: Dataset) -> dict[str, dict[str, float]]:
    """Part -> smallest, middle, mean and largest number."""
    numbers = target_values(dataset)
    found = {}
    for part in (part for part in PARTS if part in dataset.parts):
        own = numbers[dataset.parts[part]]
        own = own[np.isfinite(own)]
        if len(own):
            low, middle, high = np.quantile(own, [0, 0.5, 1]).tolist()
            found[part] = {"low": low, "median": middle, "mean": float(own.mean()), "high": high}
    return found


def _plain_finding(finding: Finding, ids: pa.ChunkedArray) -> dict[str, Any]:
    return {
        "check": finding.check,
        "severity": finding.severity,
        "problem": finding.problem,
        "remedy": finding.remedy,
        "count": finding.count,
        "part": finding.part,
        "by_default": finding.by_default,
        "examples": ids.take(finding.rows[:MOST_EXAMPLES]).to_pylist(),
        "evidence": to_plain(finding.evidence),
    }
