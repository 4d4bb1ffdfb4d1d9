"""A picture: a path in a column, or a file of a folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from luthier.evaluation.baselines import pixel_features
from luthier.models.image_processor import READ_ERRORS, ImageProcessor
from luthier.tasks.inputs import ImageInputs
from luthier.tasks.protocol import Modality
from luthier.tasks.readings.reading import ClassicFeatures
from luthier.tasks.readings.text import cells

if TYPE_CHECKING:
    import pyarrow as pa


class Image:
    """One picture for each row."""

    modality: Modality = "image"
    noun: str = "image"
    roles: tuple[str, ...] = ("image",)
    example: str = '"photo.jpg"'
    classic: str = "the main components of small pictures"

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> Sequence[str]:
        """The paths."""
        return cells(table, roles["image"])

    def count_tokens(self, rows: Sequence[str], processor: ImageProcessor) -> Int[np.ndarray, " N"]:
        """Pictures all have one size."""
        return np.ones(len(rows), dtype=np.int64)

    def encode(self, rows: Sequence[str], processor: ImageProcessor) -> ImageInputs:
        """Files, to be decoded batch by batch."""

        def read(path: Path) -> Float[np.ndarray, "3 H W"]:
            return processor.normalise(processor.read(path))

        return ImageInputs.build([Path(row) for row in rows], read, shape=(3, *processor.size))

    def classic_features(self, train: Sequence[str], others: Sequence[str], *, seed: int) -> ClassicFeatures | None:
        """Whitened main components of pictures of 16 x 16 pixels."""
        return pixel_features(thumbnails(train), thumbnails(others), seed=seed)


def thumbnails(paths: Sequence[str], *, side: int = 16, missing: float | None = None) -> Float[np.ndarray, "N D"]:
    """Pictures as side x side RGB pixels in [0, 1], flattened.

    Args:
        missing: What stands for files that cannot be read; None lets them raise.
    """
    from PIL import Image as Pictures

    pixels = np.empty((len(paths), side, side, 3), dtype=np.float32)
    for row, path in enumerate(paths):
        try:
            with Pictures.open(path) as image:
                image.draft("RGB", (4 * side, 4 * side))
                pixels[row] = np.asarray(image.convert("RGB").resize((side, side)), dtype=np.float32) / 255
        except READ_ERRORS:
            if missing is None:
                raise
            pixels[row] = missing
    return pixels.reshape(len(paths), -1)


IMAGE = Image()
