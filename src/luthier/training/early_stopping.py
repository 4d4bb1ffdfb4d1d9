"""When to stop: validation has not got better for a while."""

import math
from collections.abc import Mapping
from typing import Any


class EarlyStopping:
    """Remembers the best validation loss or score and how long ago it was.

    Args:
        patience: Evaluations without a gain before training stops.
        silence: Score of a model that answers nothing. Patience does not run out before something better has been seen: what
            learns to align (CTC) says nothing at all for a while, and then learns fast.

    Attributes:
        gains: For each evaluation so far, whether it was the best.

    Example:
        >>> stopping = EarlyStopping(patience=2)
        >>> [stopping.update(score) for score in (0.5, 0.6, 0.6, 0.55)]
        [False, False, False, True]
        >>> stopping.best
        0.6
    """

    def __init__(self, *, patience: int, silence: float = -math.inf) -> None:
        self.patience, self.silence = patience, silence
        self.best = -math.inf
        self.is_best = False
        self.waited = 0
        self.gains: list[bool] = []

    def update(self, score: float) -> bool:
        """Take one score (higher is better); true when it is time to stop."""
        self.is_best = score > self.best
        self.gains.append(self.is_best)
        if self.is_best:
            self.best = score
        self.waited = 0 if self.is_best or self.best <= self.silence else self.waited + 1
        return self.is_over

    def wait_anew(self) -> None:
        """Begin to count again: something has changed from which a gain may come."""
        self.waited = 0

    @property
    def is_over(self) -> bool:
        """Whether it is time to stop."""
        return self.waited >= self.patience

    def state(self) -> dict[str, Any]:
        """What `load` puts back, as JSON."""
        return {"best": self.best if math.isfinite(self.best) else None, "waited": self.waited, "gains": list(self.gains)}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.best = -math.inf if state["best"] is None else float(state["best"])
        self.waited, self.gains[:] = int(state["waited"]), [bool(gain) for gain in state["gains"]]
        self.is_best = bool(self.gains and self.gains[-1])
