"""How well boxes are found: COCO's average precision, at one threshold of overlap or as a mean over ten; over pictures.

Not a sum over pictures: the answers of all of them are ranked together. Which box an answer finds is decided within its
picture, though, so that this is done once; a resample costs some sums over the ranked answers.

Source: Lin et al. 2014, "Microsoft COCO: common objects in context"; faster-coco-eval gives the same numbers (tests).
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int

from luthier.evaluation.boxes import THRESHOLDS, MatchedLabel, match_labels
from luthier.evaluation.records import Direction, Predictions

RECALLS = np.linspace(0.0, 1.0, 101)


class BoxPrecision:
    """Mean over labels and thresholds of the area under the curve of precision over recall, read at 101 recalls.

    Args:
        name: In `MEASURES`.
        thresholds: Overlaps (intersection over union) from which on a box is found.
    """

    direction: Direction = "higher"
    silence = 0.0

    def __init__(self, name: str, thresholds: Sequence[float]) -> None:
        self.name = name
        self.thresholds = np.asarray(thresholds, dtype=np.float64)

    def value_of(self, predictions: Predictions, indices: Int[np.ndarray, " n"]) -> float:
        """The mean for the pictures at `indices`."""
        return self.prepare(predictions)(np.bincount(indices, minlength=predictions.table.num_rows).astype(np.float64))

    def prepare(self, predictions: Predictions) -> Callable[[Float[np.ndarray, " N"]], float]:
        """From how often each picture counts to the mean; 0 where nothing is to be found."""
        labels = match_labels(predictions, self.thresholds)

        def mean(weights: Float[np.ndarray, " N"]) -> float:
            found = [precisions(label, weights).mean() for label in labels if weights @ label.to_find > 0]
            return float(np.mean(found)) if found else 0.0

        return mean


def precisions(matched: MatchedLabel, weights: Float[np.ndarray, " N"]) -> Float[np.ndarray, "T R"]:
    """The best precision at each recall or a higher one, at each threshold; 0 where that recall is not reached.

    Args:
        matched: Of one label.
        weights: How often each picture counts; at least one with a box to be found.
    """
    own = weights[matched.row]
    found, seen = np.cumsum(matched.right * own, axis=1), np.cumsum(matched.counts * own, axis=1)
    precision = found / (seen + np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = found / (weights @ matched.to_find)
    curve = np.zeros((len(recall), len(RECALLS)))
    for level, reached in enumerate(recall):
        places = np.searchsorted(reached, RECALLS, side="left")
        there = places < len(reached)
        curve[level, there] = precision[level, places[there]]
    return curve


BOX_MAP = BoxPrecision("box_map", THRESHOLDS.tolist())
BOX_MAP50 = BoxPrecision("box_map50", [0.5])
BOX_MAP75 = BoxPrecision("box_map75", [0.75])
