"""Files of sound: what their headers say, what is refused because of it, and samples out of them; by soundfile and soxr.

Whatever looks at sound does it here: the checks, the models' preprocessing, the spectrograms of a report.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from luthier.errors import DataError, MissingExtraError

SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff")
MAX_FILE_BYTES = 1 << 30
MAX_SECONDS = 3600
MAX_CHANNELS = 32
RATES = (1_000, 384_000)
# State of a file that cannot be used -> what is said of it.
FAULTS = {
    "missing": "not there",
    "unreadable": "not readable as sound",
    "empty": "without a single sample",
    "huge": f"larger than {MAX_FILE_BYTES >> 20:,} MiB",
    "long": f"longer than {MAX_SECONDS // 60} minutes",
    "odd": f"of more than {MAX_CHANNELS} channels, or of a sample rate outside of {RATES[0]:,} to {RATES[1]:,} Hz",
}


@dataclass(frozen=True, kw_only=True)
class SoundHeader:
    """What a file says of itself.

    Attributes:
        frames: Samples of each channel.
        rate: Samples in a second.
        channels: 1 for mono.
    """

    frames: int
    rate: int
    channels: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.frames / self.rate


def is_sound_file(path: Path) -> bool:
    """Whether the name is that of a file of sound."""
    return path.suffix.lower() in SOUND_SUFFIXES


def soundfile() -> Any:
    """The library.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import soundfile
    except ImportError as error:
        raise MissingExtraError("audio", needed_for="reading sound") from error
    return soundfile


def inspect_header(path: Path) -> tuple[SoundHeader | None, str]:
    """The header of a file, and what is wrong with it: a key of `FAULTS`, or '' if it can be used. No sample is decoded."""
    library = soundfile()
    try:
        if not path.is_file():
            return None, "missing"
        size = path.stat().st_size
        if not size:
            return None, "empty"
        if size > MAX_FILE_BYTES:
            return None, "huge"
        info = library.info(str(path))
    except (OSError, ValueError, TypeError, RuntimeError):  # soundfile's own errors are RuntimeErrors
        return None, "unreadable"
    header = SoundHeader(frames=int(info.frames), rate=int(info.samplerate), channels=int(info.channels))
    return header, _judge(header)


def _judge(header: SoundHeader) -> str:
    if not 1 <= header.channels <= MAX_CHANNELS or not RATES[0] <= header.rate <= RATES[1]:
        return "odd"
    if header.frames <= 0:
        return "empty"
    return "long" if header.seconds > MAX_SECONDS else ""


def read_header(path: Path) -> SoundHeader:
    """The header of a file that can be used.

    Raises:
        DataError: it cannot; says why.
        MissingExtraError: soundfile is not installed.
    """
    header, fault = inspect_header(path)
    if fault or header is None:
        raise DataError(
            f"{path} is {FAULTS[fault]}.",
            remedy="correct the path, or replace the file (luthier check lists all such files)",
        )
    return header


def read_mono(path: Path, *, start: int = 0, frames: int = -1) -> Float[np.ndarray, " n"]:
    """Samples of a file between -1 and 1, its channels mixed down to their mean; in float32, at the rate of the file.

    Args:
        path: A file that `read_header` has accepted.
        start: The first sample.
        frames: How many; -1 for all. Where the file ends earlier there are fewer.

    Raises:
        DataError: it cannot be decoded.
    """
    library = soundfile()
    try:
        samples = library.read(str(path), start=start, frames=frames, dtype="float32", always_2d=True)[0]
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path} cannot be decoded: {reason.rstrip('.')}.",
            remedy="replace the file, or remove it (luthier check lists all such files)",
        ) from error
    return np.asarray(samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32))


def resample(samples: Float[np.ndarray, " n"], rate: int, wanted: int) -> Float[np.ndarray, " m"]:
    """Samples at another rate; as long in seconds, to the nearest sample.

    Raises:
        MissingExtraError: soxr is not installed.
    """
    if rate == wanted or not len(samples):
        return samples
    try:
        import soxr
    except ImportError as error:
        raise MissingExtraError("audio", needed_for="resampling sound") from error
    made = soxr.resample(samples, rate, wanted, quality="HQ").astype(np.float32, copy=False)
    return of_length(made, resampled_length(len(samples), rate, wanted))


def resampled_length(frames: int, rate: int, wanted: int) -> int:
    """How many samples there are at another rate: at least one.

    Example:
        >>> resampled_length(8_000, 8_000, 16_000), resampled_length(22_050, 22_050, 16_000), resampled_length(1, 48_000, 8_000)
        (16000, 16000, 1)
    """
    return max(1, (2 * frames * wanted + rate) // (2 * rate))


def of_length(samples: Float[np.ndarray, " n"], length: int) -> Float[np.ndarray, " length"]:
    """Cut off, or filled up with silence, to a length."""
    return samples[:length] if len(samples) >= length else np.pad(samples, (0, length - len(samples)))
