"""Who comes into a batch with whom: a query with a document that belongs to it, and perhaps some that only look so.

The targets of a batch are a matrix [M, A] over its M units, of which the first A are the anchors: in the row of each other unit
stands, for every anchor, whether it is the one to be found (`SOUGHT`), one of the others (`OTHER`), or one that must not count
because it belongs to that anchor, too (`IGNORED`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, Int

from luthier.core.seeding import generator_for

SOUGHT, OTHER, IGNORED = 1, 0, -100
Units = Int[np.ndarray, " n"]
MOST_TURNS = 10  # a query with more documents than that is not drawn more often in an epoch
NOBODY = np.empty(0, dtype=np.int64)


def twins_of(keys: np.ndarray) -> Units:
    """A number for each unit that units of the same content share.

    Example:
        >>> twins_of(np.array([b"x", b"a", b"x"])).tolist()
        [1, 0, 1]
    """
    return np.unique(keys, return_inverse=True)[1].reshape(-1).astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Queries whose documents are known by name.

    Attributes:
        positives: Unit of a query -> units of the documents that belong to it.
        negatives: Unit of a query -> units of documents that look as if they did.
        twins: As `twins_of` gives them.
        num_negatives: How many of them come into a batch with a query.
        anchors: Queries that batches are drawn from; the same one several times, where it has several documents.

    Example:
        >>> judged = Judged(positives={0: np.array([2])}, negatives={0: np.array([3])}, twins=np.arange(4))
        >>> units, targets = judged.among(np.array([0, 1])).around(np.array([0]), seed=0)
        >>> units.tolist(), targets.tolist()
        ([0, 2, 3], [[-100], [1], [0]])
    """

    positives: Mapping[int, Units]
    negatives: Mapping[int, Units] = field(default_factory=dict)
    twins: Units
    num_negatives: int = 1
    anchors: Units = field(default_factory=lambda: NOBODY)

    def among(self, units: Units) -> "Judged":
        """With those of some units as anchors that have a document: as often as they have documents, so that an epoch sees
        about all of these, and no query more than `MOST_TURNS` times."""
        turns = np.array([min(len(self._sought(item)), MOST_TURNS) for item in units.tolist()], dtype=np.int64)
        return replace(self, anchors=np.repeat(units, turns))

    def _sought(self, unit: int) -> Units:
        return self.positives.get(unit, NOBODY)

    def lengths(self, anchors: Units, lengths: Units) -> Units:
        """Of the longest document that belongs to each query, or of the query."""
        return np.array([max(lengths[item], lengths[self._sought(item)].max()) for item in anchors.tolist()], dtype=np.int64)

    def around(self, anchors: Units, *, seed: int) -> tuple[Units, Int[np.ndarray, "M A"]]:
        """Each query with one document of its own, and with `num_negatives` of those that look so, where it has any."""
        generator = generator_for(seed, "companions")
        sought = [int(generator.choice(self._sought(item))) for item in anchors.tolist()]
        others = [item for anchor in anchors.tolist() for item in self._some_negatives(anchor, generator)]
        units = np.array([*anchors.tolist(), *sought, *others], dtype=np.int64)
        belongs = [np.isin(self.twins[units], self.twins[self._sought(item)]) for item in anchors.tolist()]
        return units, targets_of(np.array(belongs))

    def _some_negatives(self, anchor: int, generator: np.random.Generator) -> list[int]:
        negatives = self.negatives.get(anchor, NOBODY)
        number = min(self.num_negatives, len(negatives))
        return [int(item) for item in generator.choice(negatives, number, replace=False)] if number else []


@dataclass(frozen=True, kw_only=True)
class SameLabel:
    """Texts with labels: those of one label belong together.

    Attributes:
        codes: The label of each unit; -1 where it is not known.
        twins: As `twins_of` gives them.
        anchors: Texts that batches are drawn from.
        pool: Label -> those of them that have it, of each content one.
    """

    codes: Units
    twins: Units
    anchors: Units = field(default_factory=lambda: NOBODY)
    pool: Mapping[int, Units] = field(default_factory=dict)

    def among(self, units: Units) -> "SameLabel":
        """With those of some units as anchors whose label another of these has, too."""
        units = np.sort(units[self.codes[units] >= 0])
        distinct = units[np.unique(self.twins[units], return_index=True)[1]]
        pool = {int(code): distinct[self.codes[distinct] == code] for code in np.unique(self.codes[distinct])}
        anchors = np.array([item for item in units.tolist() if len(pool[int(self.codes[item])]) > 1], dtype=np.int64)
        return replace(self, anchors=anchors, pool=pool)

    def lengths(self, anchors: Units, lengths: Units) -> Units:
        """Their own: companions are texts like them."""
        return np.asarray(lengths[anchors])

    def around(self, anchors: Units, *, seed: int) -> tuple[Units, Int[np.ndarray, "M A"]]:
        """Each text with another of its label; texts of one label count as nobody's negatives among each other."""
        generator = generator_for(seed, "companions")
        units = np.concatenate([anchors, [self._partner(item, generator) for item in anchors.tolist()]]).astype(np.int64)
        return units, targets_of(self.codes[anchors][:, None] == self.codes[units][None, :])

    def _partner(self, anchor: int, generator: np.random.Generator) -> int:
        others = self.pool[int(self.codes[anchor])]
        return int(generator.choice(others[self.twins[others] != self.twins[anchor]]))


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Pairs of texts with a score: the two texts of a pair come together, the first ones of a batch before the second ones.

    Attributes:
        scores: Of each unit, that of its pair; NaN where it is not known. Units of a pair stand side by side.
        anchors: First texts of pairs.
    """

    scores: Float[np.ndarray, " U"]
    anchors: Units = field(default_factory=lambda: NOBODY)

    def among(self, units: Units) -> "Scored":
        """With the pairs that some units are of, and whose score is known."""
        return replace(self, anchors=units[(units % 2 == 0) & np.isfinite(self.scores[units])])

    def lengths(self, anchors: Units, lengths: Units) -> Units:
        """Of the longer text of each pair."""
        return np.asarray(np.maximum(lengths[anchors], lengths[anchors + 1]))

    def around(self, anchors: Units, *, seed: int) -> tuple[Units, Float[np.ndarray, "M 1"]]:
        """Both texts of each pair."""
        units = np.concatenate([anchors, anchors + 1])
        return units, self.scores[units][:, None].astype(np.float32)


def targets_of(belongs: Sequence[np.ndarray] | np.ndarray) -> Int[np.ndarray, "M A"]:
    """The targets of a batch.

    Args:
        belongs: [A, M], whether each unit of the batch belongs to each anchor; the unit sought by anchor a is unit A + a.

    Example:
        >>> targets_of(np.array([[True, False, True, True], [False, True, False, True]])).tolist()
        [[-100, -100], [-100, -100], [1, 0], [-100, 1]]
    """
    belongs = np.asarray(belongs, dtype=bool)
    number = len(belongs)
    targets = np.where(belongs.T, IGNORED, OTHER)
    targets[:number] = IGNORED
    targets[number + np.arange(number), np.arange(number)] = SOUGHT
    return targets.astype(np.int64)
