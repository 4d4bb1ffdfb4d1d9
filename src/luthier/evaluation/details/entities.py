"""Tags of words: scores by type of entity, or by tag, and what becomes of the entities that were to be found."""

from dataclasses import asdict

import numpy as np

from luthier.evaluation.details.details import Details
from luthier.evaluation.entities import EntityPair, pair_entities
from luthier.evaluation.measures.entities import tag_scores, type_scores
from luthier.evaluation.records import Predictions


def details_of_entities(predictions: Predictions) -> Details:
    """Scores by type; how many entities were found, found with another extent or type, missed, or made up."""
    scores = [asdict(item) for item in type_scores(predictions)]
    return Details(per_class=scores, more={"entities": outcomes(pair_entities(predictions))})


def details_of_tags(predictions: Predictions) -> Details:
    """Scores by tag."""
    return Details(per_class=[asdict(item) for item in tag_scores(predictions)])


def outcomes(pair: EntityPair) -> dict[str, int]:
    """What becomes of the entities to be found, and of those predicted; each is counted once in its row.

    `other_type` has the same words, `other_extent` shares a word with a predicted entity of its type, `other_both` shares a
    word with one of another type, `missed` shares none. `made_up` are predicted entities that touch no entity to be found.
    """
    actual, predicted = pair.actual, pair.predicted
    right = set(zip(predicted.start[pair.is_right].tolist(), predicted.end[pair.is_right].tolist(), strict=True))
    counts = dict.fromkeys(("right", "other_type", "other_extent", "other_both", "missed", "made_up"), 0)
    for start, end, kind in zip(actual.start.tolist(), actual.end.tolist(), actual.kind.tolist(), strict=True):
        near = _touching(predicted.start, predicted.end, start, end)
        if (start, end) in right:
            counts["right"] += 1
        elif ((predicted.start[near] == start) & (predicted.end[near] == end)).any():
            counts["other_type"] += 1
        elif (predicted.kind[near] == kind).any():
            counts["other_extent"] += 1
        else:
            counts["other_both" if near.stop > near.start else "missed"] += 1
    for start, end in zip(predicted.start.tolist(), predicted.end.tolist(), strict=True):
        near = _touching(actual.start, actual.end, start, end)
        counts["made_up"] += near.stop <= near.start
    return counts


def _touching(starts: np.ndarray, ends: np.ndarray, start: int, end: int) -> slice:
    """The entities that share a word with one; entities of one row of tags do not overlap, so they stand together."""
    return slice(int(np.searchsorted(ends, start, side="left")), int(np.searchsorted(starts, end, side="right")))
