"""Pruners: which trials are ended early because they promise nothing. `PRUNERS` is the list.

A pruner is a pure function of curves. Scores are the best so far on validation, more is better, at each tenth of a trial's own
steps, so that trials of different length can be compared. Optuna's own pruners are the oracle of the tests; they are not used
because they leave marks on a trial, which the second attempt of a killed trial would inherit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from luthier.core.family import Family

TENTHS = 10


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The scores of one trial.

    Attributes:
        number: Of the trial.
        scores: Tenth of its steps (1 to 10) -> best score so far; more is better.
        is_complete: Whether it ran to its end.
    """

    number: int
    scores: Mapping[int, float] = field(default_factory=dict)
    is_complete: bool = False


# (the trial, the tenth it has come to, all other trials) -> whether to end it
Pruner = Callable[[Curve, int, Sequence[Curve]], bool]

PRUNERS: Family[Pruner] = Family(
    "pruner",
    {
        "none": "luthier.studies.pruners.none:is_hopeless",
        "median": "luthier.studies.pruners.median:is_hopeless",
        "hyperband": "luthier.studies.pruners.hyperband:is_hopeless",
    },
)
