"""The record of a method applied to a model."""

from dataclasses import dataclass

from luthier.errors import SpecError


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One step of the ladder.

    Attributes:
        name: As a user writes it: `top-blocks:2`.
        boundary: First block that trains; `num_blocks` if none does.
        num_epochs, learning_rate, head_learning_rate: Defaults of the method.
    """

    name: str
    boundary: int
    num_epochs: float
    learning_rate: float
    head_learning_rate: float


def refuse_argument(method: str, argument: str) -> None:
    """Raise SpecError if a method that takes no argument was given one."""
    if argument:
        raise SpecError(
            f"Method '{method}' takes no argument, but '{method}:{argument}' was asked for.", remedy=f"--method {method}"
        )
