"""A file of sound: a path in a column, or a file of a folder. Long ones are read in windows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from luthier.core.sound import read_header, read_mono, resample
from luthier.evaluation.baselines import SOUND_STRENGTH, standardised
from luthier.models.audio_processor import AudioProcessor
from luthier.models.mel import MelSettings, cosine_coefficients, log_mel
from luthier.tasks.audio_inputs import AudioInputs
from luthier.tasks.protocol import Modality
from luthier.tasks.readings.reading import ClassicFeatures
from luthier.tasks.readings.text import cells

if TYPE_CHECKING:
    import pyarrow as pa

CEPSTRUM = MelSettings(bands=40, low=20.0, high=7_600.0, floor=1e-10, offset=0.0, power=2, preemphasis=0.97)
NUM_COEFFICIENTS = 20
HEARD_SECONDS = 60  # of each file, by the classic baseline


class Audio:
    """One recording for each row."""

    modality: Modality = "audio"
    noun: str = "recording"
    roles: tuple[str, ...] = ("audio",)
    example: str = '"recording.wav"'
    classic: str = "means and deviations of cepstral coefficients (MFCC)"

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> Sequence[str]:
        """The paths."""
        return cells(table, roles["audio"])

    def count_tokens(self, rows: Sequence[str], processor: AudioProcessor) -> Int[np.ndarray, " N"]:
        """Milliseconds of each recording, which the longest window is fitted to."""
        return np.array([round(1000 * processor.header(Path(row)).seconds) for row in rows], dtype=np.int64)

    def encode(self, rows: Sequence[str], processor: AudioProcessor) -> AudioInputs:
        """Windows of files, to be decoded batch by batch."""
        return AudioInputs.build([Path(row) for row in rows], processor)

    def classic_features(self, train: Sequence[str], others: Sequence[str], *, seed: int) -> ClassicFeatures | None:
        """Of 20 coefficients and of their changes from frame to frame: mean and standard deviation over the recording."""
        return *standardised(_summaries(train), _summaries(others)), SOUND_STRENGTH


def _summaries(paths: Sequence[str]) -> Float[np.ndarray, "N D"]:
    return np.array([_summary(Path(path)) for path in paths]).reshape(len(paths), 4 * NUM_COEFFICIENTS)


def _summary(path: Path) -> Float[np.ndarray, " D"]:
    rate = read_header(path).rate
    samples = resample(read_mono(path, frames=HEARD_SECONDS * rate), rate, CEPSTRUM.rate)
    coefficients = cosine_coefficients(log_mel(samples, CEPSTRUM), NUM_COEFFICIENTS)
    changes = np.diff(coefficients, axis=0) if len(coefficients) > 1 else np.zeros_like(coefficients)
    return np.concatenate([part for values in (coefficients, changes) for part in (values.mean(axis=0), values.std(axis=0))])


AUDIO = Audio()
