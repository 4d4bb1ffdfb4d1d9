"""Answers that are pieces of a text: what a cell of a table says, as places in that text, and what is wrong with it.

Two forms of cells are read. An **answer cell** says where the answer to one question stands: a JSON list of
`{"text": ..., "start": ...}` (`answer_start` is the same), the form of Hugging Face's SQuAD (`{"text": [...],
"answer_start": [...]}`), or the answer itself as plain text; an empty list is "no answer". A **span cell** names labelled
pieces: a JSON list of `{"slot": ..., "start": ..., "end": ...}` (`label` is the same). Places are counted in characters,
from 0; `end` is exclusive.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ANSWER_KEYS = ("text", "answer", "start", "answer_start")
LABEL_KEYS = ("slot", "label")
_MISREAD = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)  # what cells of other forms raise
_ANSWER_FIELDS = frozenset({*ANSWER_KEYS, "id", "end"})


@dataclass(frozen=True, kw_only=True)
class Span:
    """A piece of a text.

    Attributes:
        start: Its first character, counted from 0.
        end: The character behind its last one.
        label: What it is; empty for the answer to a question.
    """

    start: int
    end: int
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Marked:
    """What a cell says about its text.

    Attributes:
        spans: What could be placed, in the cell's order.
        answers: The accepted wordings, for scoring; those that could not be placed too.
        faults: Names of `FAULTS` of what was wrong.
        is_usable: Whether something can be learnt and scored: an answer was placed, or the cell says that there is none.
    """

    spans: tuple[Span, ...] = ()
    answers: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    is_usable: bool = True


@dataclass(frozen=True, kw_only=True)
class SpanFault:
    """One kind of fault in answer and span cells.

    Attributes:
        one, many: The sentence after "1 row" and "3 rows".
        outcome: What becomes of the row.
        remedy: What to do.
        loses: Whether the row, or a span of it, is lost.
    """

    one: str
    many: str
    outcome: str
    remedy: str
    loses: bool = True


_CORRECT = "correct these rows"
FAULTS: Mapping[str, SpanFault] = {
    "absent_answer": SpanFault(
        one="has an answer that does not stand in its text",
        many="have an answer that does not stand in their text",
        outcome="nothing can be learnt from that",
        remedy="copy the answer exactly as the text has it; write [] where there is none",
    ),
    "moved_answer": SpanFault(
        one="names a start at which the text says something else",
        many="name a start at which the text says something else",
        outcome="the answer stands in the text once, and that place is taken",
        remedy="count characters from 0, after the file was decoded",
        loses=False,
    ),
    "byte_offsets": SpanFault(
        one="counts bytes, not characters",
        many="count bytes, not characters",
        outcome="they were turned into characters",
        remedy="count characters from 0, after the file was decoded",
        loses=False,
    ),
    "ambiguous_answer": SpanFault(
        one="has an answer without a start that stands in its text several times",
        many="have an answer without a start that stands in their text several times",
        outcome="the first place is taken",
        remedy="add a column with the start, and name it: --answer-start COLUMN",
        loses=False,
    ),
    "lost_answer": SpanFault(
        one="names a start at which the text says something else, and the answer stands in several other places",
        many="name a start at which the text says something else, and the answer stands in several other places",
        outcome="nothing can be learnt from that",
        remedy="count characters from 0, after the file was decoded",
    ),
    "empty_answer": SpanFault(
        one="has an answer that is empty, beside others or with a start",
        many="have an answer that is empty, beside others or with a start",
        outcome="it is left out",
        remedy="write [] where there is no answer",
    ),
    "bad_cell": SpanFault(
        one="is not written as answers or spans are",
        many="are not written as answers or spans are",
        outcome="nothing can be learnt from that",
        remedy='[{"text": "Ada", "start": 18}], or [{"slot": "date", "start": 4, "end": 9}]',
    ),
    "outside_text": SpanFault(
        one="has a span that ends outside its text, or before it begins",
        many="have a span that ends outside their text, or before it begins",
        outcome="such spans are left out",
        remedy="count characters from 0; `end` is the character behind the last one",
    ),
    "other_words": SpanFault(
        one="has a span whose `text` is not what stands there",
        many="have a span whose `text` is not what stands there",
        outcome="the places are believed",
        remedy="correct `text`, or leave it out",
        loses=False,
    ),
    "repeated_label": SpanFault(
        one="has several spans of one label",
        many="have several spans of one label",
        outcome="the first of each label is taken",
        remedy="if that is common in your data, name each of them differently, or tune a token classifier",
    ),
}


def read_answers(cell: object, text: str, start: object = None) -> Marked:
    """What an answer cell says.

    Args:
        cell: JSON, or the answer as plain text; missing is unusable.
        text: In which the answers stand.
        start: Of a plain answer, in characters, if it is known.

    Example:
        >>> read_answers('[{"text": "Ada", "start": 18}]', "It was written by Ada.").spans
        (Span(start=18, end=21, label=''),)
        >>> read_answers("Ada", "It was written by Ada.").spans[0].start, read_answers("[]", "Nobody knows.").spans
        (18, ())
        >>> read_answers("Bob", "It was written by Ada.").faults
        ('absent_answer',)
    """
    try:
        pairs = _answer_pairs(cell, start)
    except _MISREAD:
        return Marked(faults=("bad_cell",), is_usable=False)
    spans: list[Span] = []
    faults: list[str] = []
    for answer, place in pairs:
        span, fault = _locate(answer, text, place)
        faults += [fault] if fault else []
        if span is not None and span not in spans:
            spans.append(span)
    wordings = tuple(dict.fromkeys(answer for answer, _ in pairs if answer.strip()))
    usable = bool(spans) or not pairs
    return Marked(spans=tuple(spans), answers=wordings, faults=tuple(dict.fromkeys(faults)), is_usable=usable)


def _answer_pairs(cell: object, start: object) -> list[tuple[str, int | None]]:
    """(answer, start or None) of each answer of a cell; ValueError where it is not one."""
    if cell is None or not str(cell).strip():
        raise ValueError("nothing is written")
    plain = str(cell)
    content = parse_json(plain)
    if content is None:
        return [(plain, _whole(start))]
    if isinstance(content, Mapping):
        texts = content["text"] if "text" in content else content["answer"]
        places = content.get("answer_start", content.get("start"))
        if isinstance(texts, str):
            content = [content]
        else:
            content = [
                {"text": answer, "start": place} for answer, place in zip(texts, places or [None] * len(texts), strict=True)
            ]
    return [_answer_pair(item) for item in content]


def _answer_pair(item: Any) -> tuple[str, int | None]:
    if isinstance(item, str):
        return item, None
    answer = item["text"] if "text" in item else item["answer"]
    if not isinstance(answer, str):
        raise ValueError("the answer is no text")
    return answer, _whole(item.get("start", item.get("answer_start")))


def _whole(value: object) -> int | None:
    """A place, or None where there is none; ValueError for what is no whole number."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    number = float(str(value))
    if number != int(number):
        raise ValueError("no whole number")
    return int(number)


def _locate(answer: str, text: str, place: int | None) -> tuple[Span | None, str]:
    """Where an answer stands, and what was wrong with what was said about it."""
    if not answer.strip():
        return None, "empty_answer"
    if place is not None and place >= 0 and text.startswith(answer, place):
        return _trimmed(text, place, place + len(answer)), ""
    first = text.find(answer)
    if first < 0:
        answer = answer.strip()
        first = text.find(answer)
    if first < 0:
        return None, "absent_answer"
    again = text.find(answer, first + 1) >= 0
    if place is None:
        return _trimmed(text, first, first + len(answer)), "ambiguous_answer" if again else ""
    characters = _from_bytes(text, place)
    if characters is not None and text.startswith(answer, characters):
        return _trimmed(text, characters, characters + len(answer)), "byte_offsets"
    if again:
        return None, "lost_answer"
    return _trimmed(text, first, first + len(answer)), "moved_answer"


def _from_bytes(text: str, place: int) -> int | None:
    """A place counted in bytes of UTF-8 as one counted in characters; None if it falls inside a character."""
    try:
        return len(text.encode("utf-8", "surrogatepass")[:place].decode("utf-8")) if place >= 0 else None
    except UnicodeDecodeError:
        return None


def _trimmed(text: str, start: int, end: int) -> Span:
    """A span without the white space around it."""
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    return Span(start=start + left, end=start + left + len(piece.strip()))


def read_spans(cell: object, text: str) -> Marked:
    """What a span cell says: at most one span of each label.

    Example:
        >>> cell = '[{"slot": "people", "start": 10, "end": 15}]'
        >>> read_spans(cell, "Table for seven, please").spans
        (Span(start=10, end=15, label='people'),)
    """
    try:
        items = parse_json(str(cell))
        if not isinstance(items, list):
            raise ValueError("no list")
        found = [(_label_of(item), _whole(item.get("start")) or 0, _whole(item["end"]), item.get("text")) for item in items]
    except _MISREAD:
        return Marked(faults=("bad_cell",), is_usable=False)
    spans: dict[str, Span] = {}
    faults: list[str] = []
    for label, start, end, words in found:
        if end is None or not 0 <= start < end <= len(text) or not text[start:end].strip():
            faults.append("outside_text")
            continue
        if words is not None and words != text[start:end]:
            begin, stop = _from_bytes(text, start), _from_bytes(text, end)
            if begin is not None and stop is not None and text[begin:stop] == words:
                faults, start, end = [*faults, "byte_offsets"], begin, stop
            else:
                faults.append("other_words")
        if label in spans:
            faults.append("repeated_label")
            continue
        trimmed = _trimmed(text, start, end)
        spans[label] = Span(start=trimmed.start, end=trimmed.end, label=label)
    return Marked(spans=tuple(spans.values()), faults=tuple(dict.fromkeys(faults)))


def _label_of(item: Mapping[str, Any]) -> str:
    label = next(str(item[key]).strip() for key in (*LABEL_KEYS, "") if key in item or not key)
    if not label:
        raise ValueError("no label")
    return label


def parse_json(text: str) -> Any:
    """A JSON list or object written in a cell; None for plain text."""
    stripped = text.strip()
    if not stripped or stripped[0] + stripped[-1] not in ("[]", "{}"):
        return None
    try:
        return json.loads(stripped)
    except (ValueError, RecursionError):
        return None


def looks_like(cell: str) -> str:
    """`answers` or `slots` for a cell that is written so, `empty` for an empty list, and '' for anything else.

    Example:
        >>> looks_like('[{"text": "Ada", "start": 18}]'), looks_like('[{"slot": "date", "end": 9}]'), looks_like("[]")
        ('answers', 'slots', 'empty')
        >>> looks_like('["a", "b"]'), looks_like('[{"label": "date", "start": 4, "end": 9}]')
        ('', '')
    """
    content = parse_json(cell)
    if content == []:
        return "empty"
    items: Sequence[Any] = content if isinstance(content, list) else [] if content is None else [content]
    if not items or not all(isinstance(item, Mapping) for item in items):
        return ""
    if all("end" in item and "slot" in item for item in items):
        return "slots"
    return "answers" if all(("text" in item or "answer" in item) and set(item) <= _ANSWER_FIELDS for item in items) else ""
