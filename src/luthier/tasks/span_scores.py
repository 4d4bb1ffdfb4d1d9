"""From scores of starts and ends to pieces of a text: the loss, the best pieces of each window, the best of a row's windows.

What is kept of a window are, for each label, the probability that it is nowhere, and the `best` most probable pieces:
probability, first and last (exclusive) character. The probability of a piece is that of its start times that of its end; both
are shared out over all places of the window and "nowhere", so that windows can be compared.
"""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from luthier.tasks.inputs import EMPTY
from luthier.tasks.protocol import LossSum
from luthier.tasks.span_inputs import COLUMNS, SpanInputs

if TYPE_CHECKING:
    from torch import Tensor


def span_loss(outputs: "Tensor", targets: "Tensor") -> LossSum:
    """Mean cross-entropy of starts and ends over the labels, weighted by window; question and padding are no places.

    Args:
        outputs: Scores [B, P, 2 labels].
        targets: As `span_targets` makes them.
    """
    import torch

    places = torch.arange(outputs.shape[1], device=outputs.device)
    is_open = (places >= targets[:, 1:2]) & (places < targets[:, 2:3])
    is_open[:, 0] = True
    logs = outputs.float().masked_fill(~is_open[..., None], -torch.inf).log_softmax(1)
    right = logs.gather(1, targets[:, None, COLUMNS:].long())[:, 0]
    weights = targets[:, 0].float()
    return LossSum(sum=-(right.mean(1) * weights).sum(), weight=float(weights.double().sum()))


def best_spans(
    outputs: Float[np.ndarray, "B P L2"], inputs: SpanInputs, units: Int[np.ndarray, " B"]
) -> Float[np.ndarray, "B K"]:
    """What is kept of each window, label by label: K = labels x (1 + 3 `best`)."""
    num_labels = outputs.shape[2] // 2
    kept = np.full((len(units), num_labels, 1 + 3 * inputs.best), EMPTY, dtype=np.float32)
    for row, unit in enumerate(units):
        begin, end = int(inputs.begin[unit]), int(inputs.end[unit])
        scores = np.concatenate([outputs[row, :1], outputs[row, begin:end]]).astype(np.float64)
        probs = np.exp(scores - scores.max(axis=0))
        probs /= probs.sum(axis=0)
        kept[row, :, 0] = probs[0, 0::2] * probs[0, 1::2]
        if end > begin:
            _keep_best(kept[row], probs[1:], inputs.characters_of(int(unit)), longest=inputs.longest)
    return kept.reshape(len(units), -1)


def _keep_best(
    kept: Float[np.ndarray, "S k"], probs: Float[np.ndarray, "n S2"], characters: Int[np.ndarray, "n 2"], *, longest: int
) -> None:
    """Write the most probable pieces of one window: they end behind their start, and are no longer than answers are."""
    sizes = characters[None, :, 1] - characters[:, None, 0]
    allowed = (sizes > 0) & (sizes <= longest) & np.triu(np.ones(sizes.shape, dtype=bool))
    number = (kept.shape[1] - 1) // 3
    for label in range(len(kept)):
        joint = np.where(allowed, probs[:, None, 2 * label] * probs[None, :, 2 * label + 1], EMPTY).ravel()
        few = min(number, len(joint))
        places = np.argpartition(-joint, few - 1)[:few] if few > 1 else np.array([joint.argmax()])
        places = places[joint[places] >= 0]
        for rank, place in enumerate(places[np.argsort(-joint[places], kind="stable")]):
            start, end = divmod(int(place), len(characters))
            kept[label, 1 + 3 * rank : 4 + 3 * rank] = joint[place], characters[start, 0], characters[end, 1]


def merge_spans(
    decoded: Float[np.ndarray, "U K"], row_of: Int[np.ndarray, " U"], *, num_labels: int
) -> Float[np.ndarray, "N K"]:
    """The best pieces of all windows of each row; "nowhere" is as probable as in the window where it is least so."""
    rows, first, counts = np.unique(row_of, return_index=True, return_counts=True)
    order = np.argsort(first, kind="stable")
    merged = np.array(decoded[first[order]])
    for place in np.flatnonzero(counts[order] > 1):
        windows = decoded[row_of == rows[order[place]]].reshape(-1, num_labels, decoded.shape[1] // num_labels)
        merged[place] = np.concatenate([_merged(windows[:, label]) for label in range(num_labels)])
    return merged


def _merged(windows: Float[np.ndarray, "W k"]) -> Float[np.ndarray, " k"]:
    """One label of one row."""
    result = np.full(windows.shape[1], EMPTY, dtype=windows.dtype)
    result[0] = windows[:, 0].min()
    found = windows[:, 1:].reshape(-1, 3)
    found = found[found[:, 0] >= 0]
    found = found[np.argsort(-found[:, 0], kind="stable")]
    _, new = np.unique(found[:, 1:], axis=0, return_index=True)  # a piece that two windows hold counts once
    found = found[np.sort(new)][: (len(result) - 1) // 3]
    result[1 : 1 + found.size] = found.ravel()
    return result
