"""How the user's settings change what is done about a finding. The checks state facts; only this file knows the flags."""

from dataclasses import replace

from luthier.core.names import count_of
from luthier.data.findings import Finding
from luthier.data.settings import DataSettings

# Which setting rules over the row-dropping findings of a check.
SETTING_OF = {
    "duplicates": "duplicates",
    "conflicts": "conflicts",
    "overlap": "overlap",
    "near-duplicates": "overlap",
    "classes": "rare_classes",
}


def flag_of(check: str) -> str:
    """The flag that rules over a check's findings, or '' if none does.

    Example:
        >>> flag_of("near-duplicates"), flag_of("lengths")
        ('--overlap', '')
    """
    return "--" + SETTING_OF[check].replace("_", "-") if check in SETTING_OF else ""


def apply_settings(finding: Finding, settings: DataSettings) -> Finding | None:
    """The finding under these settings: applied by default, kept, or an error; None if it is about an ignored column."""
    action = finding.action
    if action is None:
        return finding
    if action.kind == "drop_column":
        if action.column in settings.features:
            remedy = f"take '{action.column}' out of --features, unless it is known when the model is used"
            return replace(finding, by_default=False, remedy=remedy)
        return None if action.column in settings.ignore else finding
    if finding.check not in SETTING_OF:
        return finding
    flag, choice = flag_of(finding.check), getattr(settings, SETTING_OF[finding.check])
    rows = count_of(len(action.rows), "row")
    if choice == "drop":
        severity = "warning" if finding.severity == "error" else finding.severity
        remedy = (
            f"nothing to do: {rows} {'is' if len(action.rows) == 1 else 'are'} left out; `{flag} keep` uses them all the same"
        )
        return replace(finding, severity=severity, by_default=True, remedy=remedy)
    if choice == "keep":
        severity = "warning" if finding.severity == "error" else finding.severity
        return replace(finding, severity=severity, by_default=False, remedy=f"`{flag} drop` (leaves out {rows})")
    return replace(finding, severity="error", by_default=False, remedy=finding.remedy)
