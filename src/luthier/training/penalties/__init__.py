"""Penalties on weights, one file each. `PENALTIES` is the list; each is the name of a setting, which is its strength."""

from luthier.core.family import Family
from luthier.training.penalties.penalty import Penalty

PENALTIES: Family[Penalty] = Family(
    "penalty",
    {
        "l1": "luthier.training.penalties.l1:PENALTY",
        "l2": "luthier.training.penalties.l2:PENALTY",
        "towards_pretrained": "luthier.training.penalties.towards_pretrained:PENALTY",
        "ewc": "luthier.training.penalties.ewc:PENALTY",
    },
)
