"""Samplers: what proposes the values of the next trial. `SAMPLERS` is the list; each member makes an Optuna sampler.

A proposal depends on the study's trials and on the number of the trial alone, never on what this process did before: so a
search that was killed goes on as if nothing had happened, and any number of processes can share it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from luthier.core.family import Family
from luthier.studies.space import Space

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

MakeSampler = Callable[[Space, int], "BaseSampler"]

SAMPLERS: Family[MakeSampler] = Family(
    "sampler",
    {
        "tpe": "luthier.studies.samplers.tpe:make_sampler",
        "random": "luthier.studies.samplers.random:make_sampler",
        "grid": "luthier.studies.samplers.grid:make_sampler",
        "gp": "luthier.studies.samplers.gp:make_sampler",
    },
)
