"""Model inputs of sentences: token ids, and for each word of each unit the place of its first token."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from luthier.data.words import Words
from luthier.models.text_processor import TextProcessor
from luthier.tasks.inputs import EMPTY, Batch, TokenInputs
from luthier.tasks.tag_paths import best_paths

IGNORED = -100  # a place that counts in no loss


@dataclass(frozen=True, kw_only=True)
class WordInputs:
    """Sentences as token ids, those longer than the model's input in several units.

    A unit has consecutive words of one sentence. What is said about them is one row of numbers [1 + 2 W]: the place of the
    first word in its sentence, W labels, W probabilities; W is the same for all units, shorter ones are filled with `EMPTY`.

    Attributes:
        tokens: The units.
        first_words: Of each unit the place in its sentence of its first word.
        word_offsets: Where the words of each unit begin in `places`; one more at the end.
        places: Of each word of each unit the place in its unit of its first token.
        tags: The labels, where those of neighbouring words must fit together; empty where any may stand beside any.
    """

    tokens: TokenInputs
    first_words: Int[np.ndarray, " U"]
    word_offsets: Int[np.ndarray, " U1"]
    places: Int[np.ndarray, " words"]
    tags: tuple[str, ...] = ()

    @classmethod
    def build(cls, rows: Sequence[Words], processor: TextProcessor, *, tags: Sequence[str] = ()) -> "WordInputs":
        """The inputs of sentences, by a tokenizer that knows where words end."""
        encoded = processor.encode_words([row.words for row in rows])
        tokens = TokenInputs.build(encoded.ids, encoded.offsets, pad_id=processor.pad_id, row_of=encoded.row_of)
        return cls(
            tokens=tokens,
            first_words=encoded.first_words,
            word_offsets=encoded.word_offsets,
            places=encoded.places,
            tags=tuple(tags),
        )

    @property
    def lengths(self) -> Int[np.ndarray, " U"]:
        """Tokens of each unit."""
        return self.tokens.lengths

    @property
    def keys(self) -> np.ndarray:
        """Of each unit."""
        return self.tokens.keys

    @property
    def row_of(self) -> Int[np.ndarray, " U"]:
        """Of each unit."""
        return self.tokens.row_of

    @cached_property
    def num_words(self) -> Int[np.ndarray, " U"]:
        """Words of each unit."""
        return np.diff(self.word_offsets)

    def batch(self, units: Int[np.ndarray, " B"]) -> Batch:
        """As of `TokenInputs`."""
        return self.tokens.batch(units)

    def light_batch(self, units: Int[np.ndarray, " B"]) -> Batch:
        """As of `TokenInputs`."""
        return self.tokens.light_batch(units)

    def words_of(
        self, units: Int[np.ndarray, " B"]
    ) -> tuple[Int[np.ndarray, " w"], Int[np.ndarray, " w"], Int[np.ndarray, " w"]]:
        """Of every word of some units, one after the other: its unit's number among them, its number in the unit, its token."""
        counts = self.num_words[units]
        owner = np.repeat(np.arange(len(units)), counts)
        number = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        return owner, number, self.places[self.word_offsets[units][owner] + number]

    def spread(self, labels: Sequence[Int[np.ndarray, " words"]]) -> Int[np.ndarray, "U T"]:
        """Labels of the words of each sentence as targets of tokens: a word's first token has its label, others `IGNORED`."""
        width = int(self.lengths.max(initial=1))
        targets = np.full((len(self.lengths), width), IGNORED, dtype=np.int64)
        owner, number, place = self.words_of(np.arange(len(self.lengths)))
        starts = np.concatenate([[0], np.cumsum([len(row) for row in labels])]).astype(np.int64)
        of_all = np.concatenate([*labels, np.zeros(0, dtype=np.int64)]).astype(np.int64)
        targets[owner, place] = of_all[starts[self.row_of[owner]] + self.first_words[owner] + number]
        return targets

    def gathered(self, probs: Float[np.ndarray, "B T C"], units: Int[np.ndarray, " B"]) -> Float[np.ndarray, "B K"]:
        """The label of each word and its probability, as a row of numbers for each unit: the best labels that fit together."""
        width = int(self.num_words.max(initial=0))
        owner, number, place = self.words_of(units)
        of_words = probs[owner, place]
        best = self._fitting(of_words, units, owner, number) if self.tags else of_words.argmax(axis=1)
        found = np.full((len(units), 1 + 2 * width), EMPTY, dtype=np.float32)
        found[:, 0] = self.first_words[units]
        found[owner, 1 + number] = best
        found[owner, 1 + width + number] = of_words[np.arange(len(best)), best]
        return found

    def _fitting(
        self,
        of_words: Float[np.ndarray, "w C"],
        units: Int[np.ndarray, " B"],
        owner: Int[np.ndarray, " w"],
        number: Int[np.ndarray, " w"],
    ) -> Int[np.ndarray, " w"]:
        counts = self.num_words[units]
        scores = np.zeros((len(units), int(counts.max(initial=0)), of_words.shape[1]))
        scores[owner, number] = np.log(np.maximum(of_words, 1e-30))
        paths = best_paths(scores, counts, labels=self.tags, begins_row=self.first_words[units] == 0)
        return np.asarray(paths[owner, number])


def pack(labels: Sequence[Int[np.ndarray, " words"]], probs: Sequence[Float[np.ndarray, " words"]]) -> Float[np.ndarray, "N K"]:
    """Labels and probabilities of whole sentences in the form of merged answers.

    Example:
        >>> pack([np.array([2, 0]), np.array([1])], [np.array([0.5, 0.25]), np.array([1.0])]).tolist()
        [[0.0, 2.0, 0.0, 0.5, 0.25], [0.0, 1.0, -1.0, 1.0, -1.0]]
    """
    width = max((len(row) for row in labels), default=0)
    found = np.full((len(labels), 1 + 2 * width), EMPTY, dtype=np.float32)
    found[:, 0] = 0
    for row, (of_words, sure) in enumerate(zip(labels, probs, strict=True)):
        found[row, 1 : 1 + len(of_words)] = of_words
        found[row, 1 + width : 1 + width + len(sure)] = sure
    return found


def unpack(
    answers: Float[np.ndarray, "N K"], row: int, *, num_words: int
) -> tuple[Int[np.ndarray, " words"], Float[np.ndarray, " words"]]:
    """Labels and probabilities of the words of one sentence."""
    width = (answers.shape[1] - 1) // 2
    return answers[row, 1 : 1 + num_words].astype(np.int64), answers[row, 1 + width : 1 + width + num_words]


def join_windows(decoded: Float[np.ndarray, "U K"], row_of: Int[np.ndarray, " U"]) -> Float[np.ndarray, "N K2"]:
    """The words of each sentence from all its units; of a word that two units hold the answer with more context around it.

    Example:
        >>> units = np.array([[0, 5, 5, 5, 5, 1, 1, 1, 1], [2, 6, 6, 6, 6, 1, 1, 1, 1]], dtype=np.float32)
        >>> join_windows(units, np.array([7, 7]))[0, 1:7].tolist()
        [5.0, 5.0, 5.0, 6.0, 6.0, 6.0]
    """
    width = (decoded.shape[1] - 1) // 2
    starts = np.flatnonzero(np.concatenate([[True], row_of[1:] != row_of[:-1]])) if len(row_of) else np.zeros(0, dtype=np.int64)
    if len(starts) == len(row_of):
        return decoded
    labels, probs = decoded[:, 1 : 1 + width], decoded[:, 1 + width :]
    counts = (labels != EMPTY).sum(axis=1)
    first = decoded[:, 0].astype(np.int64)
    ends = first + counts
    stops = np.append(starts[1:], len(row_of))
    longest = int(ends.max(initial=0))
    joined = np.full((len(starts), 1 + 2 * longest), EMPTY, dtype=np.float32)
    joined[:, 0] = 0
    for row, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        begin = 0
        for unit in range(start, stop):
            # Two windows share the words from the first of the second to the last of the first: each gives half of them.
            end = ends[unit] if unit + 1 == stop else (ends[unit] + first[unit + 1] + 1) // 2
            own = slice(begin - first[unit], end - first[unit])
            joined[row, 1 + begin : 1 + end] = labels[unit, own]
            joined[row, 1 + longest + begin : 1 + longest + end] = probs[unit, own]
            begin = end
    return joined
