"""Texts with marks on their words: what was to be found, and what was answered, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from luthier.evaluation.entities import entity_places
from luthier.evaluation.records import Predictions

CUT = "…"


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Some words that follow each other.

    Attributes:
        label: What they are marked as; empty if they are not.
        differs: Whether the other side has no such mark.
    """

    text: str
    label: str = ""
    differs: bool = False


def marks_of(tags: Sequence[str], *, are_entities: bool) -> list[tuple[int, int, str]]:
    """First word, last word and label of each mark: the entities, or, of other tags, every word.

    Example:
        >>> marks_of(["B-LOC", "I-LOC", "O"], are_entities=True), marks_of(["NOUN"], are_entities=False)
        ([(0, 1, 'LOC')], [(0, 0, 'NOUN')])
    """
    if are_entities:
        return entity_places(tags)
    return [(place, place, tag) for place, tag in enumerate(tags)]


def pieces_of(text: str, tags: Sequence[str], others: Sequence[str], *, are_entities: bool) -> list[Piece]:
    """A text, words with single spaces between them, in pieces with the marks of its tags; empty if the words are others.

    Args:
        text: As a report may show it; it may be cut at its end.
        tags: Of its words.
        others: The tags of the other side. Of tags that are no entities only those that differ are marked.
    """
    words = text.split(" ")
    is_cut = bool(words) and words[-1] == CUT
    if len(words) != len(tags) and not (is_cut and len(words) <= len(tags)):
        return []
    on_the_other_side = set(marks_of(others, are_entities=are_entities))
    found: list[Piece] = []
    place = 0
    for first, last, label in marks_of(tags, are_entities=are_entities):
        differs = (first, last, label) not in on_the_other_side
        if last >= len(words) - is_cut or not (differs or are_entities):
            continue
        if first > place:
            found.append(Piece(text=" ".join(words[place:first])))
        found.append(Piece(text=" ".join(words[first : last + 1]), label=label, differs=differs))
        place = last + 1
    return [*found, Piece(text=" ".join(words[place:]))] if place < len(words) else found


def surest_wrong_rows(tuned: Predictions, most: int) -> list[tuple[int, float]]:
    """Rows with a wrong tag, and the highest probability that the model gave to one; the surest first."""
    found = []
    columns = (tuned.table[name].to_pylist() for name in ("target", "prediction", "confidence"))
    for row, (targets, answers, sure) in enumerate(zip(*columns, strict=True)):
        wrong = [value for target, answer, value in zip(targets, answers, sure, strict=True) if target != answer]
        if wrong:
            found.append((row, float(np.max(wrong))))
    return sorted(found, key=lambda item: -item[1])[:most]
