"""Documents as blocks of token ids for language models: nothing is cut off, and no block holds two documents.

Each block has the tokenizer's own special tokens around it. Where tokens are told from those before them, a block also begins
with the last token of the one before it, which it does not tell again: so each token of a document is told exactly once.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int
from tokenizers import Encoding, Tokenizer

from luthier.errors import ModelError

DOCUMENTS_AT_ONCE = 1_000
LEAST_ROOM = 4
MOST_TOKENS_PER_WORD = 8.0  # more of them on average: the tokenizer makes no words, but pieces of whole sentences


@dataclass(frozen=True, kw_only=True)
class BlockRows:
    """Blocks of many documents, end to end: block `i` is `ids[offsets[i] : offsets[i + 1]]`.

    Attributes:
        row_of: The document of each block, ascending; each has at least one.
        told: Of each token, whether it is text that this block is to tell: not a special token around it, nor context.
        words: Of each token a number that it shares with the other tokens of its word, and with no other word.
    """

    ids: Int[np.ndarray, " tokens"]
    offsets: Int[np.ndarray, " blocks_plus_1"]
    row_of: Int[np.ndarray, " blocks"]
    told: Bool[np.ndarray, " tokens"]
    words: Int[np.ndarray, " tokens"]


@dataclass(frozen=True, kw_only=True)
class BlockForm:
    """How documents are cut.

    Attributes:
        before, after: Special tokens around each block.
        max_length: Of a block, in tokens, with all that is around it.
        end: The token that closes a document, and is told like its text; None: nothing does.
        overlaps: Whether each block but the first of a document begins with the last token of the one before.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    max_length: int
    end: int | None = None
    overlaps: bool = False

    @property
    def room(self) -> int:
        """For what a block tells.

        Raises:
            ModelError: there is hardly any.
        """
        left = self.max_length - len(self.before) - len(self.after) - self.overlaps
        if left < LEAST_ROOM:
            raise ModelError(
                f"Blocks of {self.max_length} tokens leave room for {max(left, 0)} tokens of a text.",
                remedy=f"--max-length {self.max_length - left + 4 * LEAST_ROOM}",
            )
        return left


def encode_blocks(tokenizer: Tokenizer, documents: Sequence[str], form: BlockForm) -> BlockRows:
    """Cut documents into blocks.

    Args:
        tokenizer: Neither cuts nor pads.
        documents: One text each; an empty one becomes a block without text.
        form: How they are cut.
    """
    ids, told, words, lengths, rows = [], [], [], [], []
    for row, (tokens, word_of) in enumerate(_tokens_of(tokenizer, documents, form)):
        for start in range(0, max(len(tokens), 1), form.room):
            context = 1 if form.overlaps and start else 0
            own = slice(start - context, start + form.room)
            ids.append(np.concatenate([form.before, tokens[own], form.after]))
            inside = np.zeros(len(ids[-1]), dtype=bool)
            inside[len(form.before) + context : len(ids[-1]) - len(form.after)] = True
            told.append(inside)
            words.append(np.concatenate([np.full(len(form.before), -1), word_of[own], np.full(len(form.after), -1)]))
            lengths.append(len(ids[-1]))
            rows.append(row)
    whole = BlockRows(
        ids=_joined(ids, np.int32),
        offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(np.array(lengths, dtype=np.int64))]),
        row_of=np.array(rows, dtype=np.int64),
        told=_joined(told, np.bool_),
        words=_joined(words, np.int64),
    )
    return _with_distinct_words(whole)


def _joined(parts: Sequence[np.ndarray], kind: type[np.generic]) -> np.ndarray:
    return np.concatenate(parts).astype(kind) if parts else np.zeros(0, dtype=kind)


def _tokens_of(
    tokenizer: Tokenizer, documents: Sequence[str], form: BlockForm
) -> list[tuple[Int[np.ndarray, " T"], Int[np.ndarray, " T"]]]:
    """Ids of each document without special tokens, its end among them; and the word of each within the document."""
    found = []
    for start in range(0, len(documents), DOCUMENTS_AT_ONCE):
        for encoding in tokenizer.encode_batch(list(documents[start : start + DOCUMENTS_AT_ONCE]), add_special_tokens=False):
            tokens, word_of = np.array(encoding.ids, dtype=np.int64), _words_of(encoding)
            if form.end is not None:
                tokens, word_of = np.append(tokens, form.end), np.append(word_of, word_of.max(initial=-1) + 1)
            found.append((tokens, word_of))
    return found


def _words_of(encoding: Encoding) -> Int[np.ndarray, " T"]:
    return np.array([-1 if word is None else word for word in encoding.word_ids], dtype=np.int64)


def _with_distinct_words(rows: BlockRows) -> BlockRows:
    """Words numbered through all blocks; every token its own where the tokenizer knows no words."""
    block_of = np.repeat(np.arange(len(rows.row_of)), np.diff(rows.offsets))
    _, numbers = np.unique(block_of * (rows.words.max(initial=0) + 2) + rows.words + 1, return_inverse=True)
    count = len(np.unique(numbers[rows.told])) if rows.told.any() else 1
    if rows.told.sum() > MOST_TOKENS_PER_WORD * count:
        numbers = np.arange(len(rows.ids))
    return BlockRows(**{**vars(rows), "words": np.asarray(numbers, dtype=np.int64).reshape(-1)})


def frame_around(tokenizer: Tokenizer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The special tokens that a tokenizer puts before and after a text."""
    encoding = tokenizer.encode("a")
    own = [place for place, special in enumerate(encoding.special_tokens_mask) if not special]
    first, last = (own[0], own[-1] + 1) if own else (len(encoding.ids), len(encoding.ids))
    return tuple(encoding.ids[:first]), tuple(encoding.ids[last:])


def special_ids_of(tokenizer_json: str) -> frozenset[int]:
    """The ids that a `tokenizer.json` calls special: they are marks, never text."""
    added = json.loads(tokenizer_json).get("added_tokens") or []
    return frozenset(int(token["id"]) for token in added if token.get("special"))
