"""What the report is made from: the files of a run folder, read into one record. Only `metrics.json` must be there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from luthier.core.decision import Decision
from luthier.core.names import count_of
from luthier.core.records import from_plain
from luthier.core.storage import read_json
from luthier.errors import DataError
from luthier.evaluation.records import Metrics
from luthier.report.boxes import DrawnPicture, read_drawn
from luthier.report.ladder import Rung, read_rungs
from luthier.report.mistakes import Mistake, read_mistakes
from luthier.studies.records import SearchRecord


@dataclass(frozen=True, kw_only=True)
class ReportedFinding:
    """A finding about the data, as `findings.json` keeps it: example ids instead of row numbers."""

    check: str
    severity: Literal["info", "warning", "error"]
    problem: str
    remedy: str
    count: int = 0
    part: str = ""
    by_default: bool = False
    examples: tuple[str, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Removal:
    """Rows of a part, or a column, that were left out, and why."""

    check: str
    count: int
    part: str = ""
    column: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """What is known of the data.

    Attributes:
        columns: As in `data.schema.Column`, in plain form.
        roles: Role -> column.
        parts: Part -> number of examples.
        class_counts: Label -> part -> number of examples; an example of several labels counts for each.
        numbers: Where examples have numbers: part -> `low`, `median`, `mean`, `high`.
    """

    name: str = ""
    files: tuple[str, ...] = ()
    columns: tuple[Mapping[str, Any], ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, int] = field(default_factory=dict)
    class_counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    numbers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DataReport:
    """All of `findings.json`."""

    data: DataFacts = field(default_factory=DataFacts)
    findings: tuple[ReportedFinding, ...] = ()
    removals: tuple[Removal, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RunRecords:
    """One run, as the report's sections see it.

    Attributes:
        folder_name: Name of the run folder.
        title: Heading of the report.
        spec: `spec.yaml`, as written.
        settings: The same, parsed.
        rungs: What the ladder tried, in order.
        machine: Where the run was made: processor, memory, versions; empty if the journal does not say.
        mistakes: Wrong answers on the test part, the most confident first.
        examples: Example id -> text, or a `data:image/...` URI.
        drawn: Of boxes: test pictures to be drawn, by example id: those of the mistakes, and the best.
        search: The search that led to this run; None if there was none.
    """

    folder_name: str
    title: str
    metrics: Metrics
    spec: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    decisions: tuple[Decision[Any], ...] = ()
    data: DataFacts = field(default_factory=DataFacts)
    findings: tuple[ReportedFinding, ...] = ()
    removals: tuple[Removal, ...] = ()
    rungs: tuple[Rung, ...] = ()
    machine: Mapping[str, Any] = field(default_factory=dict)
    mistakes: tuple[Mistake, ...] = ()
    examples: Mapping[str, str] = field(default_factory=dict)
    drawn: Mapping[str, DrawnPicture] = field(default_factory=dict)
    search: SearchRecord | None = None

    def setting(self, *keys: str) -> Any:
        """A value of the spec by its path of keys; None where it has none."""
        value: Any = self.settings
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value


def read_run(folder: Path, *, title: str = "", examples: Mapping[str, str] | None = None) -> RunRecords:
    """Read a run folder.

    Raises:
        DataError: `metrics.json` is missing, or a file does not hold what its name says.
    """
    if not (folder / "metrics.json").is_file():
        raise DataError(
            f"{folder} has no metrics.json: the run did not finish, or this is not a run folder.",
            remedy=f"luthier tune --resume {folder}",
        )
    metrics = _record(Metrics, folder / "metrics.json", read_json)
    about_data = _record(DataReport, folder / "findings.json", read_json) or DataReport()
    spec = _record(str, folder / "spec.yaml", Path.read_text) or ""
    mistakes = read_mistakes(folder / "predictions.parquet")
    journal = _record(tuple[dict[str, Any], ...], folder / "journal.jsonl", _read_lines) or ()
    return RunRecords(
        folder_name=folder.resolve().name,
        title=title,
        metrics=metrics,
        spec=spec,
        settings=_record(dict, folder / "spec.yaml", lambda path: yaml.safe_load(path.read_text(encoding="utf-8"))) or {},
        decisions=_record(tuple[Decision[Any], ...], folder / "decisions.jsonl", _read_lines) or (),
        data=about_data.data,
        findings=about_data.findings,
        removals=about_data.removals,
        rungs=read_rungs(journal),
        machine=next((event["machine"] for event in reversed(journal) if event.get("event") == "started"), {}),
        mistakes=mistakes,
        drawn=read_drawn(folder / "predictions.parquet", [mistake.example_id for mistake in mistakes]),
        examples=examples or {},
        search=_record(SearchRecord, folder / "search.json", read_json),
    )


def _record(kind: Any, path: Path, read: Any) -> Any:
    if not path.is_file():
        return None
    try:
        return from_plain(kind, read(path))
    except ValidationError as error:
        where = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:3])
        problem = f"{path} has {count_of(error.error_count(), 'value')} of another kind than expected: {where}."
    except (ValueError, yaml.YAMLError) as error:
        problem = f"{path} cannot be read: {error}."
    raise DataError(problem, remedy="restore the file, or repeat the run from its spec.yaml")


def _read_lines(path: Path) -> list[Any]:
    """The records of a JSON-lines file; a last line cut off by a crash is left out."""
    lines = path.read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines[:-1] if line.strip()]
    try:
        return records + [json.loads(line) for line in lines[-1:] if line.strip()]
    except ValueError:
        return records
