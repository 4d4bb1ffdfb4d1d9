"""Section 4: the data. Files, columns, parts, labels, what the checks found and what was left out."""

from dataclasses import dataclass

from luthier.core.records import to_json
from luthier.evaluation.display import format_number
from luthier.report import wording
from luthier.report.records import DataFacts, ReportedFinding, RunRecords
from luthier.report.section import Section

MOST_LABELS = 20
MOST_EXAMPLES = 3
NO_LABEL = "(none)"
SEVERITIES = {"error": "Serious", "warning": "Worth a look", "info": "For information"}


@dataclass(frozen=True, kw_only=True)
class LabelBar:
    """One label: how many examples each part has, and how long each piece of its bar is (percent)."""

    label: str
    total: int
    pieces: tuple[tuple[str, int, float], ...]


def build_data(run: RunRecords) -> Section:
    """Everything the run knows of its data."""
    bars = label_bars(run.data)
    order = {name: place for place, name in enumerate(SEVERITIES)}
    findings = sorted(run.findings, key=lambda item: order[item.severity])
    # Cleaning often gives a finding's own sentence as its reason; it need not be read twice.
    problems = {item.problem for item in run.findings}
    facts = {
        "num_labels": sum(bar.label != NO_LABEL for bar in bars),
        "bars": bars[:MOST_LABELS],
        "more_bars": bars[MOST_LABELS:],
        "part_names": list(run.data.parts),
        "total": sum(run.data.parts.values()),
        "findings": [(item, SEVERITIES[item.severity], item.examples[:MOST_EXAMPLES], _evidence(item)) for item in findings],
        "removals": [(item, "" if item.reason in problems else item.reason) for item in run.removals],
        "role_of": {column: role.replace("_", " ") for role, column in run.data.roles.items()},
        "balance": balance(bars),
        "numbers": [
            (part, [format_number(spread[name]) for name in ("low", "median", "mean", "high")])
            for part, spread in run.data.numbers.items()
        ],
    }
    return Section(title="The data", template="data.html", facts=facts)


def label_bars(data: DataFacts) -> list[LabelBar]:
    """The labels by number of examples, most frequent first; the longest bar has 100 percent."""
    totals = {label: sum(counts.values()) for label, counts in data.class_counts.items()}
    longest = max(totals.values(), default=0) or 1
    return [
        LabelBar(
            label=label or NO_LABEL,
            total=totals[label],
            pieces=tuple((part, count, round(100 * count / longest, 2)) for part, count in data.class_counts[label].items()),
        )
        for label in sorted(totals, key=lambda label: -totals[label])
    ]


def balance(bars: list[LabelBar]) -> str:
    """How even the labels are, in a sentence."""
    bars = [bar for bar in bars if bar.label != NO_LABEL]
    if len(bars) < 2 or not bars[-1].total:
        return ""
    ratio = bars[0].total / bars[-1].total
    most, least = (f"“{bar.label}” has {wording.thousands(bar.total)}" for bar in (bars[0], bars[-1]))
    ends = f"{most} examples, {least}"
    if ratio < 2:
        return f"The labels are evenly filled: {ends}."
    return f"The most frequent label is {ratio:.0f} times as frequent as the rarest: {ends}."


def _evidence(finding: ReportedFinding) -> str:
    return to_json(finding.evidence, indent=1) if finding.evidence else ""
