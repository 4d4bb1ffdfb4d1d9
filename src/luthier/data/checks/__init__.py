"""Checks of the data before anything is trained: one file per check. `run_checks` runs all that apply."""

import numpy as np

from luthier.core.family import Family
from luthier.data.checks.check import Check
from luthier.data.checks.policy import apply_settings
from luthier.data.dataset import Dataset
from luthier.data.findings import Finding
from luthier.data.settings import DataSettings

# In order of importance: findings of equal severity are shown in this order.
CHECKS: Family[Check] = Family(
    "check",
    {
        "missing": "luthier.data.checks.missing:CHECK",
        "images": "luthier.data.checks.images:CHECK",
        "audio": "luthier.data.checks.audio:CHECK",
        "overlap": "luthier.data.checks.overlap:CHECK",
        "classes": "luthier.data.checks.classes:CHECK",
        "label-sets": "luthier.data.checks.label_sets:CHECK",
        "numbers": "luthier.data.checks.numbers:CHECK",
        "conflicts": "luthier.data.checks.conflicts:CHECK",
        "leak": "luthier.data.checks.leak:CHECK",
        "table-columns": "luthier.data.checks.table_columns:CHECK",
        "duplicates": "luthier.data.checks.duplicates:CHECK",
        "near-duplicates": "luthier.data.checks.near_duplicates:CHECK",
        "encoding": "luthier.data.checks.encoding:CHECK",
        "columns": "luthier.data.checks.columns:CHECK",
        "lengths": "luthier.data.checks.lengths:CHECK",
        "personal-data": "luthier.data.checks.personal_data:CHECK",
    },
)

_SEVERITIES = ("error", "warning", "info")


def run_checks(
    dataset: Dataset, settings: DataSettings, *, fast: bool = False, features: np.ndarray | None = None
) -> list[Finding]:
    """Run every check that applies; the most severe findings come first.

    Args:
        dataset: The table as loaded, with the parts that were given.
        settings: Decides which remedies are applied by default and which findings stop a run.
        fast: Leave out what takes long on large tables (near-duplicates).
        features: Features of the rows, for the checks that need them.
    """
    found: list[Finding] = []
    for name in CHECKS:
        check = CHECKS[name]
        if check.applies(dataset, features, fast=fast):
            found += check(dataset, features)
    kept = [policed for finding in found if (policed := apply_settings(finding, settings)) is not None]
    return sorted(kept, key=lambda finding: _SEVERITIES.index(finding.severity))
