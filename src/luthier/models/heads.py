"""What stands on a pooled vector and gives logits."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class LinearHead(nn.Module):
    """Dropout and one linear layer.

    Args:
        width: Size of the pooled vector.
        num_outputs: Number of logits.
        dropout: Drop rate on the pooled vector.
        seed: Seed of the fresh weights (normal, standard deviation 0.02, bias zero), so that the first loss is near ln C.
        normalize: Whether the vector is scaled to length one first, as sentence encoders are used.

    Example:
        >>> LinearHead(4, 3, dropout=0.0, seed=0)(torch.ones(2, 4)).shape
        torch.Size([2, 3])
    """

    def __init__(self, width: int, num_outputs: int, *, dropout: float, seed: int, normalize: bool = False) -> None:
        super().__init__()
        self.normalize = normalize
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, num_outputs)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.linear.weight.normal_(std=0.02, generator=generator)
            self.linear.bias.zero_()

    def forward(self, pooled: Float[Tensor, "B D"]) -> Float[Tensor, "B C"]:
        """Logits."""
        pooled = pooled.float()
        if self.normalize:
            pooled = nn.functional.normalize(pooled, dim=-1)
        return self.linear(self.dropout(pooled))  # type: ignore[no-any-return]

    def settings(self) -> dict[str, object]:
        """What is needed to build it again."""
        return {
            "kind": "linear",
            "width": self.linear.in_features,
            "num_outputs": self.linear.out_features,
            "dropout": self.dropout.p,
            "normalize": self.normalize,
        }
