"""What the methods with a low-rank adapter share: how their argument reads."""

from typing import Literal

from luthier.errors import SpecError
from luthier.training.methods.rung import AdapterSettings, Rung, boundary_of


def low_rank_rung(kind: Literal["lora", "dora"], argument: str, num_blocks: int, *, learning_rate: float) -> Rung:
    """The rung of `RANK`, or of `RANK:K` for the last K blocks.

    Raises:
        SpecError: the rank is no whole number above zero, or there are not so many blocks.

    Example:
        >>> rung = low_rank_rung("lora", "8:2", 6, learning_rate=1e-3)
        >>> rung.name, rung.boundary
        ('lora:8:2', 4)
    """
    rank, _, count = argument.partition(":")
    if not rank.isdecimal() or int(rank) < 1:
        raise SpecError(
            f"'{kind}:{argument}' has no rank: after '{kind}:' stands a whole number from 1, and then, if you like, ':' "
            "and how many of the last blocks get the adapter.",
            remedy=f"--method {kind}:8, or --method {kind}:8:{max(1, num_blocks // 2)}",
        )
    boundary = boundary_of(f"{kind}:{argument}", count, num_blocks)
    return Rung(
        name=f"{kind}:{int(rank)}" + (f":{int(count)}" if count else ""),
        boundary=boundary,
        num_epochs=5,
        learning_rate=learning_rate,
        head_learning_rate=3e-3,
        moves=AdapterSettings(kind=kind, rank=int(rank)),
    )
