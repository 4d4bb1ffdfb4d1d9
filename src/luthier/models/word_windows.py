"""Sentences of words as token ids: every word keeps its place, and what is too long for the model is read in windows.

Windows end between words and overlap, so that every word is seen with context on both sides in one of them. Nothing is cut: a
word longer than a window loses its last pieces, never its label.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from jaxtyping import Int
from tokenizers import Tokenizer

OVERLAP = 4  # a quarter of a window is seen again in the next
SENTENCES_AT_ONCE = 4096


@dataclass(frozen=True, kw_only=True)
class WordRows:
    """Token ids of sentences, in one or more units each.

    Attributes:
        ids: Ids of all units, end to end; special tokens included.
        offsets: Where each unit begins; one more at the end.
        row_of: Of each unit the sentence it is from.
        first_words: Of each unit the place in its sentence of its first word.
        word_offsets: Where the words of each unit begin in `places`; one more at the end.
        places: Of each word of each unit the place in its unit of the word's first token.
    """

    ids: Int[np.ndarray, " tokens"]
    offsets: Int[np.ndarray, " U1"]
    row_of: Int[np.ndarray, " U"]
    first_words: Int[np.ndarray, " U"]
    word_offsets: Int[np.ndarray, " U1"]
    places: Int[np.ndarray, " words"]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The special tokens around every unit, and the token of words that the tokenizer makes nothing of."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    unknown: int


def build_word_tokenizer(tokenizer_json: str) -> Tokenizer:
    """A tokenizer that neither pads nor cuts, and takes each word as one that stands behind a space.

    Byte-level tokenizers mark the space in front of a word; transformers asks for `add_prefix_space=True` in this case.
    """
    described = json.loads(tokenizer_json)
    pre = described.get("pre_tokenizer") or {}
    for step in [pre, *pre.get("pretokenizers", [])]:
        if step.get("type") == "ByteLevel":
            step["add_prefix_space"] = True
    tokenizer = Tokenizer.from_str(json.dumps(described, ensure_ascii=False))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def frame_of(tokenizer: Tokenizer, *, unknown: int) -> Frame:
    """The special tokens that the tokenizer puts around a text."""
    encoding = tokenizer.encode(["a"], is_pretokenized=True)
    own = [place for place, special in enumerate(encoding.special_tokens_mask) if not special]
    first, last = (own[0], own[-1] + 1) if own else (len(encoding.ids), len(encoding.ids))
    return Frame(before=tuple(encoding.ids[:first]), after=tuple(encoding.ids[last:]), unknown=unknown)


def encode_sentences(tokenizer: Tokenizer, sentences: Sequence[Sequence[str]], *, frame: Frame, max_length: int) -> WordRows:
    """Ids of sentences, each in as many windows as it needs.

    Args:
        tokenizer: As `build_word_tokenizer` makes it.
        sentences: Words of each.
        frame: Around every window.
        max_length: Most tokens of a unit, special tokens included.
    """
    room = max(1, max_length - len(frame.before) - len(frame.after))
    ids: list[int] = []
    places: list[int] = []
    units: list[tuple[int, int, int, int]] = []  # sentence, first word, tokens, words
    for row, pieces in enumerate(word_pieces(tokenizer, sentences, unknown=frame.unknown)):
        sizes = [min(len(piece), room) for piece in pieces]
        for first, end in windows(sizes, room=room, overlap=room // OVERLAP):
            start = len(frame.before)
            places.extend(start + place for place in _running(sizes[first:end]))
            inside = chain.from_iterable(piece[:room] for piece in pieces[first:end])
            unit = [*frame.before, *inside, *frame.after]
            ids.extend(unit)
            units.append((row, first, len(unit), end - first))
    rows, firsts, lengths, words = np.array(units, dtype=np.int64).reshape(-1, 4).T
    return WordRows(
        ids=np.array(ids, dtype=np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        row_of=rows,
        first_words=firsts,
        word_offsets=np.concatenate([[0], np.cumsum(words)]).astype(np.int64),
        places=np.array(places, dtype=np.int32),
    )


def _running(sizes: Sequence[int]) -> Iterator[int]:
    place = 0
    for size in sizes:
        yield place
        place += size


def word_pieces(tokenizer: Tokenizer, sentences: Sequence[Sequence[str]], *, unknown: int) -> Iterator[list[list[int]]]:
    """The ids of each word of each sentence; one `unknown` for words of which the tokenizer leaves nothing."""
    for start in range(0, len(sentences), SENTENCES_AT_ONCE):
        some = [list(sentence) for sentence in sentences[start : start + SENTENCES_AT_ONCE]]
        for sentence, encoding in zip(
            some, tokenizer.encode_batch(some, is_pretokenized=True, add_special_tokens=False), strict=True
        ):
            pieces: list[list[int]] = [[] for _ in sentence]
            for word, token in zip(encoding.word_ids, encoding.ids, strict=True):
                pieces[word].append(token)  # type: ignore[index]  # None stands for special tokens only, and there are none
            yield [piece or [unknown] for piece in pieces]


def windows(sizes: Sequence[int], *, room: int, overlap: int) -> Iterator[tuple[int, int]]:
    """First and last word (not included) of each window of a sentence; one even if the sentence has no words.

    Args:
        sizes: Tokens of each word, at most `room`.
        room: Tokens of a window.
        overlap: Tokens of a window that the next sees again, at most; the words that hold them are not cut.

    Example:
        >>> list(windows([1] * 10, room=6, overlap=2)), list(windows([], room=6, overlap=2))
        ([(0, 6), (4, 10)], [(0, 0)])
    """
    ends = np.cumsum(sizes)
    first = 0
    while True:
        taken = int(ends[first - 1]) if first else 0
        end = int(np.searchsorted(ends, taken + room, side="right"))
        yield first, end
        if end >= len(sizes):
            return
        # Enough words less that no more than `overlap` tokens are seen again, and that the next word fits.
        gone = max(int(ends[end - 1]) - overlap, int(ends[end]) - room)
        first = max(first + 1, min(int(np.searchsorted(ends, gone, side="left")) + 1, end))
