"""Answers that are pieces of a text: how many are right, partly right, or given where there is none."""

from luthier.evaluation.details.details import Details
from luthier.evaluation.measures.answer_text import ANSWERS, best_agreement, token_f1
from luthier.evaluation.records import Predictions


def details_of_answers(predictions: Predictions) -> Details:
    """Every question is counted once."""
    counts = dict.fromkeys(("right", "partly_right", "elsewhere", "withheld", "made_up"), 0)
    said = predictions.table["prediction"].to_pylist()
    for answer, accepted in zip(said, predictions.table[ANSWERS].to_pylist(), strict=True):
        score = best_agreement(token_f1, answer, accepted)
        if score == 1:
            counts["right"] += 1
        elif not accepted:
            counts["made_up"] += 1
        elif not answer:
            counts["withheld"] += 1
        else:
            counts["partly_right" if score else "elsewhere"] += 1
    return Details(more={"questions": counts})
