"""Full: every weight of the backbone and the head.

Use when: there are some thousand rows, or the data differ from what the model has seen.
Cost: forward and backward through everything in each epoch; nothing can be stored. Forgets most.
Suggested values: 2 to 4 epochs at 5e-5 to 3e-4 from a fitted head.
Source: Kumar et al. 2022, "Fine-tuning can distort pretrained features" (why to start from a fitted head).
"""

from luthier.training.methods.rung import Rung, refuse_argument


def make_rung(argument: str, num_blocks: int) -> Rung:
    """Everything trains."""
    refuse_argument("full", argument)
    return Rung(name="full", boundary=0, num_epochs=3, learning_rate=1.5e-4, head_learning_rate=1e-3)
