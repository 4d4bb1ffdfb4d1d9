"""Methods: which parts of a model train. `METHODS` is the list; each member makes a `Rung` from its argument."""

from collections.abc import Callable

from luthier.core.family import Family
from luthier.training.methods.rung import Rung

MakeRung = Callable[[str, int], Rung]

METHODS: Family[MakeRung] = Family(
    "method",
    {
        "bitfit": "luthier.training.methods.bitfit:make_rung",
        "dora": "luthier.training.methods.dora:make_rung",
        "full": "luthier.training.methods.full:make_rung",
        "gradual": "luthier.training.methods.gradual:make_rung",
        "ia3": "luthier.training.methods.ia3:make_rung",
        "lora": "luthier.training.methods.lora:make_rung",
        "probe": "luthier.training.methods.probe:make_rung",
        "top-blocks": "luthier.training.methods.top_blocks:make_rung",
    },
)


def build_rung(method: str, *, num_blocks: int) -> Rung:
    """The rung of a method as a user writes it: `probe`, `top-blocks:2`, `full`.

    Raises:
        SpecError: the method is unknown, or its argument does not fit the model.

    Example:
        >>> build_rung("top-blocks:2", num_blocks=6).boundary
        4
    """
    name, _, argument = method.partition(":")
    return METHODS[name](argument, num_blocks)


def ladder_rungs(num_blocks: int) -> list[Rung]:
    """The rungs of `--method auto`, cheapest first: probe, the top third of the blocks, everything."""
    top = max(1, num_blocks // 3)
    names = ["probe", *([f"top-blocks:{top}"] if top < num_blocks else []), "full"]
    return [build_rung(name, num_blocks=num_blocks) for name in names]
