"""IA3: one factor for each key, each value and each inner channel of the MLP; nothing else trains but the head. `ia3` puts
them in every block, `ia3:K` in the last K.

Use when: there are a few dozen rows per class, or very many tuned models are to be kept beside one pre-trained one.
Cost: forward and backward through the blocks, states for about a thousandth of their weights. With K, blocks below are stored
as for `top-blocks:K`. The saved model is merged.
Suggested values: K of half the blocks or none; rates some ten times those of `lora`, for each factor stands for a whole
column.
Source: Liu et al. 2022, "Few-shot parameter-efficient fine-tuning is better and cheaper than in-context learning".
"""

from luthier.training.methods.rung import AdapterSettings, Rung, boundary_of


def make_rung(argument: str, num_blocks: int) -> Rung:
    """Factors in every block, or in the last K."""
    return Rung(
        name=f"ia3:{int(argument)}" if argument.isdecimal() else "ia3",
        boundary=boundary_of(f"ia3:{argument}", argument, num_blocks),
        num_epochs=5,
        learning_rate=3e-2,
        head_learning_rate=3e-3,
        moves=AdapterSettings(kind="ia3"),
    )
