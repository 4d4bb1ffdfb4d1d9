"""Files of sound to a model's input without torch or transformers: decoded, mixed down, resampled, cut into windows, and made
into what the model's `preprocessor_config.json` says (samples or a log-mel spectrogram). soundfile, soxr and NumPy.

Where a network has a log-mel front end of its own kind, it lives here too, not in the network: then it is in the fingerprint
that stored activations are found by, `lengths` are frames, and a server without torch can prepare sound.
Differences from transformers' extractors, on purpose: what is longer than the model hears becomes several windows instead of
being cut off; any rate and any number of channels is taken.
"""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from luthier.core.decision import Decision
from luthier.core.records import from_plain, to_plain
from luthier.core.sound import SoundHeader, of_length, read_header, read_mono, resample, resampled_length
from luthier.core.storage import write_json
from luthier.errors import ModelError
from luthier.models.audio_settings import AudioSettings, settings_from_config
from luthier.models.mel import log_mel
from luthier.models.refusal import MAX_CONFIG_BYTES
from luthier.models.strict_json import read_strict_json
from luthier.models.text_processor import TextProcessor

PREPROCESSOR = "preprocessor_config.json"
WHOLE_PROCESSOR = "processor_config.json"  # what newer versions of transformers write for a processor of two parts
PROCESSOR = "processor.json"
MAX_WINDOW_SECONDS = 600
MAX_BANDS = 1024


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A stretch of a file of sound, which the model hears at once.

    Attributes:
        start: Its first sample in the file.
        frames: Its samples in the file.
        rate: Samples in a second of the file.
    """

    path: Path
    start: int
    frames: int
    rate: int


class AudioProcessor:
    """Reads files of sound as the model's own feature extractor would.

    Args:
        settings: How.
        text: What cuts transcripts into tokens, of a model that writes them itself.

    Raises:
        ModelError: the settings ask for what cannot be, such as windows of hours.
    """

    kind = "audio"

    def __init__(self, settings: AudioSettings, *, text: TextProcessor | None = None) -> None:
        mel = settings.mel
        sound = 1_000 <= settings.rate <= 384_000 and settings.least <= settings.window <= MAX_WINDOW_SECONDS * settings.rate
        if (
            not sound
            or not settings.scale
            or (mel and not (1 <= mel.bands <= MAX_BANDS and 0 < mel.window <= mel.fft <= 1 << 16))
        ):
            raise ModelError(
                f"The preprocessing asks for {settings.window / max(1, settings.rate):,.1f} seconds at {settings.rate:,} Hz, "
                f"which cannot be done (at most {MAX_WINDOW_SECONDS} seconds, 1,000 to 384,000 Hz, {MAX_BANDS:,} bands).",
                remedy=f"correct {PREPROCESSOR}",
            )
        self.audio_settings = settings
        self.text = text

    def for_seconds(self, seconds: float) -> "AudioProcessor":
        """The same for units of at most so many seconds, where the network leaves the choice."""
        return AudioProcessor(self.audio_settings.for_seconds(seconds), text=self.text)

    def with_text(self, text: TextProcessor) -> "AudioProcessor":
        """The same with what cuts transcripts into tokens."""
        return AudioProcessor(self.audio_settings, text=text)

    @property
    def seconds(self) -> float:
        """What is heard at once, at most."""
        return self.audio_settings.window / self.audio_settings.rate

    @property
    def is_masked(self) -> bool:
        """Whether units differ in length, and the network is told by an `attention_mask`."""
        return self.audio_settings.samples is None

    def header(self, path: Path) -> SoundHeader:
        """What a file says of itself.

        Raises:
            DataError: it cannot be used.
        """
        return read_header(path)

    def clips(self, path: Path) -> list[Clip]:
        """The windows of a file: as few as cover it, evenly spaced, so that the last one is as long as the others.

        Raises:
            DataError: it cannot be used.
        """
        header = self.header(path)
        window = max(1, self.audio_settings.window * header.rate // self.audio_settings.rate)
        number = -(-header.frames // window)
        length = min(window, header.frames)
        starts = np.linspace(0, header.frames - length, number).astype(np.int64).tolist() if number > 1 else [0]
        return [Clip(path=path, start=start, frames=length, rate=header.rate) for start in starts]

    def samples_of(self, clip: Clip) -> int:
        """How many samples a clip has at the model's rate, what it is filled up with included."""
        settings = self.audio_settings
        samples = min(settings.window, resampled_length(clip.frames, clip.rate, settings.rate))
        return settings.samples or max(samples, settings.least)

    def read(self, clip: Clip) -> Float[np.ndarray, " n"]:
        """A clip's samples at the model's rate, mono, not filled up.

        Raises:
            DataError: the file cannot be decoded.
        """
        samples = of_length(read_mono(clip.path, start=clip.start, frames=clip.frames), clip.frames)
        return resample(samples, clip.rate, self.audio_settings.rate)[: self.audio_settings.window]

    def prepare(self, samples: Float[np.ndarray, " n"]) -> Float[np.ndarray, "T ..."]:
        """The network's input, float32: [T], or a spectrogram [T, bands] or [bands, T].

        Args:
            samples: Mono, at the model's rate, at most as many as it hears at once.
        """
        settings = self.audio_settings
        wanted = settings.samples or max(len(samples), settings.least)
        if settings.normalise:
            samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
        if settings.mel is None:
            return np.ascontiguousarray(of_length(samples, wanted), dtype=np.float32)
        if settings.pads == "silence":
            samples = of_length(samples, wanted)
        bands = log_mel(samples, settings.mel)
        bands = np.pad(bands, ((0, max(0, settings.mel.num_frames(wanted) - len(bands))), (0, 0)))
        bands = ((bands - settings.mean) / settings.scale).astype(np.float32)
        return np.ascontiguousarray(bands.T if settings.bands_first else bands)

    def shape(self, samples: int) -> tuple[int, ...]:
        """The shape of what `prepare` makes of so many samples."""
        mel, length = self.audio_settings.mel, self.audio_settings.length(samples)
        if mel is None:
            return (length,)
        return (mel.bands, length) if self.audio_settings.bands_first else (length, mel.bands)

    def settings(self) -> dict[str, Any]:
        """All that decides the result: JSON types."""
        written = {} if self.text is None else {"text": self.text.settings()}
        return {"kind": self.kind, "audio": to_plain(self.audio_settings), **written, "schema_version": 1}

    def fingerprint(self) -> str:
        """A digest of all settings: equal fingerprints give equal inputs (with the same libraries)."""
        return hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write `processor.json` into a folder, and the tokenizer if there is one."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.text is not None:
            self.text.save(folder)
        write_json(folder / PROCESSOR, self.settings())

    @classmethod
    def load(cls, folder: Path) -> "AudioProcessor":
        """From a folder that `save` wrote, or from any Hugging Face folder with a `preprocessor_config.json`.

        Raises:
            ModelError: there is none, or it asks for a step that is not known here.
        """
        saved = folder / PROCESSOR
        if saved.is_file() and (content := _read(saved)).get("kind") == cls.kind:
            try:
                text = TextProcessor.from_settings(content["text"], folder) if "text" in content else None
                return cls(from_plain(AudioSettings, content["audio"]), text=text)
            except (KeyError, TypeError, ValueError) as error:
                raise ModelError(f"{saved} is damaged: {error}.", remedy="copy the model folder again") from error
        for name in (PREPROCESSOR, WHOLE_PROCESSOR):
            if (path := folder / name).is_file():
                content = _read(path)
                network = _read(folder / "config.json") if (folder / "config.json").is_file() else {}
                return cls(settings_from_config(content.get("feature_extractor", content), network, path))
        raise ModelError(f"{folder} has no {PREPROCESSOR}.", remedy=f"copy it from the model's own source into {folder}")


def choose_max_seconds(
    seconds: Float[np.ndarray, " N"], processor: AudioProcessor, *, asked: float | None = None
) -> Decision[float]:
    """What a network hears at once: its own length; or what was asked for; or the longest training clip, within limits.

    Args:
        seconds: Of each training clip.
        processor: Before it is fitted to them.
        asked: By the user.

    Example:
        >>> processor = AudioProcessor(AudioSettings(longest=30.0))
        >>> choose_max_seconds(np.array([0.5, 2.301]), processor).value
        2.31
    """
    longest = float(seconds.max(initial=0.0))
    cut = f"; {np.mean(seconds > processor.seconds):.1%} of the training clips are longer and are cut into windows"
    if processor.audio_settings.is_own_length:
        own = processor.seconds
        wish = f"asked for {asked:g}, but the model" if asked is not None and abs(asked - own) > 0.01 else "the model"
        reason = f"{wish} hears {own:g} seconds at once, no more and no less" + (cut if longest > own else "")
        return Decision(name="max_seconds", value=own, reason=reason)
    if asked is not None:
        return Decision(name="max_seconds", value=asked, reason="as asked")
    fitting = min(math.ceil(longest * 100) / 100, processor.audio_settings.longest)
    reason = "the longest training clip fits" if longest <= fitting else f"more is too much at once{cut}"
    return Decision(name="max_seconds", value=fitting, reason=reason, override="--max-seconds SECONDS")


def _read(path: Path) -> dict[str, Any]:
    content = read_strict_json(path, max_bytes=MAX_CONFIG_BYTES)
    return content if isinstance(content, dict) else {}
