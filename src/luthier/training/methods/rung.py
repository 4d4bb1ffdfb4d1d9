"""The record of a method applied to a model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from luthier.errors import SpecError


@dataclass(frozen=True, kw_only=True)
class AdapterSettings:
    """Small new weights inside frozen blocks.

    Attributes:
        kind: Which adapter.
        rank: Inner width of a low-rank adapter; 0 where there is none (IA3).
        alpha: A low-rank adapter's output is multiplied by alpha / rank; None is twice the rank.
        dropout: Drop rate of what enters a low-rank adapter.
        seed: Of its first weights.
    """

    kind: Literal["lora", "dora", "ia3"]
    rank: int = 0
    alpha: float | None = None
    dropout: float = 0.0
    seed: int = 0


Moves = Literal["all", "biases"] | AdapterSettings


Moment = tuple[float, int]


@dataclass(frozen=True, kw_only=True)
class Unfreezing:
    """When further blocks begin to train.

    Attributes:
        boundaries: First block that trains, phase after phase, falling.
        epochs: At which epoch each phase after the first begins, at the latest; empty: only when validation stalls.
        on_stall: Whether a phase also begins when patience runs out.
    """

    boundaries: Sequence[int]
    epochs: Sequence[float] = ()
    on_stall: bool = True

    def next_after(self, boundary: int) -> int | None:
        """The boundary that follows; None if every block that will ever train does."""
        return next((further for further in self.boundaries if further < boundary), None)

    def is_time(self, boundary: int, epoch: float) -> bool:
        """Whether the phase after this boundary begins by its epoch.

        Example:
            >>> Unfreezing(boundaries=(2, 1, 0), epochs=(1, 2)).is_time(2, 1.0)
            True
        """
        place = list(self.boundaries).index(boundary)
        return place < len(self.epochs) and epoch >= self.epochs[place]

    def as_it_happened(self, moments: Sequence[Moment]) -> "Unfreezing":
        """The same phases at the epochs at which they began: for a training without validation, which cannot stall."""
        return replace(self, epochs=tuple(epoch for epoch, _ in moments), on_stall=False)


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One step of the ladder.

    Attributes:
        name: As a user writes it: `top-blocks:2`.
        boundary: First block that trains (in the end); `num_blocks` if none does.
        moves: What of these blocks trains: all of their weights, their biases, or an adapter in them.
        num_epochs, learning_rate, head_learning_rate: Defaults of the method.
        unfreezing: How blocks begin to train one after the other; None: all of them from the beginning.
    """

    name: str
    boundary: int
    num_epochs: float
    learning_rate: float
    head_learning_rate: float
    moves: Moves = "all"
    unfreezing: Unfreezing | None = None

    @property
    def boundaries(self) -> Sequence[int]:
        """Every boundary that training starts from at some time, the first one first."""
        return self.unfreezing.boundaries if self.unfreezing else (self.boundary,)


def boundary_of(method: str, count: str, num_blocks: int) -> int:
    """First block that trains where a method is limited to the last `count` blocks; without a count every block trains.

    Args:
        method: As it was written, for messages.
        count: The last part of the method's argument, or nothing.

    Raises:
        SpecError: there are not so many blocks.

    Example:
        >>> boundary_of("bitfit:2", "2", 6), boundary_of("bitfit", "", 6)
        (4, 0)
    """
    if not count:
        return 0
    if not count.isdecimal() or not 1 <= int(count) <= num_blocks:
        name = method.removesuffix(f":{count}")
        raise SpecError(
            f"'{method}' does not fit this model: the number of blocks must be from 1 to {num_blocks}, and '{count}' is not.",
            remedy=f"--method {name}:{max(1, num_blocks // 2)}, or --method {name} for every block",
        )
    return num_blocks - int(count)


def refuse_argument(method: str, argument: str) -> None:
    """Raise SpecError if a method that takes no argument was given one."""
    if argument:
        raise SpecError(
            f"Method '{method}' takes no argument, but '{method}:{argument}' was asked for.", remedy=f"--method {method}"
        )
