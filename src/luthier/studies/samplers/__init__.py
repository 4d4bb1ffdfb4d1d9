"""Samplers: what proposes the values of the next trial. `SAMPLERS` is the list; each member makes an Optuna sampler.

A proposal depends on the study's trials and on the number of the trial alone, never on what this process did before: so a
search that was killed goes on as if nothing had happened, and any number of processes can share it. How all of them begin is
in `opening`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from luthier.core.family import Family
from luthier.studies.space import Point, Space

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

# (the space, the seed, the points that the first trials get) -> sampler
MakeSampler = Callable[[Space, int, Sequence[Point]], "BaseSampler"]


@dataclass(frozen=True, kw_only=True)
class Proposals:
    """How values are proposed.

    Attributes:
        sampler: Its name.
        seed: Of the search.
        defaults: What the first trials get, before the sampler is asked.
    """

    sampler: str
    seed: int
    defaults: Sequence[Point] = ()


SAMPLERS: Family[MakeSampler] = Family(
    "sampler",
    {
        "tpe": "luthier.studies.samplers.tpe:make_sampler",
        "random": "luthier.studies.samplers.random:make_sampler",
        "grid": "luthier.studies.samplers.grid:make_sampler",
        "gp": "luthier.studies.samplers.gp:make_sampler",
    },
)
