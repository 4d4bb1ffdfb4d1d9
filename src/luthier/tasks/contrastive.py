"""Losses of vectors that are compared with each other in a batch. Torch is imported when they are called.

Source: Henderson et al. 2017, "Efficient natural language response suggestion for smart reply" (the other examples of a batch
as negatives); Su 2022, "CoSENT" (scored pairs, by the order of their scores).
"""

from typing import TYPE_CHECKING

from luthier.tasks.companions import IGNORED, SOUGHT
from luthier.tasks.protocol import LossSum

if TYPE_CHECKING:
    from torch import Tensor

SCALE = 20.0  # of cosines: the inverse of the temperature 0.05


def ranking_loss(vectors: "Tensor", targets: "Tensor", *, scale: float = SCALE) -> LossSum:
    """Cross-entropy of finding the unit sought among all others of the batch (multiple negatives ranking).

    Args:
        vectors: [M, D] of length one, the anchors first.
        targets: [M, A], see `companions`.
    """
    import torch
    from torch.nn.functional import cross_entropy

    number = targets.shape[1]
    scores = scale * vectors[:number] @ vectors[number:].T
    held = targets[number:].T
    scores = scores.masked_fill(held == IGNORED, -torch.inf)
    sought = (held == SOUGHT).int().argmax(dim=1)
    return LossSum(sum=cross_entropy(scores, sought, reduction="sum"), weight=float(number))


def order_loss(vectors: "Tensor", targets: "Tensor", *, scale: float = SCALE) -> LossSum:
    """log(1 + sum of exp(scale (cosine of a pair - cosine of a pair with a higher score))), over all such pairs of pairs.

    Args:
        vectors: [2 P, D] of length one, the first texts of all pairs before the second ones.
        targets: [2 P, 1], the score of each text's pair.
    """
    import torch

    half = len(vectors) // 2
    cosines, scores = scale * (vectors[:half] * vectors[half:]).sum(dim=1), targets[:half, 0]
    excess = cosines[None, :] - cosines[:, None]  # [i, j]: how much nearer pair j is than pair i
    excess = excess[scores[:, None] > scores[None, :]]
    return LossSum(sum=torch.logsumexp(torch.cat([excess.new_zeros(1), excess]), dim=0), weight=1.0)
