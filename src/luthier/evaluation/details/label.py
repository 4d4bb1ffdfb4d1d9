"""One label per example: scores by label, and which labels are taken for which."""

from dataclasses import asdict

from luthier.evaluation.details.details import Details
from luthier.evaluation.per_class import class_scores, confusion_matrix
from luthier.evaluation.records import Predictions


def details_of_label(predictions: Predictions) -> Details:
    """Scores by label, and the confusion matrix."""
    return Details(
        per_class=[asdict(item) for item in class_scores(predictions)], confusion=confusion_matrix(predictions).tolist()
    )
