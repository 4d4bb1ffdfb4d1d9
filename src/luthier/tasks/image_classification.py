"""One label for a picture."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from luthier.core.decision import Decision
from luthier.data.schema import Schema
from luthier.evaluation.baselines import pixels_logistic
from luthier.models.processors import ImageProcessor
from luthier.tasks.inputs import ImageInputs
from luthier.tasks.protocol import Baseline
from luthier.tasks.single_label import SingleLabel
from luthier.tasks.text_classification import class_mean, majority


class ImageClassification(SingleLabel):
    """Columns: an image and a label; or a folder with one sub-folder per label."""

    name = "image-classification"
    modality = "image"
    input_role = "image"

    @property
    def baselines(self) -> Sequence[Baseline]:  # type: ignore[override]
        """The most frequent label; logistic regression on small pictures; nearest class mean of the pre-trained features."""
        return (
            Baseline(name="majority", needs_features=False, fit_predict=majority),
            Baseline(name="classic", needs_features=False, fit_predict=_pixels),
            Baseline(name="pretrained", needs_features=True, fit_predict=class_mean),
        )

    def match(self, schema: Schema) -> Decision[bool]:
        """An image column beside a label column."""
        return self.match_roles(schema)

    def encode(self, rows: Sequence[str], processor: ImageProcessor) -> ImageInputs:
        """Files, to be decoded batch by batch."""

        def read(path: Path) -> Float[np.ndarray, "3 H W"]:
            return processor.normalise(processor.read(path))

        return ImageInputs.build([Path(row) for row in rows], read, shape=(3, *processor.size))


def _pixels(
    train_rows: Sequence[str], targets: Int[np.ndarray, " N"], rows: Sequence[str], seed: int
) -> Float[np.ndarray, "M C"]:
    return pixels_logistic(_thumbnails(train_rows), targets, _thumbnails(rows), num_labels=int(targets.max()) + 1, seed=seed)


def _thumbnails(paths: Sequence[str], side: int = 16) -> Float[np.ndarray, "N D"]:
    """Pictures as side x side RGB pixels in [0, 1], flattened."""
    from PIL import Image

    pixels = np.empty((len(paths), side, side, 3), dtype=np.float32)
    for row, path in enumerate(paths):
        with Image.open(path) as image:
            image.draft("RGB", (4 * side, 4 * side))
            pixels[row] = np.asarray(image.convert("RGB").resize((side, side)), dtype=np.float32) / 255
    return pixels.reshape(len(paths), -1)


TASK = ImageClassification()
