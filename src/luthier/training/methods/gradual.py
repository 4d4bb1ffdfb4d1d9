"""Gradual: the last block first, then one more block from the top after each epoch, or whenever validation stalls.

Use when: everything is to train and validation falls early, or what the model could do before should last: upper blocks have
found their place before lower ones begin to move.
Cost: less than `full` for as many epochs, as each phase computes only what it trains; but it takes more of them. The first pass
stores what enters every block: as many times the disk of `top-blocks` as there are blocks, less one.
Suggested values: `gradual` (an epoch for each block), `gradual:0.5` for models of many blocks; `gradual:stall` with
`--patience 1` or 2 where nobody knows how long a phase should be. Patience that runs out begins the next phase in any case.
Source: Howard & Ruder 2018, "Universal language model fine-tuning for text classification" (one layer after each epoch).
"""

from luthier.errors import SpecError
from luthier.training.methods.rung import Rung, Unfreezing

STALL = "stall"
STALLING_EPOCHS = 10.0  # at most; patience usually ends the training long before


def make_rung(argument: str, num_blocks: int) -> Rung:
    """Everything trains in the end; `argument` is the epochs of a phase (1), or `stall`."""
    boundaries = tuple(range(num_blocks - 1, -1, -1))
    if argument == STALL:
        return _rung(f"gradual:{STALL}", Unfreezing(boundaries=boundaries), STALLING_EPOCHS)
    each = _epochs(argument, num_blocks)
    epochs = tuple(each * number for number in range(1, num_blocks))
    return _rung(
        f"gradual:{each:g}" if argument else "gradual", Unfreezing(boundaries=boundaries, epochs=epochs), each * num_blocks
    )


def _rung(name: str, unfreezing: Unfreezing, num_epochs: float) -> Rung:
    return Rung(
        name=name, boundary=0, num_epochs=num_epochs, learning_rate=2e-4, head_learning_rate=1e-3, unfreezing=unfreezing
    )


def _epochs(argument: str, num_blocks: int) -> float:
    try:
        each = float(argument or 1)
    except ValueError:
        each = 0.0
    if not 0.1 <= each <= 100:
        raise SpecError(
            f"'gradual:{argument}' does not fit: what follows the colon is the number of epochs before each of the "
            f"{num_blocks} blocks begins, from 0.1 to 100, or '{STALL}'.",
            remedy="--method gradual, or --method gradual:stall",
        )
    return each
