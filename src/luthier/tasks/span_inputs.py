"""Windows of texts as model inputs, with the characters of every token; and where answers stand in them, as targets.

A place is 0 for "not in this window" and t + 1 for token t, as the scores of the head are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from luthier.data.spans import Marked, Span
from luthier.models.windows import WindowRows
from luthier.tasks.inputs import Batch, TokenInputs

NOWHERE = 0
COLUMNS = 3  # of the targets, in front of the places: weight of the window, its first place, the one behind its last


@dataclass(frozen=True, kw_only=True)
class SpanInputs:
    """Windows as the network takes them.

    Attributes:
        tokens: Their ids.
        begin, end: The places of the searched text in each window, `end` exclusive.
        characters: First and last (exclusive) character of each token, counted in its text.
        longest: The most characters of an answer.
        best: How many answers of each label are kept.
    """

    tokens: TokenInputs
    begin: Int[np.ndarray, " U"]
    end: Int[np.ndarray, " U"]
    characters: Int[np.ndarray, "tokens 2"]
    longest: int
    best: int

    @classmethod
    def build(cls, windows: WindowRows, *, pad_id: int, longest: int, best: int) -> "SpanInputs":
        """Inputs from windows."""
        tokens = TokenInputs.build(
            windows.ids, windows.offsets, pad_id=pad_id, type_ids=windows.type_ids, row_of=windows.row_of
        )
        return cls(
            tokens=tokens,
            begin=windows.begin + 1,
            end=windows.end + 1,
            characters=windows.characters,
            longest=longest,
            best=best,
        )

    @property
    def lengths(self) -> Int[np.ndarray, " U"]:
        """Tokens of each window."""
        return self.tokens.lengths

    @property
    def keys(self) -> np.ndarray:
        """Of each window."""
        return self.tokens.keys

    @property
    def row_of(self) -> Int[np.ndarray, " U"]:
        """Of each window."""
        return self.tokens.row_of

    def batch(self, units: Int[np.ndarray, " B"]) -> Batch:
        """As `TokenInputs.batch`."""
        return self.tokens.batch(units)

    def light_batch(self, units: Int[np.ndarray, " B"]) -> Batch:
        """As `TokenInputs.light_batch`."""
        return self.tokens.light_batch(units)

    def characters_of(self, unit: int) -> Int[np.ndarray, "n 2"]:
        """Of the tokens of the searched text in a window: the characters from place `begin` to `end`."""
        first = self.tokens.offsets[unit] - 1
        return np.asarray(self.characters[first + self.begin[unit] : first + self.end[unit]], dtype=np.int64)


def span_targets(inputs: SpanInputs, marked: Sequence[Marked], labels: Sequence[str]) -> Float[np.ndarray, "U K"]:
    """Weight and bounds of each window, then the places of start and end of each label.

    The windows of a row that hold a piece weigh 1 each; those that hold none share a weight of 1, so that a long text teaches
    no more about "nowhere" than a short one. Rows that say nothing usable, or whose pieces no window holds whole, weigh 0.

    Args:
        inputs: Of all rows.
        marked: What each row's cell says.
        labels: Of the pieces looked for; one empty name for the answer to a question.

    Returns:
        float32 [U, 3 + 2 labels]; places are whole numbers.
    """
    targets = np.zeros((len(inputs.begin), COLUMNS + 2 * len(labels)), dtype=np.float32)
    targets[:, 1], targets[:, 2] = inputs.begin, inputs.end
    place_of = {label: place for place, label in enumerate(labels)}
    starts = np.searchsorted(inputs.row_of, np.arange(len(marked) + 1))
    for row, said in enumerate(marked):
        units = np.arange(starts[row], starts[row + 1])
        wanted = [(place_of[span.label], span) for span in _wanted(said, labels) if span.label in place_of]
        for unit in units:
            for place, span in wanted:
                targets[unit, COLUMNS + 2 * place : COLUMNS + 2 * place + 2] = _places(inputs, unit, span)
        holds = (targets[units, COLUMNS:] > NOWHERE).any(axis=1)
        if said.is_usable and (holds.any() or not said.spans):
            targets[units, 0] = np.where(holds, 1.0, 1.0 / max(1, int((~holds).sum())))
    return targets


def _wanted(said: Marked, labels: Sequence[str]) -> Sequence[Span]:
    """What is to be learnt: of several answers to one question the first."""
    return said.spans[:1] if tuple(labels) == ("",) else said.spans


def _places(inputs: SpanInputs, unit: int, span: Span) -> tuple[int, int]:
    """The places of the first and last token that a piece touches; nowhere if the window does not hold it whole."""
    characters = inputs.characters_of(unit)
    if not len(characters) or characters[0, 0] > span.start or characters[-1, 1] < span.end:
        return NOWHERE, NOWHERE
    touched = np.flatnonzero((characters[:, 0] < span.end) & (characters[:, 1] > span.start))
    if not len(touched):
        return NOWHERE, NOWHERE
    first = int(inputs.begin[unit])
    return first + int(touched[0]), first + int(touched[-1])
