"""Measures of sequences of tags: entities found, whole and of the right type, and the share of words that are tagged right.

Precision, recall and F1 are micro-averages over all entities, as seqeval gives them by default: an entity counts if its type,
its first and its last word are right. With no entity among targets and predictions they are 0.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from jaxtyping import Float

from luthier.evaluation.entities import EntityPair, flat_tags, pair_entities
from luthier.evaluation.per_class import ClassScore
from luthier.evaluation.records import Direction, Predictions


@dataclass(frozen=True, kw_only=True)
class EntityMeasure:
    """A score of summed counts: entities found, predicted, to be found."""

    name: str
    of_counts: Callable[[Float[np.ndarray, "*S"], Float[np.ndarray, "*S"], Float[np.ndarray, "*S"]], Float[np.ndarray, "*S"]]
    direction: Direction = "higher"

    def stats(self, predictions: Predictions) -> Float[np.ndarray, "N 3"]:
        """Of each sentence: entities found, predicted, to be found."""
        return entity_counts(pair_entities(predictions))

    def value(self, summed: Float[np.ndarray, "*S 3"]) -> Float[np.ndarray, "*S"]:
        """The score of summed counts."""
        return self.of_counts(summed[..., 0], summed[..., 1], summed[..., 2])


@dataclass(frozen=True, kw_only=True)
class TokenAccuracy:
    """The share of words whose tag is right; entities or not, every word counts alike."""

    name: str = "token_accuracy"
    direction: Direction = "higher"

    def stats(self, predictions: Predictions) -> Float[np.ndarray, "N 2"]:
        """Of each sentence: words tagged right, words."""
        targets, offsets = flat_tags(predictions, "target")
        answers, _ = flat_tags(predictions, "prediction")
        right = np.concatenate([[0], np.cumsum(pc.equal(targets, answers).fill_null(False).to_numpy(zero_copy_only=False))])
        return np.stack([np.diff(right[offsets]), np.diff(offsets)], axis=1).astype(np.float64)

    def value(self, summed: Float[np.ndarray, "*S 2"]) -> Float[np.ndarray, "*S"]:
        """Right ones over all."""
        return np.asarray(summed[..., 0] / np.maximum(summed[..., 1], 1))


def entity_counts(pair: EntityPair) -> Float[np.ndarray, "N 3"]:
    """Of each sentence: entities found, predicted, to be found."""
    found = [pair.predicted.sentence[pair.is_right], pair.predicted.sentence, pair.actual.sentence]
    return np.stack([np.bincount(places, minlength=pair.num_sentences) for places in found], axis=1).astype(np.float64)


def type_scores(predictions: Predictions) -> list[ClassScore]:
    """Precision, recall and F1 of each type of entity, sorted by name; `support` counts the entities to be found."""
    pair = pair_entities(predictions)
    right = np.bincount(pair.predicted.kind[pair.is_right], minlength=len(pair.kinds))
    predicted = np.bincount(pair.predicted.kind, minlength=len(pair.kinds))
    actual = np.bincount(pair.actual.kind, minlength=len(pair.kinds))
    return [
        ClassScore(
            label=name,
            precision=float(right[place] / max(predicted[place], 1)),
            recall=float(right[place] / max(actual[place], 1)),
            f1=float(2 * right[place] / max(predicted[place] + actual[place], 1)),
            support=int(actual[place]),
            predicted=int(predicted[place]),
        )
        for place, name in enumerate(pair.kinds)
    ]


def tag_scores(predictions: Predictions) -> list[ClassScore]:
    """Precision, recall and F1 of each tag, sorted by name, for tags that are no entity tags; `support` counts words."""
    targets, answers = (flat_tags(predictions, column)[0].to_numpy(zero_copy_only=False) for column in ("target", "prediction"))
    return [_tag_score(str(tag), targets == tag, answers == tag) for tag in np.unique(np.concatenate([targets, answers]))]


def _tag_score(tag: str, actual: np.ndarray, predicted: np.ndarray) -> ClassScore:
    right, said, held = int((actual & predicted).sum()), int(predicted.sum()), int(actual.sum())
    scores = {"precision": right / max(said, 1), "recall": right / max(held, 1), "f1": 2 * right / max(said + held, 1)}
    return ClassScore(label=tag, support=held, predicted=said, **scores)


def _ratio(top: Float[np.ndarray, "*S"], bottom: Float[np.ndarray, "*S"]) -> Float[np.ndarray, "*S"]:
    return np.asarray(np.divide(top, bottom, out=np.zeros(np.shape(bottom)), where=np.asarray(bottom) > 0))


ENTITY_F1 = EntityMeasure(name="entity_f1", of_counts=lambda right, said, held: _ratio(2 * right, said + held))
ENTITY_PRECISION = EntityMeasure(name="entity_precision", of_counts=lambda right, said, held: _ratio(right, said))
ENTITY_RECALL = EntityMeasure(name="entity_recall", of_counts=lambda right, said, held: _ratio(right, held))
TOKEN_ACCURACY = TokenAccuracy()
