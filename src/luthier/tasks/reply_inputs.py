"""Model inputs of texts that a language model continues: token ids, which of them are learnt, and where the answer begins."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Int

from luthier.models.chat_template import Rendered
from luthier.models.text_processor import TextProcessor
from luthier.tasks.inputs import Batch, TokenInputs
from luthier.tasks.packing import Packs, pack
from luthier.tasks.word_inputs import IGNORED

LEAST_CONTEXT = 4  # of a text that is too long at least one part in so many stays context


@dataclass(frozen=True, kw_only=True)
class ReplyInputs:
    """Texts as token ids; each is a row.

    Attributes:
        tokens: The units, from the context that fits to the last token that is learnt.
        learnt: Of each token whether it is to be told from those before it.
        prompts: Of each unit how many tokens stand before its last answer.
        cut: Of each unit how many tokens were left out.
        lost: Of each unit how many answers could not be found in its text.
        vocabulary: How many tokens there are.
    """

    tokens: TokenInputs
    learnt: Bool[np.ndarray, " tokens"]
    prompts: Int[np.ndarray, " U"]
    cut: Int[np.ndarray, " U"]
    lost: Int[np.ndarray, " U"]
    vocabulary: int

    @classmethod
    def build(cls, texts: Sequence[Rendered], processor: TextProcessor) -> "ReplyInputs":
        """Tokens of texts, none more than the processor's longest row: see `kept_part`."""
        ids, learnt, prompts, cut = [], [], [], []
        for text, (tokens, starts, ends) in zip(texts, tokens_of(texts, processor), strict=True):
            inside = np.zeros(len(starts), dtype=bool)
            for begin, end in text.learnt:
                inside |= (starts >= begin) & (starts < end)
            prompt = int((ends <= text.opens).sum()) if inside.any() or not text.learnt else len(starts)
            first, last = kept_part(prompt, _after_last(inside, prompt), processor.max_length)
            ids.append(tokens[first:last])
            learnt.append(inside[first:last])
            prompts.append(prompt - first)
            cut.append(first + max(0, _after_last(inside, prompt) - last))
        lengths = np.array([len(row) for row in ids], dtype=np.int64)
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        flat = np.concatenate(ids) if ids else np.zeros(0, dtype=np.int32)
        return cls(
            tokens=TokenInputs.build(flat, offsets, pad_id=processor.pad_id),
            learnt=np.concatenate(learnt) if learnt else np.zeros(0, dtype=bool),
            prompts=np.array(prompts, dtype=np.int64),
            cut=np.array(cut, dtype=np.int64),
            lost=np.array([text.lost for text in texts], dtype=np.int64),
            vocabulary=processor.vocabulary_size,
        )

    @property
    def lengths(self) -> Int[np.ndarray, " U"]:
        """Tokens of each unit."""
        return self.tokens.lengths

    @property
    def keys(self) -> np.ndarray:
        """Of each unit."""
        return self.tokens.keys

    @property
    def row_of(self) -> Int[np.ndarray, " U"]:
        """Of each unit."""
        return self.tokens.row_of

    @property
    def answer_lengths(self) -> Int[np.ndarray, " U"]:
        """Tokens of the last answer of each unit."""
        return np.asarray(self.lengths - self.prompts)

    def batch(self, units: Int[np.ndarray, " B"]) -> Batch:
        """`input_ids` and `attention_mask`, int64 [B, T], padded on the right."""
        return self.tokens.batch(units)

    def light_batch(self, units: Int[np.ndarray, " B"]) -> Batch:
        """The same."""
        return self.tokens.batch(units)

    def packed_batch(self, units: Int[np.ndarray, " B"]) -> tuple[Batch, Packs]:
        """`input_ids` and `position_ids`, int64 [P, T]: several units in a row; and where each stands."""
        packs = pack(self.lengths[units])
        ids = self.tokens.batch(units)["input_ids"]
        return {"input_ids": packs.packed(ids, fill=self.tokens.pad_id), "position_ids": packs.positions}, packs

    def prompt_batch(self, units: Int[np.ndarray, " B"], *, room: int) -> Batch:
        """What stands before the last answer of some units: int64 [B, T], padded on the left, at most `room` tokens of it."""
        lengths = np.clip(self.prompts[units], 1, max(1, room))
        ids = np.full((len(units), int(lengths.max())), self.tokens.pad_id, dtype=np.int64)
        mask = np.zeros(ids.shape, dtype=np.int64)
        for row, (unit, length) in enumerate(zip(units.tolist(), lengths.tolist(), strict=True)):
            end = int(self.tokens.offsets[unit]) + int(max(1, self.prompts[unit]))
            ids[row, -length:] = self.tokens.ids[end - length : end]
            mask[row, -length:] = 1
        return {"input_ids": ids, "attention_mask": mask}

    def targets(self, units: Int[np.ndarray, " B"] | None = None) -> Int[np.ndarray, "B T"]:
        """Of each place of some units (all) the id of the next token, if it is learnt; else `IGNORED`."""
        units = np.arange(len(self.lengths)) if units is None else units
        targets = np.full((len(units), max(1, int(self.lengths[units].max(initial=1)))), IGNORED, dtype=np.int64)
        for row, unit in enumerate(units.tolist()):
            own = slice(int(self.tokens.offsets[unit]), int(self.tokens.offsets[unit + 1]))
            ids, learnt = self.tokens.ids[own], self.learnt[own]
            targets[row, : len(ids) - 1][learnt[1:]] = ids[1:][learnt[1:]]
        return targets


def tokens_of(texts: Sequence[Rendered], processor: TextProcessor) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of each text its tokens, and the characters with which each begins and ends.

    Where a token would reach from what stands before an answer into the answer, the two are cut into tokens apart: when the
    model is asked, it sees what stands before without what follows, and that is what it must learn from.
    """
    marked = processor.encode_marked([text.text for text in texts])
    for number, text in enumerate(texts):
        own = slice(int(marked.offsets[number]), int(marked.offsets[number + 1]))
        starts, ends = marked.starts[own], marked.ends[own]
        begins = sorted({begin for begin, _ in text.learnt} | {text.opens})
        if not any(((starts < begin) & (begin < ends)).any() for begin in begins):
            yield marked.ids[own], starts, ends
            continue
        places = [0, *(begin for begin in begins if 0 < begin < len(text.text)), len(text.text)]
        pieces = processor.encode_marked([text.text[start:end] for start, end in pairwise(places)])
        shifts = np.repeat(places[:-1], np.diff(pieces.offsets))
        yield pieces.ids, pieces.starts + shifts, pieces.ends + shifts


def kept_part(prompt: int, length: int, most: int) -> tuple[int, int]:
    """First and last token (not included) of what is kept of a text that may be too long.

    The context loses tokens at its beginning, so that the answer stays whole; of an answer that leaves less than a quarter of
    the room to its context, the end goes.

    Args:
        prompt: Tokens before the last answer.
        length: Tokens up to its end.
        most: Room.

    Example:
        >>> kept_part(100, 110, 64), kept_part(10, 110, 64), kept_part(100, 200, 64), kept_part(3, 9, 64)
        ((46, 110), (0, 64), (84, 148), (0, 9))
    """
    if length <= most:
        return 0, length
    context = min(prompt, max(most - (length - prompt), most // LEAST_CONTEXT))
    return prompt - context, min(length, prompt - context + most)


def _after_last(learnt: Bool[np.ndarray, " T"], prompt: int) -> int:
    """Behind the last token that is learnt: what follows it is never looked at; the prompt where there is none."""
    found = np.flatnonzero(learnt)
    return int(found[-1]) + 1 if len(found) else prompt
