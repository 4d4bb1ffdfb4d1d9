"""Blocks of documents as language models read them, with the tokens that are to be told of each. NumPy only.

Labels stand where the network gives its answer: at the token before the one that is told, or at the masked token itself.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64

from luthier.data.keys import mix
from luthier.errors import ModelError
from luthier.models.blocks import BlockRows
from luthier.models.processors import TextProcessor
from luthier.tasks.inputs import Batch, TokenInputs
from luthier.tasks.word_inputs import IGNORED

MASKED_SHARE = 0.15
MASK_SHARE, RANDOM_SHARE = 0.8, 0.1  # of the tokens that are to be told; the others stay as they are


@dataclass(frozen=True, kw_only=True)
class CausalInputs:
    """Every token is to be told from those before it.

    Attributes:
        tokens: The blocks.
        told: Of each token, whether it is to be told.
        vocabulary: How many tokens there are.
    """

    tokens: TokenInputs
    told: Bool[np.ndarray, " tokens"]
    vocabulary: int

    @classmethod
    def build(cls, rows: BlockRows, processor: TextProcessor) -> "CausalInputs":
        """Inputs from the blocks that a processor has made."""
        return cls(tokens=_tokens(rows, processor), told=rows.told, vocabulary=processor.vocabulary_size)

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
        """The document of each unit."""
        return self.tokens.row_of

    def batch(self, units: Int[np.ndarray, " B"]) -> Batch:
        """`input_ids` and `attention_mask`."""
        return self.tokens.batch(units)

    def light_batch(self, units: Int[np.ndarray, " B"]) -> Batch:
        """The same."""
        return self.tokens.light_batch(units)

    def labels(self, units: Int[np.ndarray, " B"]) -> Int[np.ndarray, "B T"]:
        """At each token the one that follows it; `IGNORED` where none is to be told."""
        flat = np.where(self.told, self.tokens.ids, IGNORED)
        following = np.append(flat[1:], IGNORED)
        following[self.tokens.offsets[1:] - 1] = IGNORED  # what follows there is another block
        return _padded(self.tokens, following, units)


@dataclass(frozen=True, kw_only=True)
class MaskedInputs:
    """Some tokens of each unit are hidden, and are to be told from all others.

    Whole words are drawn, each with a chance of 15 in 100, and one in every unit at least. Of the tokens drawn 80 in 100 become
    the mask, 10 another token, and 10 stay as they are. What is drawn follows from the text of the unit and the number of the
    view alone: equal units are masked alike, whatever stands beside them.

    Source: Devlin et al., BERT, 2019, section 3.1; its authors' later release for whole words.

    Attributes:
        tokens: The blocks as they are written.
        told: Of each token, whether it is text.
        words: Of each token, the number of its word.
        mask_id: What hides a token.
        ordinary: The ids that may stand in its place.
        vocabulary: How many tokens there are.
        view: Which drawing.
    """

    tokens: TokenInputs
    told: Bool[np.ndarray, " tokens"]
    words: Int[np.ndarray, " tokens"]
    mask_id: int
    ordinary: Int[np.ndarray, " V"]
    vocabulary: int
    view: int = 0
    views_differ_by: str = "other words are hidden in each epoch"

    @classmethod
    def build(cls, rows: BlockRows, processor: TextProcessor) -> "MaskedInputs":
        """Inputs from the blocks that a processor has made, in the view that validation and test are always measured in.

        Raises:
            ModelError: the tokenizer has no mask.
        """
        if "mask" not in processor.special_ids:
            raise ModelError(
                "The model's tokenizer has no token that hides another (mask_token in its tokenizer_config.json).",
                remedy="--task causal-language-modeling, or another --model",
            )
        return cls(
            tokens=_tokens(rows, processor),
            told=rows.told,
            words=rows.words,
            mask_id=processor.special_ids["mask"],
            ordinary=processor.ordinary_ids,
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
        """The document of each unit."""
        return self.tokens.row_of

    def in_view(self, view: int) -> "MaskedInputs":
        """The same units with other tokens hidden."""
        return replace(self, view=view)

    def batch(self, units: Int[np.ndarray, " B"]) -> Batch:
        """`input_ids` and `attention_mask`, tokens hidden."""
        return replace(self.tokens, ids=self._shown).batch(units)

    def light_batch(self, units: Int[np.ndarray, " B"]) -> Batch:
        """The same."""
        return self.batch(units)

    def labels(self, units: Int[np.ndarray, " B"]) -> Int[np.ndarray, "B T"]:
        """The tokens that were drawn; `IGNORED` at all others."""
        return _padded(self.tokens, np.where(self._drawn, self.tokens.ids, IGNORED), units)

    @cached_property
    def _unit_of(self) -> Int[np.ndarray, " tokens"]:
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def _chance(self, place: Int[np.ndarray, " tokens"], purpose: int) -> Float[np.ndarray, " tokens"]:
        """A number from 0 to 1 for each token, from the text of its unit, a place in it, the view and a purpose."""
        texts: UInt64[np.ndarray, " U"] = np.frombuffer(self.keys.tobytes(), dtype="<u8").reshape(len(self.keys), -1)[:, 0]
        start = mix(texts ^ mix(np.array([4 * self.view + purpose], dtype=np.uint64)))
        return np.asarray((mix(start[self._unit_of] + place.astype(np.uint64)) >> np.uint64(11)) * 2.0**-53)

    @cached_property
    def _drawn(self) -> Bool[np.ndarray, " tokens"]:
        starts = self.tokens.offsets[:-1]
        first_words = self.words[np.minimum(starts, max(len(self.words) - 1, 0))]
        chance = self._chance(self.words - first_words[self._unit_of], 0)
        chance[~self.told] = np.inf
        least = np.minimum.reduceat(chance, starts) if len(starts) else chance
        return np.asarray(self.told & ((chance < MASKED_SHARE) | (chance == least[self._unit_of])))

    @cached_property
    def _shown(self) -> Int[np.ndarray, " tokens"]:
        place = np.arange(len(self.tokens.ids)) - self.tokens.offsets[:-1][self._unit_of]
        kind, other = self._chance(place, 1), self._chance(place, 2)
        others = self.ordinary[(other * len(self.ordinary)).astype(np.int64)]
        shown = np.where(kind < MASK_SHARE, self.mask_id, np.where(kind < MASK_SHARE + RANDOM_SHARE, others, self.tokens.ids))
        return np.where(self._drawn, shown, self.tokens.ids).astype(self.tokens.ids.dtype)


LanguageInputs = CausalInputs | MaskedInputs


def _tokens(rows: BlockRows, processor: TextProcessor) -> TokenInputs:
    return TokenInputs.build(rows.ids, rows.offsets, pad_id=processor.pad_id, row_of=rows.row_of)


def _padded(tokens: TokenInputs, flat: Int[np.ndarray, " tokens"], units: Int[np.ndarray, " B"]) -> Int[np.ndarray, "B T"]:
    """Numbers of tokens as rows of units, as wide as the longest unit of all."""
    padded = np.full((len(units), int(tokens.lengths.max(initial=1))), IGNORED, dtype=np.int64)
    lengths = tokens.lengths[units]
    mask = np.arange(padded.shape[1])[None, :] < lengths[:, None]
    places = np.repeat(tokens.offsets[units] - np.cumsum(lengths) + lengths, lengths) + np.arange(int(lengths.sum()))
    padded[mask] = flat[places]
    return padded
