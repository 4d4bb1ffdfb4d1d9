"""Errors of texts, in the pieces that the right text has: words (WER) or characters (CER). 0 is right; it can be above 1.

Sums over examples: all errors over all pieces of the right texts, as the field reports them, so that long texts count as their
length. Pieces put in, left out and changed count alike (jiwer's definition). Spaces are characters.

Source: Morris, Maier & Green, From WER and RIL to MER and WIL, 2004.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from luthier.evaluation.edit_distance import edit_distance
from luthier.evaluation.records import Direction, Predictions


@dataclass(frozen=True, kw_only=True)
class ErrorRate:
    """Errors over pieces.

    Attributes:
        pieces: What a text is made of.
        silence: What a model scores that answers nothing: every piece is left out.
    """

    name: str
    pieces: Callable[[str], Sequence[str]]
    direction: Direction = "lower"
    silence: float = 1.0

    def stats(self, predictions: Predictions) -> Float[np.ndarray, "N 2"]:
        """Errors of each example, and how many pieces its right text has."""
        pairs = zip(predictions.table["target"].to_pylist(), predictions.table["prediction"].to_pylist(), strict=True)
        both = [(self.pieces(target or ""), self.pieces(prediction or "")) for target, prediction in pairs]
        counts = [(edit_distance(target, said), len(target)) for target, said in both]
        return np.array(counts, dtype=np.float64).reshape(-1, 2)

    def value(self, summed: Float[np.ndarray, "*S 2"]) -> Float[np.ndarray, "*S"]:
        """All errors over all pieces."""
        return np.asarray(summed[..., 0] / np.maximum(summed[..., 1], 1))


WER = ErrorRate(name="wer", pieces=str.split)
CER = ErrorRate(name="cer", pieces=list)
