"""Named pieces of texts: scores by name, and what becomes of the pieces that were to be found."""

from dataclasses import asdict

from luthier.evaluation.details.details import Details
from luthier.evaluation.measures.spans import label_scores, pieces_of
from luthier.evaluation.records import Predictions


def details_of_slots(predictions: Predictions) -> Details:
    """Scores by name; pieces found, found with another extent, found elsewhere, missed; and names given in vain."""
    counts = dict.fromkeys(("right", "other_extent", "elsewhere", "missed", "made_up"), 0)
    columns = (predictions.table[name].to_pylist() for name in ("target", "prediction"))
    for target, answer in zip(*columns, strict=True):
        given = {label: (start, end) for label, start, end in pieces_of(answer)}
        for label, start, end in pieces_of(target):
            found = given.pop(label, None)
            if found is None:
                counts["missed"] += 1
            elif found == (start, end):
                counts["right"] += 1
            else:
                counts["other_extent" if found[0] < end and start < found[1] else "elsewhere"] += 1
        counts["made_up"] += len(given)
    return Details(per_class=[asdict(item) for item in label_scores(predictions)], more={"slots": counts})
