"""Pieces of a text marked in it, for people: what is right ⟦so⟧, what was answered «so»; of a long text what is near."""

from collections.abc import Sequence
from dataclasses import dataclass

RIGHT, GIVEN = ("⟦", "⟧"), ("«", "»")
AROUND = 90  # characters before the first mark and behind the last
BETWEEN = 80  # the most characters shown between two marks


@dataclass(frozen=True, kw_only=True)
class Piece:
    """What is marked.

    Attributes:
        start, end: Its characters, `end` exclusive.
        before, behind: The marks.
    """

    start: int
    end: int
    before: str
    behind: str


def marked_text(text: str, pieces: Sequence[Piece]) -> str:
    """The text with marks; far from any mark it is cut.

    Example:
        >>> marked_text("It was written by Ada.", [Piece(start=18, end=21, before="⟦", behind="⟧")])
        'It was written by ⟦Ada⟧.'
    """
    opened = [(piece.start, 1, -piece.end, number, piece.before) for number, piece in enumerate(pieces)]
    closed = [(piece.end, 0, -piece.start, -number, piece.behind) for number, piece in enumerate(pieces)]
    marks = sorted(opened + closed)  # what begins last ends first
    if not marks:
        return _cut(text, 2 * AROUND, 0)
    shown, last = [_cut(text[: marks[0][0]], 0, AROUND)], marks[0][0]
    for place, *_, mark in marks:
        shown += [_cut(text[last:place], BETWEEN // 2, BETWEEN // 2), mark]
        last = place
    return "".join([*shown, _cut(text[last:], AROUND, 0)])


def _cut(text: str, left: int, right: int) -> str:
    """The first and last characters of a text, with a sign for what is left out."""
    if len(text) <= left + right + 3:
        return text
    return f"{text[:left]} … {text[len(text) - right :] if right else ''}"
