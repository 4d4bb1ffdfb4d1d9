"""What tags say of a text, as one hands it to people and programs: entities with their place, or words with their tags."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from jaxtyping import Float

from luthier.data.words import OUTSIDE, Words

if TYPE_CHECKING:
    import pyarrow as pa


class Marked(TypedDict):
    """A piece of a text with a label.

    `start` and `end` are characters of the text (`end` not included), or of the words joined by spaces; `confidence` is the
    least probability among the tags of its words.
    """

    text: str
    label: str
    start: int
    end: int
    confidence: float


def marked_type() -> "pa.DataType":
    """Lists of them, as a column has them."""
    import pyarrow as pa

    fields = {"text": pa.string(), "label": pa.string(), "start": pa.int64(), "end": pa.int64(), "confidence": pa.float64()}
    return pa.list_(pa.struct(list(fields.items())))


def entities_in(words: Words, tags: Sequence[str], sure: Float[np.ndarray, " words"]) -> list[Marked]:
    """The entities of IOB2 tags, in their order; an `I-` that nothing began begins one, as in the measures.

    Example:
        >>> from luthier.data.words import split_words
        >>> found = entities_in(split_words("In New York."), ["O", "B-LOC", "I-LOC", "O"], np.array([1, 0.9, 0.75, 1]))
        >>> found
        [{'text': 'New York', 'label': 'LOC', 'start': 3, 'end': 11, 'confidence': 0.75}]
    """
    found: list[Marked] = []
    first, before = 0, OUTSIDE
    for place, tag in enumerate([*tags, OUTSIDE]):
        goes_on = tag[:1] == "I" and before != OUTSIDE and before[2:] == tag[2:]
        if before != OUTSIDE and not goes_on:
            found.append(_marked(words, first, place, before[2:], sure))
        if tag != OUTSIDE and not goes_on:
            first = place
        before = tag
    return found


def words_in(words: Words, tags: Sequence[str], sure: Float[np.ndarray, " words"]) -> list[Marked]:
    """Every word with its tag."""
    return [_marked(words, place, place + 1, tag, sure) for place, tag in enumerate(tags)]


def _marked(words: Words, first: int, stop: int, label: str, sure: Float[np.ndarray, " words"]) -> Marked:
    start, end = words.starts[first], words.end(stop - 1)
    least = round(float(sure[first:stop].min()), 6)
    return Marked(text=words.text[start:end], label=label, start=start, end=end, confidence=least)
