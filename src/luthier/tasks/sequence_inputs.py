"""Sources of any kind with the answers that are to be written from them, as encoder-decoders take both. NumPy only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from luthier.errors import ModelError
from luthier.models.text_processor import TextProcessor
from luthier.tasks.inputs import Batch, Inputs
from luthier.tasks.word_inputs import IGNORED

PROMPT = ("language", "task", "untimed")  # special tokens that stand in front of transcripts, where a model has them


@dataclass(frozen=True, kw_only=True)
class SequenceInputs:
    """Units of a source, each with the tokens of its answer.

    The decoder reads the network's own first token and then the answer without its end, and tells the answer with its end.
    What is stored of a unit is what its encoder sees, so that its key is that of its source.

    Attributes:
        sources: What the encoder reads.
        ids: Tokens of all answers, one after the other, each with its end.
        offsets: Where each answer begins; one more at the end. A unit without an answer has no tokens.
        start_id: The token that the decoder begins with.
        pad_id: The id that fills up short answers.
    """

    sources: Inputs
    ids: Int[np.ndarray, " tokens"]
    offsets: Int[np.ndarray, " U1"]
    start_id: int
    pad_id: int

    @classmethod
    def build(cls, sources: Inputs, answers: Sequence[Sequence[int]], *, start_id: int, pad_id: int) -> "SequenceInputs":
        """Inputs from the tokens of each unit's answer."""
        flat = [token for answer in answers for token in answer]
        offsets = np.concatenate([[0], np.cumsum([len(answer) for answer in answers])]).astype(np.int64)
        return cls(sources=sources, ids=np.array(flat, dtype=np.int64), offsets=offsets, start_id=start_id, pad_id=pad_id)

    @property
    def lengths(self) -> Int[np.ndarray, " U"]:
        """Of the sources."""
        return self.sources.lengths

    @property
    def answer_lengths(self) -> Int[np.ndarray, " U"]:
        """Tokens of each answer, its end included; 0 where there is none."""
        return np.diff(self.offsets)

    @property
    def keys(self) -> np.ndarray:
        """Of the sources."""
        return self.sources.keys

    @property
    def row_of(self) -> Int[np.ndarray, " U"]:
        """The row of each unit."""
        return self.sources.row_of

    def batch(self, units: Int[np.ndarray, " B"]) -> Batch:
        """What the encoder takes; `decoder_input_ids` and `decoder_attention_mask`, int64 [B, L]."""
        return {**self.sources.batch(units), **self._decoder(units)}

    def light_batch(self, units: Int[np.ndarray, " B"]) -> Batch:
        """The same, of the source only what a run from the store needs."""
        return {**self.sources.light_batch(units), **self._decoder(units)}

    def labels(self, units: Int[np.ndarray, " B"], *, width: int | None = None) -> Int[np.ndarray, "B L"]:
        """The answers of some units, filled up with `IGNORED` to the longest of them, or to a width."""
        lengths = self.answer_lengths[units]
        width = max(1, int(lengths.max(initial=0))) if width is None else width
        padded = np.full((len(units), width), IGNORED, dtype=np.int64)
        mask = np.arange(width)[None, :] < lengths[:, None]
        begins = np.repeat(self.offsets[units] - np.cumsum(lengths) + lengths, lengths)
        padded[mask] = self.ids[begins + np.arange(int(lengths.sum()))]
        return padded

    def _decoder(self, units: Int[np.ndarray, " B"]) -> Batch:
        labels = self.labels(units)
        ids = np.where(labels == IGNORED, self.pad_id, labels)
        ids = np.concatenate([np.full((len(ids), 1), self.start_id), ids[:, :-1]], axis=1)
        read = np.maximum(self.answer_lengths[units], 1)
        mask = np.arange(ids.shape[1])[None, :] < read[:, None]
        return {"decoder_input_ids": ids, "decoder_attention_mask": mask.astype(np.int64)}


def answer_tokens(texts: Sequence[str | None], processor: TextProcessor) -> list[list[int]]:
    """Tokens of each answer as the decoder is to write them: with the model's special tokens, and an end; None has none.

    Raises:
        ModelError: the tokenizer has no token that ends a text.
    """
    end, start = end_of(processor), processor.special_ids.get("start")
    rows = processor.encode([text or "" for text in texts])
    ids = [rows.row(number).tolist() for number in range(len(texts))]
    ids = [row[1:] if row[:1] == [start] else row for row in ids]  # Whisper's tokenizer puts the decoder's first token in front
    ids = [[*_prompt_of(processor, row), *row] for row in ids]
    return [
        [] if text is None else found if found[-1:] == [end] else [*found[: processor.max_length - 1], end]
        for text, found in zip(texts, ids, strict=True)
    ]


def _prompt_of(processor: TextProcessor, answer: Sequence[int]) -> list[int]:
    """What a model that hears is told behind its first token: language, task, no times; as far as the answer lacks it."""
    prompt = [processor.special_ids[name] for name in PROMPT if name in processor.special_ids]
    return prompt[:-1] if prompt and prompt[-1:] == list(answer[:1]) else prompt


def end_of(processor: TextProcessor) -> int:
    """The token that ends a text.

    Raises:
        ModelError: there is none.
    """
    for name in ("eos", "sep"):
        if name in processor.special_ids:
            return processor.special_ids[name]
    raise ModelError(
        "The model's tokenizer names no token that ends a text, so that no answer would ever end.",
        remedy='name it in tokenizer_config.json: "eos_token": "</s>"',
    )


def start_of(processor: TextProcessor) -> int:
    """The token that the decoder begins with.

    Raises:
        ModelError: the model's configuration does not say.
    """
    if "start" in processor.special_ids:
        return processor.special_ids["start"]
    raise ModelError(
        "The model's config.json names no `decoder_start_token_id`: nothing says how its decoder begins an answer.",
        remedy="choose an encoder-decoder that states it, such as T5, BART or Marian; or write it into config.json",
    )
