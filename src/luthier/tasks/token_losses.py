"""How well networks with their own head tell the tokens of answers; torch is imported where it is used."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from luthier.tasks.protocol import LossSum
from luthier.tasks.word_inputs import IGNORED

if TYPE_CHECKING:
    from torch import Tensor

PLACES_AT_ONCE = 1_024


def token_loss(outputs: "Tensor", targets: "Tensor", *, label_smoothing: float = 0.0) -> LossSum:
    """Cross-entropy of the next token, summed over the places that count, whatever more places the targets have.

    Only logits of these places become float32: of a long prompt none do.

    Args:
        label_smoothing: Probability mass spread over all tokens, in training; what is measured has none.
    """
    from torch.nn.functional import cross_entropy

    targets = targets[:, : outputs.shape[1]]
    counted = targets != IGNORED
    total = cross_entropy(outputs[counted].float(), targets[counted], reduction="sum", label_smoothing=label_smoothing)
    return LossSum(sum=total, weight=float(counted.sum()))


def told(outputs: Float[np.ndarray, "B T V"], targets: Int[np.ndarray, "B L"]) -> Float[np.ndarray, "B 2"]:
    """Of each row the loss of its targets, summed, and how many they are."""
    targets = targets[:, : outputs.shape[1]]
    rows, places = np.nonzero(targets != IGNORED)
    sums = np.zeros(len(outputs))
    for start in range(0, len(rows), PLACES_AT_ONCE):
        row, place = rows[start : start + PLACES_AT_ONCE], places[start : start + PLACES_AT_ONCE]
        logits = outputs[row, place].astype(np.float64)
        most = logits.max(axis=1)
        spread = most + np.log(np.exp(logits - most[:, None]).sum(axis=1))
        sums += np.bincount(row, weights=spread - logits[np.arange(len(row)), targets[row, place]], minlength=len(outputs))
    return np.stack([sums, np.bincount(rows, minlength=len(outputs))], axis=1).astype(np.float32)
