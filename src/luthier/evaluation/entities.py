"""Entities written as tags of words, found in many sentences at once: by the rules of conlleval, as seqeval has them.

An entity is a type and the words from its first to its last. Where tags are not well formed, an `I-` after `O` or after another
type begins an entity (seqeval's default; its `strict` mode would not count it).

Source: Tjong Kim Sang & Buchholz, Introduction to the CoNLL-2000 shared task, 2000 (conlleval); Nakayama, seqeval, 2018.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int

from luthier.errors import DataError
from luthier.evaluation.records import Predictions


@dataclass(frozen=True, kw_only=True)
class Entities:
    """Entities of all sentences, in their order.

    Attributes:
        sentence: Of each entity the sentence it is in.
        start: Its first word, counted through all sentences.
        end: Its last word.
        kind: Its type, as a place in `kinds`.
    """

    sentence: Int[np.ndarray, " E"]
    start: Int[np.ndarray, " E"]
    end: Int[np.ndarray, " E"]
    kind: Int[np.ndarray, " E"]

    def codes(self, *, words: int, kinds: int) -> Int[np.ndarray, " E"]:
        """One number for each entity; equal entities have equal numbers."""
        return np.asarray((self.start * words + self.end) * kinds + self.kind)


@dataclass(frozen=True, kw_only=True)
class EntityPair:
    """What was to be found, and what was.

    Attributes:
        kinds: The types that occur in either, sorted.
        actual: The entities of the targets.
        predicted: Those of the predictions.
        is_right: Which of the predicted are actual ones.
        num_sentences: How many sentences there are.
    """

    kinds: tuple[str, ...]
    actual: Entities
    predicted: Entities
    is_right: Bool[np.ndarray, " E"]
    num_sentences: int


def pair_entities(predictions: Predictions) -> EntityPair:
    """The entities of targets and predictions.

    Raises:
        DataError: a prediction has more or fewer tags than its target.

    Example:
        >>> table = pa.table({"target": [["B-A", "I-A", "O"]], "prediction": [["B-A", "I-A", "B-B"]]})
        >>> found = pair_entities(Predictions(table=table))
        >>> found.kinds, found.is_right.tolist(), found.actual.end.tolist()
        (('A', 'B'), [True, False], [1])
    """
    targets, offsets = flat_tags(predictions, "target")
    answers, others = flat_tags(predictions, "prediction")
    if not np.array_equal(offsets, others):
        row = int(np.flatnonzero(np.diff(offsets) != np.diff(others))[0])
        raise DataError(
            f"Row {row} has {np.diff(offsets)[row]} tags to find, and {np.diff(others)[row]} were predicted.",
            remedy="give one tag for each word",
        )
    letters, kinds, names = _read_tags(pa.chunked_array([targets, answers]))
    words, outside = len(targets), names.index("_") if "_" in names else -1
    actual = _entities(letters[:words], kinds[:words], offsets, outside=outside)
    predicted = _entities(letters[words:], kinds[words:], offsets, outside=outside)
    size = {"words": words + 1, "kinds": len(names)}
    return EntityPair(
        kinds=tuple(names),
        actual=actual,
        predicted=predicted,
        is_right=np.isin(predicted.codes(**size), actual.codes(**size)),
        num_sentences=len(offsets) - 1,
    )


def entity_places(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """First word, last word and type of each entity of one sentence.

    Example:
        >>> entity_places(["B-LOC", "I-LOC", "O", "I-PER"])
        [(0, 1, 'LOC'), (3, 3, 'PER')]
    """
    lists = pa.array([list(tags)], pa.list_(pa.string()))
    pair = pair_entities(Predictions(table=pa.table({"target": lists, "prediction": lists})))
    places = zip(pair.actual.start.tolist(), pair.actual.end.tolist(), pair.actual.kind.tolist(), strict=True)
    return [(start, end, pair.kinds[kind]) for start, end, kind in places]


def flat_tags(predictions: Predictions, column: str) -> tuple["pa.Array", Int[np.ndarray, " N1"]]:
    """The tags of all sentences end to end, and where each sentence begins (one more at the end)."""
    lists = predictions.table[column].combine_chunks()
    lists = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    return lists.flatten(), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _read_tags(tags: "pa.ChunkedArray") -> tuple[np.ndarray, Int[np.ndarray, " W"], list[str]]:
    """Of each tag its letter and the place of its type among all types; `O` has the type ''."""
    encoded = tags.cast(pa.string()).combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    written = [value or "O" for value in encoded.dictionary.to_pylist()]
    kinds = [tag[1:].split("-", 1)[-1] or "_" if tag != "O" else "" for tag in written]
    names = sorted(set(kinds) - {""})
    place = {name: number for number, name in enumerate(names)}
    place[""] = place.get("_", -1)  # as in seqeval a tag without a type, `B`, has that of `O`
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    letters = np.array([tag[:1] for tag in written] or ["O"], dtype="<U1")
    return letters[codes], np.array([place[kind] for kind in kinds] or [-1], dtype=np.int64)[codes], names


def _entities(letters: np.ndarray, kinds: Int[np.ndarray, " W"], offsets: Int[np.ndarray, " N1"], *, outside: int) -> Entities:
    """By the rules of conlleval; every sentence begins after an `O` and ends before one."""
    first = np.zeros(len(letters) + 1, dtype=bool)
    first[offsets] = True  # the place behind the last word begins a sentence too
    before, kind_before = np.concatenate([["O"], letters]), np.concatenate([[outside], kinds])
    starts = np.flatnonzero(
        _begins(np.where(first, "O", before)[:-1], letters, (np.where(first, outside, kind_before)[:-1] != kinds))
    )
    here = np.where(first, "O", np.concatenate([letters, ["O"]]))
    kind_here = np.where(first, outside, np.concatenate([kinds, [outside]]))
    ends = np.flatnonzero(_ends(before, here, kind_before != kind_here))
    if not len(starts):
        ends = ends[:0]
    opened = starts[np.maximum(np.searchsorted(starts, ends, side="left") - 1, 0)]
    sentence = np.searchsorted(offsets, opened, side="right") - 1
    return Entities(sentence=sentence, start=opened, end=ends - 1, kind=kinds[ends - 1])


def _begins(before: np.ndarray, here: np.ndarray, differs: Bool[np.ndarray, " W"]) -> Bool[np.ndarray, " W"]:
    goes_on = np.isin(before, ["E", "S", "O"]) & np.isin(here, ["E", "I"])
    return np.asarray(np.isin(here, ["B", "S"]) | goes_on | (~np.isin(here, ["O", "."]) & differs))


def _ends(before: np.ndarray, here: np.ndarray, differs: Bool[np.ndarray, " W1"]) -> Bool[np.ndarray, " W1"]:
    cut = np.isin(before, ["B", "I"]) & np.isin(here, ["B", "S", "O"])
    return np.asarray(np.isin(before, ["E", "S"]) | cut | (~np.isin(before, ["O", "."]) & differs))
