"""A head that gives vectors: what the backbone pools, turned a little, and of length one."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

GAIN = 0.1  # of what the layer has learnt: at the rates of other heads each step turns vectors by little


class ProjectionHead(nn.Module):
    """The pooled vector plus what one linear layer makes of it, scaled to length one.

    The layer begins at zero, so that vectors are at first those of the pre-trained model, and decay of its weights leads back
    to them. Alone, on stored vectors, it is the cheapest way to fit an embedding model to its data.

    Args:
        width: Size of the vectors.

    Example:
        >>> ProjectionHead(2)(torch.tensor([[3.0, 4.0]])).tolist()
        [[0.6000000238418579, 0.800000011920929]]
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.linear.weight)

    def forward(self, pooled: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """Vectors of length one."""
        pooled = pooled.to(self.linear.weight.dtype)
        return nn.functional.normalize(pooled + GAIN * self.linear(pooled), dim=-1)

    def settings(self) -> dict[str, object]:
        """What is needed to build it again."""
        return {"kind": "projection", "width": self.linear.in_features}

    def matrix(self) -> Float[Tensor, "D D"]:
        """The whole projection as one matrix, for those who multiply by it: `vector @ matrix.T`."""
        weight = self.linear.weight.detach().float()
        return torch.eye(weight.shape[0], device=weight.device) + GAIN * weight
