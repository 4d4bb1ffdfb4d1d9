"""Words of a text and what is marked on them: the form that tokens in lists and texts with marked spans share.

A row of a token task is either a JSON list of words (`["Aspirin", "helps"]`, with one tag for each) or a text with spans of
characters (`"Aspirin helps"` with `[{"start": 0, "end": 7, "label": "Drug"}]`). Both become `Words`: a text, its words, and
where each of them begins in it. Labels belong to words; what is answered about words can be shown in the text.
"""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

OUTSIDE = "O"
LABEL_KEYS = ("label", "labels", "type", "tag", "entity")
_WORD = re.compile(r"\w+|[^\w\s]")
_TAG = re.compile(r"O|[BIESLUM](-.+)?")


class Words(NamedTuple):
    """A text and its words.

    Attributes:
        text: The text; of words in a list they joined by single spaces.
        words: Its words.
        starts: Where each begins in the text.
    """

    text: str
    words: tuple[str, ...]
    starts: tuple[int, ...]

    def end(self, place: int) -> int:
        """Where a word ends in the text."""
        return self.starts[place] + len(self.words[place])


class Span(NamedTuple):
    """A marked piece of a text: characters `start` to `end`, the last not included."""

    start: int
    end: int
    label: str


def split_words(text: str) -> Words:
    """The words of a text: runs of letters, digits and underscores, and every other visible mark by itself.

    Example:
        >>> split_words("Don't stop (now).").words
        ('Don', "'", 't', 'stop', '(', 'now', ')', '.')
    """
    found = list(_WORD.finditer(text))
    return Words(text, tuple(item.group() for item in found), tuple(item.start() for item in found))


def join_words(words: Sequence[str]) -> Words:
    """Words that are given, as a text.

    Example:
        >>> join_words(["New", "York", "!"])
        Words(text='New York !', words=('New', 'York', '!'), starts=(0, 4, 9))
    """
    starts = accumulate((len(word) + 1 for word in words[:-1]), initial=0) if words else ()
    return Words(" ".join(words), tuple(words), tuple(starts))


def read_words(cell: str) -> Words:
    """The words of a cell: a JSON list of words as it is, anything else as a text.

    Example:
        >>> read_words('["New", "York"]').words, read_words("New York!").words
        (('New', 'York'), ('New', 'York', '!'))
    """
    given = read_list(cell)
    return split_words(cell) if given is None else join_words(given)


def read_list(cell: str | None) -> list[str] | None:
    """A JSON list of strings; None if the cell holds anything else.

    Example:
        >>> read_list('["a", "b"]'), read_list("[1]"), read_list("a")
        (['a', 'b'], None, None)
    """
    values = _json_list(cell)
    return values if values is not None and all(isinstance(value, str) for value in values) else None


def read_spans(cell: str | None) -> list[Span]:
    """The spans of a cell, in the order of the text; each is `{"start", "end", "label"}` or `[start, end, label]`.

    Raises:
        ValueError: the cell is no list of spans; says why.

    Example:
        >>> read_spans('[[8, 13, "Place"], {"start": 0, "end": 4, "label": "Person"}]')
        [Span(start=0, end=4, label='Person'), Span(start=8, end=13, label='Place')]
    """
    values = _json_list(cell)
    if values is None:
        raise ValueError("no list of spans")
    return sorted(_span(value) for value in values)


def _json_list(cell: str | None) -> list[Any] | None:
    if not cell or not cell.lstrip().startswith("["):
        return None
    try:
        values = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, list) else None


def _span(value: Any) -> Span:
    if isinstance(value, Mapping):
        label = next((value[key] for key in LABEL_KEYS if value.get(key)), None)
        if isinstance(label, list) and len(label) == 1:
            label = label[0]
        start, end = value.get("start"), value.get("end")
    elif isinstance(value, list) and len(value) == 3:
        start, end, label = value
    else:
        raise ValueError(f"a span that is neither an object nor [start, end, label]: {str(value)[:60]}")
    if not (isinstance(start, int) and isinstance(end, int) and isinstance(label, str) and label.strip()):
        raise ValueError(f"a span without start, end and label: {str(value)[:60]}")
    return Span(start, end, label.strip())


def overlapping_words(words: Words, span: Span) -> range:
    """The places of the words that a span touches.

    Example:
        >>> overlapping_words(join_words(["New", "York", "!"]), Span(1, 6, "Place"))
        range(0, 2)
    """
    first = next((place for place in range(len(words.words)) if words.end(place) > span.start), len(words.words))
    last = first
    while last < len(words.words) and words.starts[last] < span.end:
        last += 1
    return range(first, last)


def cuts_a_word(words: Words, span: Span) -> bool:
    """Whether a span begins or ends inside a word.

    Example:
        >>> cuts_a_word(join_words(["New", "York"]), Span(0, 6, "Place")), cuts_a_word(join_words(["New"]), Span(0, 3, "Place"))
        (True, False)
    """
    touched = overlapping_words(words, span)
    return bool(touched) and (words.starts[touched[0]] < span.start or words.end(touched[-1]) > span.end)


def tags_of_spans(words: Words, spans: Sequence[Span]) -> list[str]:
    """A tag for each word, as IOB2 has it; a word that two spans touch belongs to the first.

    Example:
        >>> tags_of_spans(join_words(["New", "York", "!"]), [Span(0, 8, "Place")])
        ['B-Place', 'I-Place', 'O']
    """
    tags = [OUTSIDE] * len(words.words)
    for span in spans:
        free = [place for place in overlapping_words(words, span) if tags[place] == OUTSIDE]
        for number, place in enumerate(free):
            tags[place] = f"{'I' if number else 'B'}-{span.label}"
    return tags


def is_entity_tag(tag: str) -> bool:
    """Whether a tag says where an entity begins and ends: `O`, or a letter and a type.

    Example:
        >>> is_entity_tag("O"), is_entity_tag("B-LOC"), is_entity_tag("NOUN")
        (True, True, False)
    """
    return _TAG.fullmatch(tag) is not None
