"""The boxes that fit most training pictures, for every picture: what can be found without looking."""

import numpy as np
from jaxtyping import Float

from luthier.data.pictures import picture_size
from luthier.evaluation.boxes import overlaps
from luthier.models.box_outputs import IGNORED_BOX, LABEL, TARGET_BOX
from luthier.tasks.box_answers import COLUMNS, suppress
from luthier.tasks.inputs import EMPTY
from luthier.tasks.protocol import Sample, TaskState

MOST_COMPARED = 1_500  # boxes of a label, evenly spaced
FITS = 0.5


def usual_boxes(train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N L6"]:
    """For each label the boxes of train that overlap one in most other pictures; their scores are the share of those."""
    found = [_usual(train.targets, label) for label in range(len(state.labels))]
    labels = np.concatenate([np.full(len(scores), label) for label, (scores, _) in enumerate(found)])
    scores, boxes = (np.concatenate([pair[place] for pair in found]) for place in (0, 1))
    order = np.argsort(-scores, kind="stable")
    labels, scores, boxes = labels[order], scores[order], boxes[order]
    limit = int(state.values["limit"])
    kept = suppress(boxes, labels, overlap=float(state.values["overlap"]), limit=limit)
    decoded = np.full((len(others), limit, COLUMNS), EMPTY, dtype=np.float32)
    for row, path in enumerate(others.rows):
        scale = np.tile(picture_size(path) or (1, 1), 2)
        decoded[row, : len(kept)] = np.concatenate([labels[kept, None], scores[kept, None], boxes[kept] * scale], axis=1)
    return decoded.reshape(len(others), -1)


def _usual(targets: Float[np.ndarray, "N M 6"], label: int) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n 4"]]:
    """Boxes of one label, and in which share of the pictures a box of that label overlaps each by half."""
    picture, place = np.nonzero((targets[..., LABEL] == label) & (targets[..., IGNORED_BOX] == 0))
    chosen = np.unique(np.linspace(0, len(picture) - 1, min(len(picture), MOST_COMPARED)).astype(np.int64))
    boxes = targets[picture, place][:, TARGET_BOX].astype(np.float64)
    fits = overlaps(boxes[chosen], boxes) >= FITS
    hit = np.zeros((len(chosen), len(targets)), dtype=bool)
    for column, owner in enumerate(picture.tolist()):
        hit[:, owner] |= fits[:, column]
    return hit.mean(axis=1), boxes[chosen]
