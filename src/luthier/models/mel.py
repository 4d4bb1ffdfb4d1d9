"""Log-mel spectrograms in NumPy, as the feature extractors of Whisper and AST and YAMNet's front end make them.

One function for all: what differs between families is a value of `MelSettings`. Tests hold the results equal to transformers'
own extractors, and to the filters that come with YAMNet's weights.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Float

MelScale = Literal["htk", "kaldi", "slaney"]
FRAMES_AT_ONCE = 4096


@dataclass(frozen=True, kw_only=True)
class MelSettings:
    """How a spectrogram is made of samples.

    Attributes:
        rate: Samples in a second.
        bands: Mel bands.
        low, high: The edges of the lowest and the highest band, in Hz.
        scale: Which formula of mel.
        window: Samples of a frame. `step`: from one frame to the next. `fft`: what each is filled up to.
        periodic: Whether the Hann window ends one sample before its period does.
        centred: Whether frames lie around their place, the ends of the sound mirrored; the last is left out, as Whisper does.
        power: 1 for magnitudes, 2 for their squares.
        area: Whether each band is divided by its width (Slaney).
        in_mel: Whether the triangles are drawn on the mel axis (Kaldi) or on that of Hz.
        preemphasis: What of each sample is taken off the next, after the mean of the frame (0: neither).
        floor: The least value of a band before the logarithm. `offset`: what is added to every one instead.
        base: Of the logarithm: `e`, or `10`, with Whisper's range of 8 below the loudest and its scale around 0.
    """

    rate: int = 16_000
    bands: int = 64
    low: float = 125.0
    high: float = 7_500.0
    scale: MelScale = "htk"
    window: int = 400
    step: int = 160
    fft: int = 512
    periodic: bool = True
    centred: bool = False
    power: int = 1
    area: bool = False
    in_mel: bool = False
    preemphasis: float = 0.0
    floor: float = 0.0
    offset: float = 0.001
    base: Literal["e", "10"] = "e"

    def num_frames(self, samples: int) -> int:
        """How many frames so many samples give: at least one.

        Example:
            >>> MelSettings().num_frames(15_600), MelSettings(centred=True).num_frames(16_000), MelSettings().num_frames(7)
            (96, 100, 1)
        """
        if self.centred:
            return max(1, samples // self.step)
        return max(1, 1 + (samples - self.window) // self.step)


YAMNET = MelSettings(in_mel=True)
WHISPER = MelSettings(
    bands=80,
    low=0.0,
    high=8_000.0,
    scale="slaney",
    fft=400,
    centred=True,
    power=2,
    area=True,
    floor=1e-10,
    offset=0.0,
    base="10",
)
AST = MelSettings(
    bands=128, low=20.0, high=8_000.0, scale="kaldi", periodic=False, power=2, in_mel=True, preemphasis=0.97,
    floor=1.192092955078125e-07, offset=0.0,
)  # fmt: skip


def log_mel(samples: Float[np.ndarray, " n"], settings: MelSettings) -> Float[np.ndarray, "T bands"]:
    """The spectrogram of some samples, float32. What is shorter than a frame is filled up with silence.

    Example:
        >>> log_mel(np.zeros(15_600, dtype=np.float32), YAMNET).shape
        (96, 64)
    """
    num_frames = settings.num_frames(len(samples))
    samples = np.asarray(samples, dtype=np.float64)
    if settings.centred:
        samples = np.pad(samples, settings.window // 2, mode="reflect" if len(samples) > settings.window // 2 else "constant")
    needed = settings.window + (num_frames - 1) * settings.step
    if len(samples) < needed:
        samples = np.pad(samples, (0, needed - len(samples)))
    frames = np.lib.stride_tricks.sliding_window_view(samples, settings.window)[:: settings.step][:num_frames]
    filters, window = mel_filters(settings), hann(settings)
    bands = np.concatenate(
        [
            _bands(frames[start : start + FRAMES_AT_ONCE], filters, window, settings)
            for start in range(0, num_frames, FRAMES_AT_ONCE)
        ]
    )
    return _logarithm(bands, settings).astype(np.float32)


def _bands(
    frames: Float[np.ndarray, "t window"],
    filters: Float[np.ndarray, "bins bands"],
    window: Float[np.ndarray, " window"],
    settings: MelSettings,
) -> Float[np.ndarray, "t bands"]:
    if settings.preemphasis:
        frames = frames - frames.mean(axis=1, keepdims=True)
        before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
        frames = frames - settings.preemphasis * before
    spectrum = np.abs(np.fft.rfft(frames * window, settings.fft))
    return np.asarray((spectrum**2 if settings.power == 2 else spectrum) @ filters)


def _logarithm(bands: Float[np.ndarray, "T bands"], settings: MelSettings) -> Float[np.ndarray, "T bands"]:
    bands = np.maximum(bands, settings.floor) + settings.offset
    if settings.base == "e":
        return np.asarray(np.log(bands))
    logarithms = np.log10(bands)
    return np.asarray((np.maximum(logarithms, logarithms.max() - 8.0) + 4.0) / 4.0)


def hann(settings: MelSettings) -> Float[np.ndarray, " window"]:
    """The window that each frame is multiplied by."""
    period = settings.window if settings.periodic else settings.window - 1
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(settings.window) / period))


@lru_cache(maxsize=16)
def mel_filters(settings: MelSettings) -> Float[np.ndarray, "bins bands"]:
    """How much each frequency counts in each band: triangles, each from its lower neighbour's top to its upper neighbour's."""
    to_mel, to_hz = SCALES[settings.scale]
    edges = np.linspace(to_mel(np.array(settings.low)), to_mel(np.array(settings.high)), settings.bands + 2)
    frequencies = np.linspace(0, settings.rate / 2, settings.fft // 2 + 1)
    places, tops = (to_mel(frequencies), edges) if settings.in_mel else (frequencies, to_hz(edges))
    distance = tops[None, :] - places[:, None]
    widths = np.diff(tops)
    rising, falling = -distance[:, :-2] / widths[:-1], distance[:, 2:] / widths[1:]
    filters = np.maximum(0.0, np.minimum(rising, falling))
    filters = filters * (2.0 / (tops[2:] - tops[:-2])) if settings.area else filters
    filters.flags.writeable = False
    return np.asarray(filters)


def cosine_coefficients(bands: Float[np.ndarray, "T bands"], number: int) -> Float[np.ndarray, "T number"]:
    """Cepstral coefficients (MFCC): the cosine transform of each frame, orthonormal, its first `number` values.

    Source: Davis & Mermelstein, Comparison of parametric representations for monosyllabic word recognition, 1980.
    """
    width = bands.shape[1]
    angles = np.pi / width * (np.arange(width) + 0.5)[:, None] * np.arange(number)[None, :]
    basis = np.sqrt(2.0 / width) * np.cos(angles)
    basis[:, 0] /= np.sqrt(2.0)
    return np.asarray(bands @ basis)


def _htk(hertz: np.ndarray) -> np.ndarray:
    return np.asarray(2595.0 * np.log10(1.0 + hertz / 700.0))


def _from_htk(mels: np.ndarray) -> np.ndarray:
    return np.asarray(700.0 * (10.0 ** (mels / 2595.0) - 1.0))


def _kaldi(hertz: np.ndarray) -> np.ndarray:
    return np.asarray(1127.0 * np.log(1.0 + hertz / 700.0))


def _from_kaldi(mels: np.ndarray) -> np.ndarray:
    return np.asarray(700.0 * (np.exp(mels / 1127.0) - 1.0))


def _slaney(hertz: np.ndarray) -> np.ndarray:
    """Straight up to 1,000 Hz, logarithmic above."""
    above = 15.0 + np.log(np.maximum(hertz, 1_000.0) / 1_000.0) * (27.0 / np.log(6.4))
    return np.where(hertz >= 1_000.0, above, 3.0 * hertz / 200.0)


def _from_slaney(mels: np.ndarray) -> np.ndarray:
    above = 1_000.0 * np.exp(np.log(6.4) / 27.0 * (np.maximum(mels, 15.0) - 15.0))
    return np.where(mels >= 15.0, above, 200.0 * mels / 3.0)


Curve = Callable[[np.ndarray], np.ndarray]
SCALES: Mapping[MelScale, tuple[Curve, Curve]] = {
    "htk": (_htk, _from_htk),
    "kaldi": (_kaldi, _from_kaldi),
    "slaney": (_slaney, _from_slaney),
}
