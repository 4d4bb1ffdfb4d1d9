"""Pictures of strangers: a file that cannot be read costs its own row, not the whole prediction."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from luthier.errors import LuthierError
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
            self.faults[str(path)] = error.problem.removeprefix(f"{path} ").rstrip(".")
            return np.zeros((3, *self.size), dtype=np.uint8)


def fault_of_file(path: Path) -> str:
    """Why a file cannot even be opened; empty if it can."""
    try:
        with path.open("rb"):
            return ""
    except FileNotFoundError:
        return "there is no such file"
    except (OSError, ValueError) as error:
        return f"cannot be opened ({getattr(error, 'strerror', None) or error})"
