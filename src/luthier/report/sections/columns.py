"""The columns of a table: what each is, how it was prepared, and how much the model's score leans on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from luthier.report import wording
from luthier.report.records import RunRecords
from luthier.report.section import Section


@dataclass(frozen=True, kw_only=True)
class ColumnRow:
    """One column, in words; `width` is the length of its bar in percent."""

    name: str
    prepared: str
    missing: str
    loss: str
    width: float


def build_columns(run: RunRecords) -> Section | None:
    """The columns that were read, those that matter most first; nothing for models that read no columns."""
    prepared: Mapping[str, str] = next(
        (made.evidence.get("columns", {}) for made in run.decisions if made.name == "preparation"), {}
    )
    if not prepared:
        return None
    not_read: Mapping[str, str] = next(
        (made.evidence.get("not_read", {}) for made in run.decisions if made.name == "features"), {}
    )
    importance = run.metrics.importance
    facts = {
        "rows": _rows(run, prepared, importance),
        "not_read": sorted(not_read.items()),
        "measure": wording.measure_name(run.metrics.primary_measure),
        "has_importance": bool(importance),
        "pretraining": next((made.reason for made in run.decisions if made.name == "pretraining_epochs"), ""),
    }
    return Section(title="The columns", template="columns.html", facts=facts)


def _rows(run: RunRecords, prepared: Mapping[str, str], importance: Mapping[str, float]) -> list[ColumnRow]:
    most = max([*importance.values(), 0.0]) or 1.0
    known = {str(column["name"]): column for column in run.data.columns}
    total = sum(run.data.parts.values())
    return [
        ColumnRow(
            name=name,
            prepared=prepared[name],
            missing=_missing(known.get(name, {}), total),
            loss=f"{importance[name]:+.3f}".replace("+", "") if name in importance else "",
            width=round(100 * max(0.0, importance.get(name, 0.0)) / most, 1),
        )
        for name in sorted(prepared, key=lambda name: -importance.get(name, 0.0))
    ]


def _missing(column: Mapping[str, Any], total: int) -> str:
    missing = int(column.get("missing", 0) or 0)
    return "" if not missing or not total else f"{wording.thousands(missing)} missing"
