"""Sound as model inputs: stretches of files, decoded and prepared when a batch asks for them."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from luthier.core.storage import sha256_of
from luthier.models.audio_processor import AudioProcessor, Clip
from luthier.tasks.inputs import KEY_TYPE, Batch, content_key


@dataclass(frozen=True, kw_only=True)
class AudioInputs:
    """Windows of files; a short file is one window.

    Attributes:
        clips: One stretch of a file for each unit.
        samples: Of each unit at the model's rate, with what it is filled up with.
        prepare: Clip -> the network's input.
        shape: Samples -> the shape of that input.
        name: How the network calls it.
        is_masked: Whether units differ in length, and the network is told by an `attention_mask`.
        lengths: Values that the blocks see of each unit: frames, mostly.
        keys: Hash of the file's bytes and of which stretch of it this is.
        threads: How many files are decoded at once.
    """

    clips: Sequence[Clip]
    samples: Int[np.ndarray, " U"]
    prepare: Callable[[Clip], Float[np.ndarray, "T ..."]]
    shape: Callable[[int], tuple[int, ...]]
    name: str
    is_masked: bool
    lengths: Int[np.ndarray, " U"]
    keys: np.ndarray
    row_of: Int[np.ndarray, " U"]
    threads: int = 2

    @classmethod
    def build(cls, paths: Sequence[Path], processor: AudioProcessor) -> "AudioInputs":
        """Inputs from files, each cut into as many windows as it needs.

        Raises:
            DataError: a file cannot be used.
        """
        settings = processor.audio_settings
        by_row = [processor.clips(path) for path in paths]
        clips = [clip for windows in by_row for clip in windows]
        samples = np.array([processor.samples_of(clip) for clip in clips], dtype=np.int64)
        digests = {path: sha256_of(path).encode() for path in dict.fromkeys(paths)}
        stretches = [b"%d:%d" % (clip.start, clip.frames) for clip in clips]
        keys = [content_key(digests[clip.path], stretch) for clip, stretch in zip(clips, stretches, strict=True)]
        return cls(
            clips=clips,
            samples=samples,
            prepare=lambda clip: processor.prepare(processor.read(clip)),
            shape=processor.shape,
            name=settings.name,
            is_masked=processor.is_masked,
            lengths=np.array([settings.values(int(number)) for number in samples], dtype=np.int64),
            keys=np.array(keys, dtype=KEY_TYPE),
            row_of=np.repeat(np.arange(len(by_row)), [len(windows) for windows in by_row]),
        )

    def batch(self, units: Int[np.ndarray, " B"]) -> Batch:
        """The inputs, float32 [B, T, ...], filled up with zeros to the longest, and which of T are real where they differ."""
        with ThreadPoolExecutor(self.threads) as pool:
            arrays = list(pool.map(lambda unit: self.prepare(self.clips[unit]), units))
        if not self.is_masked:
            return {self.name: np.stack(arrays)}
        filled = np.zeros((len(units), *self._longest(units)), dtype=np.float32)
        for place, array in enumerate(arrays):
            filled[place, : len(array)] = array
        return {self.name: filled, "attention_mask": self._mask(units)}

    def light_batch(self, units: Int[np.ndarray, " B"]) -> Batch:
        """Sound that nobody reads: zeros that take no memory; masks as they are."""
        light: dict[str, np.ndarray] = {
            self.name: np.broadcast_to(np.zeros((), dtype=np.float32), (len(units), *self._longest(units)))
        }
        return {**light, "attention_mask": self._mask(units)} if self.is_masked else light

    def _longest(self, units: Int[np.ndarray, " B"]) -> tuple[int, ...]:
        return self.shape(int(self.samples[units].max()))

    def _mask(self, units: Int[np.ndarray, " B"]) -> Int[np.ndarray, "B T"]:
        lengths = np.array([self.shape(int(number))[0] for number in self.samples[units]])
        return (np.arange(int(lengths.max()))[None, :] < lengths[:, None]).astype(np.int64)
