"""BitFit: only the biases (those of norms too) and the head; `bitfit:K` only those of the last K blocks.

Use when: there are a few hundred rows, or many tuned models are to be kept beside one pre-trained one; a first try between
`probe` and `top-blocks:K`. Models without biases (LLaMA, T5) are refused.
Cost: forward and backward through the blocks as for all of their weights, but gradients and optimizer states only for about a
thousandth of them; with K, blocks below are stored as for `top-blocks:K`.
Suggested values: rates some ten times those of `full`, for biases are few and move little; K of half the blocks or none.
Source: Ben Zaken, Goldberg & Ravfogel 2022, "BitFit: simple parameter-efficient fine-tuning for transformer-based masked
language-models".
"""

from luthier.training.methods.rung import Rung, boundary_of


def make_rung(argument: str, num_blocks: int) -> Rung:
    """The biases of every block and of stem and tail, or of the last K blocks and the tail."""
    boundary = boundary_of(f"bitfit:{argument}", argument, num_blocks)
    return Rung(
        name=f"bitfit:{int(argument)}" if argument else "bitfit",
        boundary=boundary,
        num_epochs=5,
        learning_rate=5e-3,
        head_learning_rate=3e-3,
        moves="biases",
    )
