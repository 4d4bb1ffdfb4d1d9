"""Files of strangers: one that cannot be read costs its own row, not the whole prediction."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from luthier.core.sound import FAULTS, SoundHeader, inspect_header
from luthier.errors import LuthierError
from luthier.models.audio_processor import AudioProcessor, Clip
from luthier.models.image_processor import ImageProcessor


class TolerantReader(ImageProcessor):
    """An image processor that gives black pictures for files that cannot be read, and remembers why.

    Attributes:
        faults: Path -> what is wrong with it.
    """

    def __init__(self, processor: ImageProcessor) -> None:
        super().__init__(processor.image_settings, max_pixels=processor.max_pixels)
        self.faults: dict[str, str] = {}

    def read(self, path: Path) -> UInt8[np.ndarray, "3 height width"]:
        """The pixels, or black ones."""
        try:
            return super().read(path)
        except LuthierError as error:
            self.faults[str(path)] = _fault_in(error, path)
            return np.zeros((3, *self.size), dtype=np.uint8)


class TolerantListener(AudioProcessor):
    """An audio processor that gives a moment of silence for files that cannot be read, and remembers why.

    Attributes:
        faults: Path -> what is wrong with it.
    """

    def __init__(self, processor: AudioProcessor) -> None:
        super().__init__(processor.audio_settings, text=processor.text)
        self.faults: dict[str, str] = {}

    def header(self, path: Path) -> SoundHeader:
        """What a file says of itself; of one that cannot be used, that it is a single sample."""
        header, fault = inspect_header(path)
        if not fault and header is not None:
            return header
        self.faults[str(path)] = f"is {FAULTS[fault]}"
        return SoundHeader(frames=1, rate=self.audio_settings.rate, channels=1)

    def read(self, clip: Clip) -> Float[np.ndarray, " n"]:
        """The samples, or silence."""
        if str(clip.path) in self.faults:
            return np.zeros(1, dtype=np.float32)
        try:
            return super().read(clip)
        except LuthierError as error:
            self.faults[str(clip.path)] = _fault_in(error, clip.path)
            return np.zeros(1, dtype=np.float32)


def tolerant(processor: ImageProcessor | AudioProcessor) -> TolerantReader | TolerantListener:
    """The processor, but for files that may not be readable."""
    return TolerantListener(processor) if isinstance(processor, AudioProcessor) else TolerantReader(processor)


def faults_of(paths: Sequence[str]) -> dict[int, str]:
    """What is wrong with files that cannot even be opened, by their place."""
    return {place: fault for place, path in enumerate(paths) if (fault := fault_of_file(Path(path)))}


def fault_of_file(path: Path) -> str:
    """Why a file cannot even be opened; empty if it can."""
    try:
        with path.open("rb"):
            return ""
    except FileNotFoundError:
        return "there is no such file"
    except (OSError, ValueError) as error:
        return f"cannot be opened ({getattr(error, 'strerror', None) or error})"


def _fault_in(error: LuthierError, path: Path) -> str:
    return error.problem.removeprefix(f"{path} ").rstrip(".")
