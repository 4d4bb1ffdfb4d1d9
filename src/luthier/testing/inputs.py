"""Model inputs made of arrays in memory, for tests of modalities that have no files at hand: sound, spectrograms, pixels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from luthier.models.audio_settings import AudioSettings
from luthier.tasks.inputs import KEY_TYPE, Batch, TokenInputs, content_key
from luthier.testing.backbones import CONVOLUTIONS, FAMILIES, VOCABULARY


@dataclass(frozen=True, kw_only=True)
class ArrayInputs:
    """One array per row.

    Attributes:
        name: The name the network takes them by: `pixel_values`, `input_values`.
        arrays: The rows; with `padded` their first axes may differ.
        padded: Whether batches are filled up with zeros and come with an `attention_mask`.
    """

    name: str
    arrays: Sequence[np.ndarray]
    padded: bool
    lengths: Int[np.ndarray, " N"]
    keys: np.ndarray
    row_of: Int[np.ndarray, " N"]

    @classmethod
    def build(
        cls, name: str, arrays: Sequence[np.ndarray], *, padded: bool = False, seen: Callable[[int], int] = int
    ) -> "ArrayInputs":
        """Inputs from float32 arrays; the key of a row is the hash of its values.

        Args:
            seen: Length of an array -> how many values the blocks see of it.
        """
        lengths = np.array([seen(len(array)) if padded else 1 for array in arrays], dtype=np.int64)
        keys = np.array([content_key(array.tobytes()) for array in arrays], dtype=KEY_TYPE)
        return cls(name=name, arrays=arrays, padded=padded, lengths=lengths, keys=keys, row_of=np.arange(len(keys)))

    def batch(self, rows: Int[np.ndarray, " B"]) -> Batch:
        """The arrays [B, ...], and their `attention_mask` [B, T] if they are padded."""
        chosen = [self.arrays[row] for row in rows]
        if not self.padded:
            return {self.name: np.stack(chosen)}
        filled = np.zeros((len(chosen), max(map(len, chosen)), *chosen[0].shape[1:]), dtype=np.float32)
        for place, array in enumerate(chosen):
            filled[place, : len(array)] = array
        return {self.name: filled, **self._mask(rows)}

    def light_batch(self, rows: Int[np.ndarray, " B"]) -> Batch:
        """Zeros without memory in the place of the arrays."""
        longest = max(len(self.arrays[row]) for row in rows)
        shape = (longest, *self.arrays[0].shape[1:]) if self.padded else self.arrays[0].shape
        zeros = np.broadcast_to(np.zeros((), dtype=np.float32), (len(rows), *shape))
        return {self.name: zeros, **(self._mask(rows) if self.padded else {})}

    def _mask(self, rows: Int[np.ndarray, " B"]) -> Mapping[str, np.ndarray]:
        lengths = np.array([len(self.arrays[row]) for row in rows])
        return {"attention_mask": (np.arange(int(lengths.max()))[None, :] < lengths[:, None]).astype(np.int64)}


def family_inputs(family: str, *, num_rows: int, seed: int) -> TokenInputs | ArrayInputs:
    """Random rows that a tiny network of a family takes; texts and (where the family allows it) sounds of different lengths."""
    generator = np.random.default_rng(seed)
    modality = FAMILIES[family][2]
    if modality == "text":
        lengths = generator.integers(3, 20, num_rows)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        return TokenInputs.build(generator.integers(3, VOCABULARY, int(offsets[-1])), offsets, pad_id=0)
    if modality == "audio":
        is_padded = family != "wav2vec2-base"
        sizes = generator.integers(150, 500, num_rows) if is_padded else np.full(num_rows, 300)
        arrays = [generator.standard_normal(size, dtype=np.float32) for size in sizes]
        return ArrayInputs.build("input_values", arrays, padded=is_padded, seen=AudioSettings(convolutions=CONVOLUTIONS).values)
    name, shape = ("pixel_values", (3, 32, 32)) if modality == "image" else ("input_features", (8, 40))
    return ArrayInputs.build(name, [generator.standard_normal(shape, dtype=np.float32) for _ in range(num_rows)])
