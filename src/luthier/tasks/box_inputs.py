"""Pictures with the size they have, to be stretched to one size; and boxes as targets: shares of width and height.

Every picture is scaled to the same height and width, whatever its shape. Places given as shares of the picture are then the
same before and after, so that nothing has to be moved along.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from luthier.data.boxes import Boxes, read_boxes, usable_boxes
from luthier.data.pictures import picture_size
from luthier.models.box_outputs import FILL, IGNORED_BOX, LABEL, TARGET_BOX, UNKNOWN
from luthier.models.image_processor import ImageProcessor, open_image
from luthier.tasks.box_views import View, look
from luthier.tasks.inputs import Batch, ImageInputs

if TYPE_CHECKING:
    import pyarrow as pa

STRIDE = 32  # sides of pictures are multiples of it: maps then fit onto each other
DEFAULT_SIDE = 320
TARGET_COLUMNS = 6


@dataclass(frozen=True, kw_only=True)
class BoxInputs:
    """Pictures, decoded when asked for; each is a row.

    Attributes:
        pictures: The files.
        sizes: Width and height of each picture as it is; those that cannot be read have that of the model's input.
        limit: How many boxes are answered for a picture at most.
        overlap: Of two boxes with one label that overlap more, the less sure one is left out.
        read_view: (file, view) -> float32 pixels [3, H, W] of another view of a picture.
    """

    pictures: ImageInputs
    sizes: Float[np.ndarray, "U 2"]
    limit: int
    overlap: float
    read_view: Callable[[Path, View], np.ndarray]

    @classmethod
    def build(cls, paths: Sequence[str], processor: ImageProcessor, *, limit: int, overlap: float) -> "BoxInputs":
        """Inputs from files, of the size that the preprocessing makes."""
        settings = processor.image_settings
        red, green, blue = (round(mean / settings.rescale_factor) for mean in settings.mean)

        def read(path: Path) -> Float[np.ndarray, "3 H W"]:
            return processor.normalise(processor.read(path))

        def read_view(path: Path, view: View) -> Float[np.ndarray, "3 H W"]:
            image = open_image(path, max_pixels=processor.max_pixels)
            seen = look(image, view, size=processor.size, fill=(red, green, blue), resample=settings.resample)
            return processor.normalise(seen)

        files = [Path(path) for path in paths]
        sizes = [picture_size(path) or processor.size[::-1] for path in files]
        return cls(
            pictures=ImageInputs.build(files, read, shape=(3, *processor.size)),
            sizes=np.array(sizes, dtype=np.float64).reshape(-1, 2),
            limit=limit,
            overlap=overlap,
            read_view=read_view,
        )

    @property
    def lengths(self) -> Int[np.ndarray, " U"]:
        """1 for each."""
        return self.pictures.lengths

    @property
    def keys(self) -> np.ndarray:
        """Of the files' bytes."""
        return self.pictures.keys

    @property
    def row_of(self) -> Int[np.ndarray, " U"]:
        """Each its own."""
        return self.pictures.row_of

    def batch(self, units: Int[np.ndarray, " B"]) -> Batch:
        """`pixel_values`, float32 [B, 3, H, W]."""
        return self.pictures.batch(units)

    def light_batch(self, units: Int[np.ndarray, " B"]) -> Batch:
        """Pixels nobody reads."""
        return self.pictures.light_batch(units)


def boxes_of_rows(table: "pa.Table", roles: Mapping[str, str]) -> list[Boxes | None]:
    """The boxes of each row that can be used, cut at the borders of its picture; None where the cell cannot be read."""
    cells, paths = (table.column(roles[role]).to_pylist() for role in ("target", "image"))
    return [_usable(cell, path) for cell, path in zip(cells, paths, strict=True)]


def _usable(cell: str | None, path: str | None) -> Boxes | None:
    try:
        return usable_boxes(read_boxes(cell), picture_size(path or ""))
    except ValueError:
        return None


def box_targets(
    rows: Sequence[Boxes | None], labels: Sequence[str], sizes: Float[np.ndarray, "N 2"]
) -> Float[np.ndarray, "N M 6"]:
    """Label; left, top, width, height as shares of the picture; 1 for boxes that are not to be learnt. Filled up with `FILL`.

    A row that cannot be read, or has a box whose label is none of `labels`, has one place with the label `UNKNOWN`.
    """
    index = {label: place for place, label in enumerate(labels)}
    most = max([1, *(len(row) for row in rows if row is not None)])
    targets = np.full((len(rows), most, TARGET_COLUMNS), FILL, dtype=np.float32)
    for number, row in enumerate(rows):
        if row is None or any(label not in index for label in row.labels):
            targets[number, 0, LABEL] = UNKNOWN
            continue
        count = len(row)
        targets[number, :count, LABEL] = [index[label] for label in row.labels]
        targets[number, :count, TARGET_BOX] = row.places / np.tile(sizes[number], 2)
        targets[number, :count, IGNORED_BOX] = ~row.counted
    return targets


def fitting_size(sizes: Sequence[tuple[int, int]], side: int) -> tuple[int, int]:
    """Height and width with the usual shape of some pictures (given as width, height), the longer of `side` pixels.

    Both are multiples of 32, the shorter one rounded up.

    Example:
        >>> fitting_size([(640, 480)] * 3, 320), fitting_size([], 100)
        ((256, 320), (128, 128))
    """
    shape = float(np.exp(np.median(np.log([width / height for width, height in sizes])))) if sizes else 1.0
    longer = -(-side // STRIDE) * STRIDE
    shorter = max(STRIDE, int(np.ceil(longer * min(shape, 1 / shape) / STRIDE - 1e-6)) * STRIDE)
    return (shorter, longer) if shape >= 1 else (longer, shorter)
