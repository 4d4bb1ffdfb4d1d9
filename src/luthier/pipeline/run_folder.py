"""The run folder: what is written into it, and when. Records first, the manifest last."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from luthier.core.decision import Decision
from luthier.core.records import to_json, to_plain
from luthier.core.storage import append_line, atomic_path, cannot_write, write_json, write_text
from luthier.data.clean import Removal
from luthier.data.dataset import EXAMPLE_ID, PARTS, Dataset
from luthier.data.findings import Finding
from luthier.errors import UsageError
from luthier.spec import TuneSpec

MOST_EXAMPLES = 20


class RunFolder:
    """Writes the records of one run.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def record(self, event: Mapping[str, Any]) -> None:
        """Append an event to the journal."""
        append_line(self.path / "journal.jsonl", event)

    def write_spec(self, spec: TuneSpec) -> None:
        """The complete spec, with every automatic value resolved."""
        write_text(self.path / "spec.yaml", spec.to_yaml())

    def write_decisions(self, decisions: Sequence[Decision[Any]]) -> None:
        """Every automatic choice, one a line."""
        write_text(self.path / "decisions.jsonl", "".join(to_json(decision) + "\n" for decision in decisions))

    def write_findings(self, dataset: Dataset, findings: Sequence[Finding], removals: Sequence[Removal]) -> None:
        """What the data are, what is wrong with them, and what was taken out."""
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
        with atomic_path(self.path / "split.parquet") as temporary:
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


def open_run_folder(spec: TuneSpec, name: str) -> RunFolder:
    """Make the folder of a run; what an earlier run left in it goes, if that was asked for.

    Raises:
        UsageError: it exists and holds something, and may not be overwritten.
        ResourceError: it cannot be made.
    """
    refuse_taken_folder(spec)
    path = Path(spec.output.out or f"runs/{name}-{time.strftime('%Y%m%d-%H%M%S')}")
    try:
        if path.is_dir():
            _empty(path)
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    return RunFolder(path)


def is_run_folder(path: Path) -> bool:
    """Whether a run, finished or not, wrote this folder."""
    return path.is_dir() and (path / "spec.yaml").is_file()


def _empty(path: Path) -> None:
    import shutil

    for item in path.iterdir():
        shutil.rmtree(item) if item.is_dir() and not item.is_symlink() else item.unlink()


def describe_data(dataset: Dataset) -> dict[str, Any]:
    """Files, columns, roles, sizes of the parts, rows of each class in each part."""
    counts: dict[str, dict[str, int]] = {}
    target = dataset.schema.roles.get("target")
    for part in PARTS:
        if target is None or part not in dataset.parts:
            continue
        values = dataset.table.column(target).take(dataset.parts[part]).value_counts().to_pylist()
        for entry in values:
            label = "" if entry["values"] is None else str(entry["values"]).strip()
            counts.setdefault(label, {})[part] = counts.get(label, {}).get(part, 0) + entry["counts"]
    return {
        "name": dataset.name,
        "files": list(dataset.files),
        "columns": to_plain(dataset.schema.columns),
        "roles": dict(dataset.schema.roles),
        "parts": {name: len(rows) for name, rows in dataset.parts.items()},
        "class_counts": dict(sorted(counts.items())),
    }


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
