"""What a card shows of the tuned model beside its scores, by the kind of answer; of kinds that are not listed, nothing more."""

from collections.abc import Callable

from luthier.core.family import Family
from luthier.evaluation.details.details import Details
from luthier.evaluation.records import Predictions

DETAILS: Family[Callable[[Predictions], Details]] = Family(
    "kind of answer",
    {
        "label": "luthier.evaluation.details.label:details_of_label",
        "labels": "luthier.evaluation.details.labels:details_of_labels",
        "entities": "luthier.evaluation.details.entities:details_of_entities",
        "tags": "luthier.evaluation.details.entities:details_of_tags",
        "answer": "luthier.evaluation.details.answer:details_of_answers",
        "slots": "luthier.evaluation.details.slots:details_of_slots",
        "relevance": "luthier.evaluation.details.relevance:details_of_rankings",
        "boxes": "luthier.evaluation.details.boxes:details_of_boxes",
        "number": "luthier.evaluation.details.number:details_of_number",
    },
)


def details_of(predictions: Predictions) -> Details:
    """The details of one model's answers; empty for kinds of answers without any."""
    return DETAILS[predictions.answer_kind](predictions) if predictions.answer_kind in DETAILS else Details()
