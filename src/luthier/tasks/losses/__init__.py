"""Losses of tasks with one label per row. `LOSSES` is the list; each member makes a `ClassLoss` from its argument."""

from collections.abc import Callable

from luthier.core.family import Family
from luthier.tasks.losses.class_loss import ClassLoss

MakeLoss = Callable[[str], ClassLoss]

DEFAULT = "cross-entropy"
LOSSES: Family[MakeLoss] = Family(
    "loss",
    {
        "cross-entropy": "luthier.tasks.losses.cross_entropy:make_loss",
        "focal": "luthier.tasks.losses.focal:make_loss",
    },
)


def build_loss(written: str) -> ClassLoss:
    """A loss as a user writes it: `cross-entropy`, `focal`, `focal:1.5`; `auto` is cross-entropy.

    Raises:
        SpecError: it is unknown, or its argument means nothing.

    Example:
        >>> round(build_loss("cross-entropy").at_chance(4), 3), round(build_loss("focal:2").at_chance(4), 3)
        (1.386, 0.78)
    """
    name, _, argument = (DEFAULT if written == "auto" else written).partition(":")
    return LOSSES[name](argument)
