"""How one vector is made of the many that a network gives: by a fixed rule, or by attention that a head learns."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from luthier.errors import ModelError
from luthier.models.layout import Pooling


def pool_states(hidden: Float[Tensor, "B ..."], mask: Bool[Tensor, "B T"] | None, pooling: Pooling) -> Float[Tensor, "B D"]:
    """One vector for each example.

    Args:
        hidden: Hidden states [B, T, D], or feature maps [B, D, H, W].
        mask: Which of T are real; None if all are.
        pooling: The rule; `model` means `mean` here, where the network has no output of its own for it.

    Raises:
        ModelError: maps, which have no order, were to be pooled by it.

    Example:
        >>> hidden = torch.tensor([[[1.0], [5.0], [9.0]]])
        >>> mask = torch.tensor([[True, True, False]])
        >>> [pool_states(hidden, mask, rule).item() for rule in ("mean", "first", "last", "max")]
        [3.0, 1.0, 5.0, 5.0]
    """
    if hidden.ndim == 4:
        if pooling in ("first", "last"):
            raise ModelError(f"The model gives maps, in which no place is the {pooling}.", remedy="--head-pooling mean")
        return hidden.amax((2, 3)) if pooling == "max" else hidden.mean((2, 3))
    if pooling == "first":
        return hidden[:, 0]
    if pooling == "max":
        return (hidden if mask is None else hidden.masked_fill(~mask[..., None], -torch.inf)).amax(1)
    if mask is None:
        return hidden[:, -1] if pooling == "last" else hidden.mean(1)
    if pooling == "last":
        return hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(1) - 1]
    weights = mask.to(hidden.dtype)
    return torch.einsum("btd,bt->bd", hidden, weights) / weights.sum(1, keepdim=True).clamp(min=1)


class AttentionPooling(nn.Module):
    """One vector of many: their mean, weighted by how well each fits a learned query. It starts as the plain mean.

    Args:
        width: Size of the hidden states.

    Example:
        >>> pooling = AttentionPooling(2)
        >>> hidden = torch.tensor([[[1.0, 0.0], [3.0, 0.0], [9.0, 9.0]]])
        >>> pooling(hidden, torch.tensor([[True, True, False]])).tolist()
        [[2.0, 0.0]]
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(width))

    def forward(self, hidden: Float[Tensor, "B ..."], mask: Bool[Tensor, "B T"] | None) -> Float[Tensor, "B D"]:
        """The vector of each example; of maps [B, D, H, W] every place is one of the many."""
        states = (hidden.flatten(2).transpose(1, 2) if hidden.ndim == 4 else hidden).float()
        scores = states @ self.query / states.shape[-1] ** 0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        return torch.einsum("bt,btd->bd", scores.softmax(1), states)
