"""Several labels per example: scores by label, how many labels are given, how often the whole set is right."""

from dataclasses import asdict

import numpy as np

from luthier.evaluation.details.details import Details
from luthier.evaluation.label_sets import label_matrix
from luthier.evaluation.per_class import class_scores
from luthier.evaluation.records import Predictions


def details_of_labels(predictions: Predictions) -> Details:
    """Scores by label, and counts of labels per example."""
    true, given = (label_matrix(predictions, column) for column in ("target", "prediction"))
    counts = {
        "examples_without_label": int((true.sum(axis=1) == 0).sum()),
        "answers_without_label": int((given.sum(axis=1) == 0).sum()),
        "mean_labels": float(true.sum(axis=1).mean()),
        "mean_labels_given": float(given.sum(axis=1).mean()),
        "labels_right": int(np.minimum(true, given)[:, :-1].sum()),
        "labels_missed": int(np.maximum(true - given, 0).sum()),
        "labels_wrong": int(np.maximum(given - true, 0).sum()),
    }
    return Details(per_class=[asdict(item) for item in class_scores(predictions)], more={"counts": counts})
