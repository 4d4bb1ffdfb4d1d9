"""Transcripts as places in a list of characters, and back: what speech recognition reads and writes. NumPy only."""

import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from luthier.tasks.inputs import EMPTY

IGNORED = -100  # fills up targets: these places do not count
BLANK = 0  # what a frame says that begins no character; characters count from 1
JOIN = -2.0  # between what was heard in two windows of one recording


def spoken(text: object) -> str:
    """A transcript as it is learnt and scored: small letters, one space between words, accents composed.

    Example:
        >>> spoken("  Printing, in\\nthe ONLY sense ")
        'printing, in the only sense'
    """
    return " ".join(unicodedata.normalize("NFC", "" if text is None else str(text)).lower().split())


def characters_of(texts: Iterable[str]) -> str:
    """The characters of some transcripts, sorted.

    Example:
        >>> characters_of(["no", "on no"])
        ' no'
    """
    return "".join(sorted(set().union(*texts)))


def places_of(text: str, characters: str) -> list[int] | None:
    """The place of each character, from 1; None if one of them is unknown."""
    place = {character: number for number, character in enumerate(characters, 1)}
    found = [place.get(character, 0) for character in text]
    return None if 0 in found else found


def frames_needed(places: Sequence[int]) -> int:
    """The least number of frames that can say this: one for each character, and a blank between two of a kind.

    Example:
        >>> frames_needed([1, 2, 2, 3])
        5
    """
    return len(places) + sum(one == other for one, other in pairwise(places))


def best_path(logits: Float[np.ndarray, "B T V"], width: int) -> Float[np.ndarray, "B width"]:
    """What the best frame-by-frame path says: repeats are one character, blanks are none.

    Args:
        logits: Of the blank and of each character.
        width: Places of the result; it is filled up with `EMPTY`.

    Example:
        >>> path = np.eye(3)[[[1, 1, 0, 1, 2, 2, 0]]]
        >>> best_path(path, 4).tolist()
        [[1.0, 1.0, 2.0, -1.0]]
    """
    best = logits.argmax(axis=2)
    before = np.concatenate([np.full((len(best), 1), BLANK), best[:, :-1]], axis=1)
    said = (best != BLANK) & (best != before)
    found = np.full((len(best), width), EMPTY, dtype=np.float32)
    rows, frames = np.nonzero(said)
    places = (np.cumsum(said, axis=1) - 1)[rows, frames]
    kept = places < width
    found[rows[kept], places[kept]] = best[rows[kept], frames[kept]]
    return found


def joined(decoded: Float[np.ndarray, "U K"], row_of: Int[np.ndarray, " U"]) -> Float[np.ndarray, "N L"]:
    """What was heard in the windows of each row, one after the other, as one row; in order of first appearance."""
    _, first, inverse = np.unique(row_of, return_index=True, return_inverse=True)
    if len(first) == len(decoded):
        return decoded
    parts: list[list[float]] = [[] for _ in first]
    for unit, row in enumerate(inverse.tolist()):
        said = decoded[unit][decoded[unit] > BLANK].tolist()
        parts[row] += [JOIN, *said] if parts[row] and said else said
    width = max(decoded.shape[1], *map(len, parts))
    merged = np.full((len(parts), width), EMPTY, dtype=decoded.dtype)
    for row, said in enumerate(parts):
        merged[row, : len(said)] = said
    return np.asarray(merged[np.argsort(first, kind="stable")])


def text_of(places: Float[np.ndarray, " K"], characters: str) -> str:
    """The text that some places stand for.

    Example:
        >>> text_of(np.array([2.0, 3.0, JOIN, 3.0, 2.0, EMPTY]), " no")
        'no on'
    """
    said = "".join(" " if place == JOIN else characters[int(place) - 1] for place in places if place > BLANK or place == JOIN)
    return " ".join(said.split())
