"""Long texts as windows of token ids that overlap, with the characters that each token stands for.

The model's own tokenizer joins a question and its context, and cuts the context only; here its encodings become flat arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int, UInt8

from luthier.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

OVERLAP_FRACTION = 0.25  # of the window: twice what the longest usual answers need
ROWS_AT_ONCE = 1_000


@dataclass(frozen=True, kw_only=True)
class WindowRows:
    """Windows of many texts, end to end: window `i` is `ids[offsets[i] : offsets[i + 1]]`.

    Attributes:
        type_ids: 0 for the question and 1 for the context; None for texts without a question.
        row_of: The text each window was cut from, ascending.
        begin, end: The tokens of the context within each window, `end` exclusive.
        characters: First and last (exclusive) character of each token in its context; 0 for tokens of nothing.
    """

    ids: Int[np.ndarray, " tokens"]
    offsets: Int[np.ndarray, " windows_plus_1"]
    type_ids: UInt8[np.ndarray, " tokens"] | None
    row_of: Int[np.ndarray, " windows"]
    begin: Int[np.ndarray, " windows"]
    end: Int[np.ndarray, " windows"]
    characters: Int[np.ndarray, "tokens 2"]


def encode_windows(
    tokenizer: "Tokenizer", texts: Sequence[str], questions: Sequence[str] | None, *, max_length: int
) -> WindowRows:
    """Windows of at most `max_length` tokens that overlap by a quarter; a text that fits is one window.

    Args:
        tokenizer: Neither cuts nor pads yet; it is changed.
        texts: What is cut.
        questions: What stands whole in front of each window of its text; cut at half a window.
        max_length: Special tokens included.

    Raises:
        ModelError: so short a window holds no text beside its question.
    """
    special = tokenizer.num_special_tokens_to_add(questions is not None)
    room = max_length - special
    if room < 4:
        raise ModelError(
            f"Windows of {max_length} tokens, {special} of them special, hold too little of a text.",
            remedy=f"--max-length {max(64, special + 16)}",
        )
    if questions is not None:
        questions = _shortened(tokenizer, questions, most=room // 2)
    least = room if questions is None else room - room // 2
    overlap = min(int(OVERLAP_FRACTION * max_length), least // 2)
    cut = "longest_first" if questions is None else "only_second"
    tokenizer.enable_truncation(max_length, stride=overlap, strategy=cut)
    parts: list[_Part] = []
    for start in range(0, len(texts), ROWS_AT_ONCE):
        chosen = slice(start, start + ROWS_AT_ONCE)
        inputs = list(texts[chosen]) if questions is None else list(zip(questions[chosen], texts[chosen], strict=True))
        for row, first in enumerate(tokenizer.encode_batch(inputs), start):
            parts += [_part(window, row, in_second=questions is not None) for window in (first, *first.overflowing)]
    return _joined(parts, has_types=questions is not None)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One window."""

    row: int
    ids: Int[np.ndarray, " T"]
    type_ids: UInt8[np.ndarray, " T"]
    inside: Bool[np.ndarray, " T"]
    characters: Int[np.ndarray, "T 2"]


def _part(window: "Encoding", row: int, *, in_second: bool) -> _Part:
    inside = np.array([place == int(in_second) for place in window.sequence_ids], dtype=bool)
    characters = np.array(window.offsets, dtype=np.int32).reshape(-1, 2)
    characters[~inside] = 0
    ids, types = np.array(window.ids, dtype=np.int32), np.array(window.type_ids, dtype=np.uint8)
    return _Part(row=row, ids=ids, type_ids=types, inside=inside, characters=characters)


def _joined(parts: Sequence[_Part], *, has_types: bool) -> WindowRows:
    lengths = np.array([len(part.ids) for part in parts], dtype=np.int64)
    counts = np.array([part.inside.sum() for part in parts], dtype=np.int64)
    begin = np.array([int(part.inside.argmax()) if part.inside.any() else 0 for part in parts], dtype=np.int64)
    return WindowRows(
        ids=np.concatenate([part.ids for part in parts]) if parts else np.zeros(0, np.int32),
        offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        type_ids=np.concatenate([part.type_ids for part in parts]) if has_types and parts else None,
        row_of=np.array([part.row for part in parts], dtype=np.int64),
        begin=begin,
        end=begin + counts,
        characters=np.concatenate([part.characters for part in parts]) if parts else np.zeros((0, 2), np.int32),
    )


def _shortened(tokenizer: "Tokenizer", questions: Sequence[str], *, most: int) -> list[str]:
    """Questions of at most `most` tokens each."""
    short = list(questions)
    counts = [len(item) for item in tokenizer.encode_batch_fast(short, add_special_tokens=False)]
    long = [row for row, count in enumerate(counts) if count > most]
    for row, item in zip(long, tokenizer.encode_batch([short[row] for row in long], add_special_tokens=False), strict=True):
        short[row] = short[row][: item.offsets[most - 1][1]]
    return short
