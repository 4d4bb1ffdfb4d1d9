"""DoRA: as LoRA, but it turns each column of the weights and learns its length apart. `dora:RANK`, `dora:RANK:K`.

Use when: `lora` at a small rank stays behind `full`; it comes nearer at the same rank.
Cost: as `lora`, and each step also computes the merged weights once more: half again as long in small batches.
Suggested values: as for `lora`; rank 4 to 8.
Source: Liu et al. 2024, "DoRA: weight-decomposed low-rank adaptation".
"""

from luthier.training.methods.low_rank import low_rank_rung
from luthier.training.methods.rung import Rung

EXAMPLE = "dora:8:3"


def make_rung(argument: str, num_blocks: int) -> Rung:
    """An adapter of a rank in every block, or in the last K."""
    return low_rank_rung("dora", argument, num_blocks, learning_rate=1e-3)
