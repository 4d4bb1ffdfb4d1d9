"""Top blocks: the last K blocks and the head; what the others compute is stored once and read in every epoch.

Use when: the task is near to what the model was trained on, or the machine is small.
Cost: one pass over the data plus K blocks forward and backward in each epoch. Suggested K: a third of the blocks.
Source: Howard & Ruder 2018, "Universal language model fine-tuning for text classification"; AutoFreeze, arXiv 2102.01386.
"""

from luthier.errors import SpecError
from luthier.training.methods.rung import Rung

EXAMPLE = "top-blocks:2"


def make_rung(argument: str, num_blocks: int) -> Rung:
    """The last K of the blocks, K from 1 to one less than all."""
    if not argument.isdigit() or not 1 <= int(argument) < num_blocks:
        raise SpecError(
            f"'top-blocks:{argument}' does not fit this model: K must be from 1 to {num_blocks - 1}.",
            remedy=f"--method top-blocks:{max(1, num_blocks // 3)}, or --method full",
        )
    return Rung(
        name=f"top-blocks:{int(argument)}",
        boundary=num_blocks - int(argument),
        num_epochs=3,
        learning_rate=5e-4,
        head_learning_rate=3e-3,
    )
