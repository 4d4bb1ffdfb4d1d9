"""What a check is: a function from a data set to findings, with what it needs and when it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from luthier.data.dataset import Dataset
from luthier.data.findings import Finding

Needs = Literal["table", "table and features"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One member of the family; called like the function it holds.

    Attributes:
        name: Its name in `CHECKS`, and the `check` of its findings.
        about: One line for lists and documentation.
        find: Looks, and returns what it found; changes nothing.
        needs: What it must be given; a check that needs features is skipped where there are none.
        roles: It runs where any of these roles is played; empty: always.
        fast: Whether it runs under `--fast`.
    """

    name: str
    about: str
    find: Callable[[Dataset, np.ndarray | None], list[Finding]]
    needs: Needs = "table"
    roles: tuple[str, ...] = ()
    fast: bool = True

    def __call__(self, dataset: Dataset, features: np.ndarray | None = None) -> list[Finding]:
        """What this check finds in the data set."""
        return self.find(dataset, features)

    def applies(self, dataset: Dataset, features: np.ndarray | None = None, *, fast: bool = False) -> bool:
        """Whether there is something here for it to look at."""
        if (fast and not self.fast) or (self.needs == "table and features" and features is None):
            return False
        return not self.roles or any(role in dataset.schema.roles for role in self.roles)
