"""The settings of one training, with every automatic value resolved, and the counts that follow from them."""

import math
from dataclasses import dataclass

from luthier.training.methods.rung import Moves, Unfreezing
from luthier.training.mixing.mixture import NO_MIXING, MixingSettings
from luthier.training.regularization import NO_PENALTIES, Penalties


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """Everything `fit` needs to know; all automatic values resolved.

    Attributes:
        boundary: First block that trains (in the end).
        moves: What of the blocks from there on trains.
        optimizer: As a user writes it.
        block_decay: The rate of each block is this share of that of the block above it.
        on_divergence: What a loss or gradient that is no number does: `stop` ends the training, `skip` leaves that step out.
        recompute: Whether the blocks that train keep only what enters them, and compute the rest again for the gradient:
            `on`, `off`, or `auto`, which begins it where a single example does not fit into memory.
        soup: Of how many of the best states a mean is tried at the end.
        sampling: Whether an epoch sees every row once (`shuffled`), or as many of every class (`balanced`).
        mixing: Whether examples are mixed with each other, and how strongly.
        unfreezing: How blocks begin to train one after the other; None: all of them from the beginning.
        ema_decay: Of the moving average of the weights that is evaluated and kept; 0 keeps the weights themselves.
        silence: Score of a model that answers nothing, more being better: patience does not run out before it is beaten.
    """

    boundary: int
    num_epochs: float
    batch_size: int
    micro_batch: int
    learning_rate: float
    head_learning_rate: float
    schedule: str
    warmup_fraction: float
    weight_decay: float
    max_gradient_norm: float
    patience: int
    evaluations_per_epoch: int
    precision: str
    device: str
    seed: int
    moves: Moves = "all"
    optimizer: str = "adamw"
    penalties: Penalties = NO_PENALTIES
    block_decay: float = 1.0
    ema_decay: float = 0.0
    soup: int = 0
    sampling: str = "shuffled"
    mixing: MixingSettings = NO_MIXING
    on_divergence: str = "stop"
    recompute: str = "auto"
    unfreezing: Unfreezing | None = None
    silence: float = -math.inf


def steps_per_epoch(num_rows: int, settings: FitSettings) -> int:
    """Optimizer updates of one pass over so many rows."""
    return math.ceil(num_rows / settings.batch_size)


def count_steps(num_rows: int, settings: FitSettings) -> int:
    """Optimizer updates of a whole training on so many rows."""
    return max(1, round(settings.num_epochs * steps_per_epoch(num_rows, settings)))
