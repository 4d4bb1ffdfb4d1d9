"""LoRA: to each linear layer of the blocks the product of two thin matrices is added; they train, and the head. `lora:RANK`
puts it on every block, `lora:RANK:K` on the last K.

Use when: gradients and optimizer states of all weights do not fit into memory, several tuned models are to be kept beside one
pre-trained one, or what it knew should be kept better than `full` keeps it.
Cost: forward and backward through the blocks as for `full`, without the gradients of their weights; optimizer states for some
hundredths of them. With K, blocks below are stored as for `top-blocks:K`. The saved model is merged: it answers as fast as
the pre-trained one. Convolution networks get it on their convolutions.
Suggested values: rank 4 to 16; K of half the blocks. Rates are higher than those of `full`, since its first factor starts at
zero.
Source: Hu et al. 2022, "LoRA: low-rank adaptation of large language models".
"""

from luthier.training.methods.low_rank import low_rank_rung
from luthier.training.methods.rung import Rung

EXAMPLE = "lora:8:3"


def make_rung(argument: str, num_blocks: int) -> Rung:
    """An adapter of a rank in every block, or in the last K."""
    return low_rank_rung("lora", argument, num_blocks, learning_rate=1e-3)
