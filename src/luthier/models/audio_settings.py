"""How sound becomes a model's input, read from what transformers' feature extractors write: Wav2Vec2, Whisper and AST."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from luthier.core.names import describe_unknown
from luthier.errors import ModelError
from luthier.models.mel import AST, WHISPER, MelSettings

LONGEST_SECONDS = 30.0  # heard at once by networks that set no limit themselves: attention grows with the square
ANOTHER = "choose another model (luthier models --modality audio)"
EXTRACTOR_OF = {  # what prepares the sound of a family whose file does not say
    "wav2vec2": "Wav2Vec2FeatureExtractor",
    "hubert": "Wav2Vec2FeatureExtractor",
    "wavlm": "Wav2Vec2FeatureExtractor",
    "whisper": "WhisperFeatureExtractor",
    "audio-spectrogram-transformer": "ASTFeatureExtractor",
}


@dataclass(frozen=True, kw_only=True)
class AudioSettings:
    """How a stretch of sound becomes the model's input.

    Attributes:
        rate: Samples in a second that the model takes.
        name: How the network calls its input.
        normalise: Whether samples are brought to mean 0 and variance 1 first.
        mel: The spectrogram that is made of them; None: the model takes the samples.
        bands_first: Whether it is [bands, T] and not [T, bands].
        mean: Taken off the spectrogram. `scale`: what it is divided by after that.
        samples: The one length of all units; None: each is as long as it is, and the network is told by an `attention_mask`.
        pads: What short units are filled up with: silence, or frames of zeros.
        is_own_length: Whether `samples` is the network's own and not chosen to fit the data.
        longest: Seconds of the longest unit; what is longer is cut into windows.
        convolutions: (kernel, step) of what shortens the input before the first block.
        seen: Of units of one length: how many values the blocks see of each; None: found by `convolutions`.
        is_in_time: Whether what leaves the network is a state for each moment, in order; patches and maps are not.
    """

    rate: int = 16_000
    name: str = "input_values"
    normalise: bool = False
    mel: MelSettings | None = None
    bands_first: bool = False
    mean: float = 0.0
    scale: float = 1.0
    samples: int | None = None
    pads: Literal["silence", "zeros"] = "silence"
    is_own_length: bool = False
    longest: float = LONGEST_SECONDS
    convolutions: tuple[tuple[int, int], ...] = ()
    seen: int | None = None
    is_in_time: bool = True

    @property
    def window(self) -> int:
        """Samples of the longest unit."""
        return self.samples or int(self.longest * self.rate)

    def length(self, samples: int) -> int:
        """The length of the array that is made of so many samples: samples, or frames of the spectrogram."""
        samples = self.samples or samples
        return samples if self.mel is None else self.mel.num_frames(samples)

    def values(self, samples: int) -> int:
        """How many values the blocks see of so many samples: at least one.

        Example:
            >>> AudioSettings(convolutions=((10, 5), (3, 2))).values(16_000)
            1599
        """
        if self.seen is not None:
            return self.seen
        length = self.length(samples)
        for kernel, step in self.convolutions:
            length = (length - kernel) // step + 1
        return max(1, length)

    @property
    def least(self) -> int:
        """Samples that give at least one value; shorter sound is filled up with silence."""
        length = 1
        for kernel, step in reversed(self.convolutions):
            length = (length - 1) * step + kernel
        return length if self.mel is None else self.mel.window + (length - 1) * self.mel.step

    def for_seconds(self, seconds: float) -> "AudioSettings":
        """The same for units of at most so many seconds, where the network leaves the choice."""
        if self.is_own_length:
            return self
        window = max(self.least, int(seconds * self.rate))
        return replace(self, longest=window / self.rate, samples=window if self.samples is not None else None)


def settings_from_config(config: Mapping[str, Any], network: Mapping[str, Any], path: Path) -> AudioSettings:
    """Settings from a `preprocessor_config.json` and the `config.json` beside it.

    Raises:
        ModelError: it asks for an extractor or a step that is not known here.
    """
    name = str(config.get("feature_extractor_type") or EXTRACTOR_OF.get(str(network.get("model_type")), ""))
    if name not in READERS:
        raise ModelError(
            describe_unknown("feature extractor", name, READERS) + f" It is named in {path}.",
            remedy=ANOTHER,
        )
    unusual = {key: config[key] for key in ("dither", "padding_value") if config.get(key)}
    if unusual:
        asked = ", ".join(f"{key} {value}" for key, value in unusual.items())
        raise ModelError(f"{path} asks for {asked}, which Luthier does not do.", remedy=ANOTHER)
    try:
        return READERS[name](config, network)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise ModelError(f"{path} holds values that make no sense: {error}.", remedy=ANOTHER) from error


def _wav2vec2(config: Mapping[str, Any], network: Mapping[str, Any]) -> AudioSettings:
    kernels, steps = network.get("conv_kernel", (10, 3, 3, 3, 3, 2, 2)), network.get("conv_stride", (5, 2, 2, 2, 2, 2, 2))
    convolutions = [(int(kernel), int(step)) for kernel, step in zip(kernels, steps, strict=True)]
    if network.get("add_adapter"):
        convolutions += [(1, int(network.get("adapter_stride", 2)))] * int(network.get("num_adapter_layers", 3))
    rate = int(config.get("sampling_rate", 16_000))
    return AudioSettings(
        rate=rate,
        normalise=bool(config.get("do_normalize", True)),
        # Networks with group norm were trained without a mask: everything they hear at once must then be of one length.
        samples=None if config.get("return_attention_mask") else int(LONGEST_SECONDS * rate),
        convolutions=tuple(convolutions),
    )


def _whisper(config: Mapping[str, Any], network: Mapping[str, Any]) -> AudioSettings:
    if config.get("do_normalize"):
        raise ValueError("do_normalize is set")
    fft, rate = int(config.get("n_fft", 400)), int(config.get("sampling_rate", 16_000))
    mel = replace(
        WHISPER,
        rate=rate,
        bands=int(config.get("feature_size", 80)),
        window=fft,
        fft=fft,
        step=int(config.get("hop_length", 160)),
    )
    samples = int(config.get("chunk_length", 30)) * rate
    return AudioSettings(
        rate=rate,
        name="input_features",
        mel=mel,
        bands_first=True,
        samples=samples,
        is_own_length=True,
        longest=samples / rate,
        seen=-(-mel.num_frames(samples) // 2),
    )


def _ast(config: Mapping[str, Any], network: Mapping[str, Any]) -> AudioSettings:
    rate, frames = int(config.get("sampling_rate", 16_000)), int(config.get("max_length", 1024))
    mel = replace(AST, rate=rate, bands=int(config.get("num_mel_bins", 128)), high=float(rate // 2))
    samples = mel.window + (frames - 1) * mel.step
    patch = int(network.get("patch_size", 16))
    places = [
        (size - patch) // int(network.get(step, 10)) + 1
        for size, step in ((mel.bands, "frequency_stride"), (frames, "time_stride"))
    ]
    normalises = config.get("do_normalize", True)
    return AudioSettings(
        rate=rate,
        mel=mel,
        mean=float(config.get("mean", -4.2677393)) if normalises else 0.0,
        scale=2 * float(config.get("std", 4.5689974)) if normalises else 1.0,
        samples=samples,
        pads="zeros",
        is_own_length=True,
        longest=samples / rate,
        seen=places[0] * places[1] + 2,
        is_in_time=False,
    )


READERS = {"ASTFeatureExtractor": _ast, "Wav2Vec2FeatureExtractor": _wav2vec2, "WhisperFeatureExtractor": _whisper}
