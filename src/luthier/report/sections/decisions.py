"""Section 7: everything that was decided on the way, by the program or the user, why, and how to decide otherwise."""

from dataclasses import dataclass
from typing import Any

from luthier.core.decision import Decision
from luthier.core.records import to_json
from luthier.report import wording
from luthier.report.records import RunRecords
from luthier.report.section import Section


@dataclass(frozen=True, kw_only=True)
class DecisionRow:
    """One decision, in words."""

    name: str
    value: str
    reason: str
    override: str
    evidence: str


def build_decisions(run: RunRecords) -> Section:
    """All decisions in the order in which they were made."""
    return Section(
        title="What was decided, and why",
        template="decisions.html",
        facts={"rows": [_row(decision) for decision in run.decisions]},
    )


def _row(decision: Decision[Any]) -> DecisionRow:
    return DecisionRow(
        name=decision.name.replace("_", " "),
        value=f"“{decision.value}”"
        if isinstance(decision.value, str) and len(decision.value) < 2
        else in_words(decision.value),
        reason=decision.reason,
        override=decision.override,
        evidence=to_json(decision.evidence, indent=1) if decision.evidence else "",
    )


def in_words(value: Any) -> str:
    """A plain value as a reader would write it.

    Example:
        >>> in_words(["a", "b"]), in_words({"train": 960}), in_words(None), in_words(True)
        ('a, b', 'train: 960', 'none', 'yes')
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return wording.shortened(", ".join(f"{key}: {in_words(item)}" for key, item in value.items()))
    if isinstance(value, list | tuple):
        return wording.shortened(", ".join(in_words(item) for item in value) or "none")
    return wording.shortened(f"{value:g}" if isinstance(value, float) else str(value))
