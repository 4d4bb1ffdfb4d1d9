"""Boxes: average precision by label, and what the answers that users see find at half an overlap; curves to draw."""

import numpy as np

from luthier.evaluation.boxes import THRESHOLDS, MatchedLabel, match_labels
from luthier.evaluation.details.details import Details
from luthier.evaluation.measures.boxes import RECALLS, precisions
from luthier.evaluation.records import Predictions

HALF = 0  # the place of 0.5 among the thresholds
DRAWN = 5  # every fifth of the 101 recalls is drawn


def details_of_boxes(predictions: Predictions) -> Details:
    """Precision, recall and F1 of the answers shown, at an overlap of 0.5; of all answers the average precision and a curve."""
    least = float(predictions.table["shown_score"][0].as_py()) if predictions.table.num_rows else 0.0
    matched = match_labels(predictions)
    once = np.ones(predictions.table.num_rows)
    boxes = []
    for label in matched:
        curve = precisions(label, once)
        boxes.append(
            {
                "label": label.label,
                "ap": float(curve.mean()),
                "ap50": float(curve[HALF].mean()),
                "to_find": int(label.to_find.sum()),
                "curve": [round(float(value), 4) for value in curve[HALF][::DRAWN]],
            }
        )
    more = {
        "boxes": boxes,
        "recalls": [float(value) for value in RECALLS[::DRAWN]],
        "mean_overlap_thresholds": [float(THRESHOLDS[0]), float(THRESHOLDS[-1])],
        "shown_score": least,
    }
    return Details(per_class=[_shown_scores(label, least) for label in matched], more=more)


def _shown_scores(matched: MatchedLabel, least: float) -> dict[str, object]:
    shown = matched.score >= least
    right = int(matched.right[HALF, shown].sum())
    given, to_find = int(matched.counts[HALF, shown].sum()), int(matched.to_find.sum())
    return {
        "label": matched.label,
        "precision": right / given if given else 0.0,
        "recall": right / to_find,
        "f1": 2 * right / (given + to_find),
        "support": to_find,
        "predicted": given,
    }
