"""How well the right text is told, token by token, and how often an answer is the right text.

The loss is that of tokens that count (of an answer, not of its prompt), summed over examples and divided by all their tokens,
so that long texts count as their length. Perplexity is its exponential: among how many equally likely tokens the model
hesitates.
Both depend on the tokenizer: they compare models that have the same one.

Source: Jelinek et al. 1977, "Perplexity: a measure of the difficulty of speech recognition tasks".
"""

import unicodedata
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from luthier.evaluation.records import Direction, Predictions

LOSS, TOKENS = "loss", "tokens"  # columns of predictions: summed over the tokens that count, and how many these are
_LARGEST = 700.0  # of what can be put into an exponential


@dataclass(frozen=True, kw_only=True)
class TokenMeasure:
    """A function of the loss per token.

    Attributes:
        is_exponential: Whether its exponential is given.
    """

    name: str
    is_exponential: bool
    direction: Direction = "lower"

    def stats(self, predictions: Predictions) -> Float[np.ndarray, "N 2"]:
        """Loss and tokens of each example."""
        columns = [predictions.table[name].to_numpy(zero_copy_only=False) for name in (LOSS, TOKENS)]
        return np.stack(columns, axis=1).astype(np.float64)

    def value(self, summed: Float[np.ndarray, "*S 2"]) -> Float[np.ndarray, "*S"]:
        """All losses over all tokens, or e to that power."""
        loss = np.asarray(summed[..., 0] / np.maximum(summed[..., 1], 1))
        return np.exp(np.minimum(loss, _LARGEST)) if self.is_exponential else loss


@dataclass(frozen=True, kw_only=True)
class SameText:
    """How often an answer is the right text: letter by letter, but for white space and how accents are composed."""

    name: str = "same_text"
    direction: Direction = "higher"

    def stats(self, predictions: Predictions) -> Float[np.ndarray, "N 2"]:
        """1 for the same text, and one for the count."""
        pairs = zip(predictions.table["target"].to_pylist(), predictions.table["prediction"].to_pylist(), strict=True)
        same = np.array([compared(target) == compared(said) for target, said in pairs], dtype=np.float64)
        return np.stack([same, np.ones(len(same))], axis=1)

    def value(self, summed: Float[np.ndarray, "*S 2"]) -> Float[np.ndarray, "*S"]:
        """The share."""
        return np.asarray(summed[..., 0] / np.maximum(summed[..., 1], 1))


def compared(text: str | None) -> str:
    """A text as it is compared.

    Example:
        >>> compared(" two\\n words ") == compared("two words"), compared("1.5") == compared("15")
        (True, False)
    """
    return " ".join(unicodedata.normalize("NFC", text or "").split())


TOKEN_LOSS = TokenMeasure(name="token_loss", is_exponential=False)
PERPLEXITY = TokenMeasure(name="perplexity", is_exponential=True)
SAME_TEXT = SameText()
