"""What the verbs return."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luthier.core.decision import Decision
from luthier.data.findings import Finding
from luthier.data.schema import Column
from luthier.evaluation.card import EvidenceCard
from luthier.evaluation.records import Metrics
from luthier.spec import TuneSpec
from luthier.studies.records import SearchRecord


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run.

    Attributes:
        folder: The run folder.
        model_path: The model folder in it.
        card: The evidence; print it.
    """

    folder: Path
    model_path: Path
    card: EvidenceCard

    @property
    def metrics(self) -> Metrics:
        """Everything `metrics.json` says."""
        return self.card.metrics

    @property
    def verdict(self) -> str:
        """`keep`, `keep with care` or `do not keep`."""
        return self.card.metrics.verdict


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search whose budget is spent.

    Attributes:
        folder: The search folder.
        spec: The best values as a plain spec: `best.yaml`.
        record: All trials and what they say.
        run: The final run with the best values; None if it was not asked for, or another process has it.
    """

    folder: Path
    spec: TuneSpec
    record: SearchRecord
    run: Run | None = None


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What `check` saw.

    Attributes:
        roles: Role -> column.
    """

    name: str
    num_rows: int
    columns: Sequence[Column]
    roles: Mapping[str, str]
    parts: Mapping[str, int]
    decisions: Sequence[Decision[Any]]
    findings: Sequence[Finding]
    seconds: float
    schema_version: int = 1


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run would do.

    Attributes:
        steps: (name, detail, seconds) of each step; seconds are None where nothing was measured.
        worries: Sentences about licences, few rows, personal data.
    """

    decisions: Sequence[Decision[Any]]
    findings: Sequence[Finding]
    steps: Sequence[tuple[str, str, float | None]]
    memory_bytes: int
    disk_bytes: int
    worries: Sequence[str] = field(default=())
    schema_version: int = 1
