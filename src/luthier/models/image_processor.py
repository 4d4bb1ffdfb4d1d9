"""Image files to pixels without torch or transformers: PIL and NumPy, as the model's `preprocessor_config.json` says.

Differences from transformers' processors, on purpose: the camera's orientation (EXIF) is applied, huge images are refused
from their header before a pixel is decoded, and every image comes out in one size (where the configuration only scales the
short edge, the middle square is taken).
"""

import hashlib
import json
import struct
import zlib
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, UInt8

from luthier.core.storage import write_json
from luthier.errors import DataError, MissingExtraError, ModelError
from luthier.models.image_settings import ImageSettings, settings_from_config, settings_from_saved
from luthier.models.refusal import MAX_CONFIG_BYTES
from luthier.models.strict_json import read_strict_json

if TYPE_CHECKING:
    from PIL.Image import Image

PREPROCESSOR = "preprocessor_config.json"
PROCESSOR = "processor.json"
MAX_PIXELS = 50_000_000
MAX_SIDE = 4096
READ_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    struct.error,
    zlib.error,
    MemoryError,
)


class ImageProcessor:
    """Reads image files as the model's own processor does.

    Args:
        settings: How.
        max_pixels: Larger images are refused from their header.
    """

    kind = "image"

    def __init__(self, settings: ImageSettings, *, max_pixels: int = MAX_PIXELS) -> None:
        sides = [*settings.size, *(settings.resize or ()), settings.resize_short_edge or 1]
        if not all(1 <= side <= MAX_SIDE for side in sides):
            raise ModelError(
                f"The preprocessing asks for images of {' x '.join(map(str, settings.size))}; 1 to {MAX_SIDE} is possible.",
                remedy=f"correct {PREPROCESSOR}",
            )
        self.image_settings = settings
        self.max_pixels = max_pixels
        self._levels = _level_table(settings)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of what comes out."""
        return self.image_settings.size

    def with_size(self, size: tuple[int, int]) -> "ImageProcessor":
        """The same, but that every image is stretched to this height and width, whatever its shape."""
        settings = replace(self.image_settings, resize=size, resize_short_edge=None, crop=None)
        return ImageProcessor(settings, max_pixels=self.max_pixels)

    def read(self, path: Path) -> UInt8[np.ndarray, "3 height width"]:
        """One image file as pixels of the model's size, not yet normalised.

        Raises:
            DataError: the file is missing, damaged, no image, or has more than `max_pixels`.
        """
        image = open_image(path, max_pixels=self.max_pixels)
        height, width = self.scaled_size(image.height, image.width)
        if height * width > self.max_pixels:  # a strip of 1 x 1,000,000 would grow with its short edge
            raise _too_large(
                path, f"the shape {image.width:,} x {image.height:,}, which scales to {width:,} x {height:,}", self.max_pixels
            )
        return self.scale(image)

    def scaled_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of an image after scaling, before cropping."""
        settings = self.image_settings
        if settings.resize_short_edge:
            return short_edge_size(height, width, settings.resize_short_edge)
        return settings.resize or (height, width)

    def scale(self, image: "Image") -> UInt8[np.ndarray, "3 height width"]:
        """An RGB image, scaled and cropped."""
        settings = self.image_settings
        height, width = self.scaled_size(image.height, image.width)
        if settings.resize or settings.resize_short_edge:
            image = image.resize((width, height), resample=settings.resample)
        pixels: UInt8[np.ndarray, "3 height width"] = np.asarray(image).transpose(2, 0, 1)
        return np.ascontiguousarray(center_crop(pixels, settings.crop) if settings.crop else pixels)

    def normalise(self, pixels: UInt8[np.ndarray, "*batch 3 height width"]) -> Float[np.ndarray, "*batch 3 height width"]:
        """Pixels as the numbers that the model takes (float32)."""
        channels = [self._levels[channel][pixels[..., channel, :, :]] for channel in range(3)]
        return np.stack(channels, axis=-3)

    def settings(self) -> dict[str, Any]:
        """All that decides the result: JSON types."""
        return {"kind": self.kind, **asdict(self.image_settings), "max_pixels": self.max_pixels, "schema_version": 1}

    def fingerprint(self) -> str:
        """A digest of all settings: equal fingerprints give equal pixels (with the same Pillow)."""
        return hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write `processor.json` into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / PROCESSOR, self.settings())

    @classmethod
    def load(cls, folder: Path) -> "ImageProcessor":
        """From a folder that `save` wrote, or from any Hugging Face folder with a `preprocessor_config.json`.

        Raises:
            ModelError: there is none, or it asks for a step that is not known here.
        """
        saved = folder / PROCESSOR
        if saved.is_file() and (content := _read(saved)).get("kind") == cls.kind:
            return cls(settings_from_saved(content), max_pixels=content["max_pixels"])
        path = folder / PREPROCESSOR
        if not path.is_file():
            raise ModelError(f"{folder} has no {PREPROCESSOR}.", remedy=f"copy it from the model's own source into {folder}")
        return cls(settings_from_config(_read(path), path))


def open_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> "Image":
    """An image file as RGB, upright, decoded to its last row.

    Raises:
        DataError: the file is missing, damaged, no image, or too large; nothing is decoded of one too large.
        MissingExtraError: Pillow is not installed.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise MissingExtraError("image", needed_for="reading images") from None

    bombs = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    try:
        with Image.open(path) as image:
            if image.width * image.height > max_pixels:
                raise _too_large(path, f"{image.width:,} x {image.height:,} pixels", max_pixels)
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))
    except bombs:
        raise _too_large(path, "far more pixels than a photograph", max_pixels) from None
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.", remedy="correct the path, or drop the row") from None
    except READ_ERRORS as error:
        raise DataError(
            f"{path} cannot be read as an image: {str(error) or type(error).__name__}.",
            remedy="replace the file, or remove it (luthier check lists all such files)",
        ) from error


def _too_large(path: Path, what: str, max_pixels: int) -> DataError:
    return DataError(
        f"{path} has {what}; at most {max_pixels / 1e6:g} million pixels are read.",
        remedy=f"make {path.name} smaller, or remove it",
    )


def _to_rgb(image: "Image") -> "Image":
    from PIL import Image

    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16"):  # PIL would cut 16 bits off at 255 instead of scaling them
        return Image.fromarray((np.asarray(image, dtype=np.uint16) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def short_edge_size(height: int, width: int, edge: int) -> tuple[int, int]:
    """Height and width after scaling the shorter edge to `edge`, rounded down as torchvision and transformers do.

    Example:
        >>> short_edge_size(300, 451, 256)
        (256, 384)
    """
    if width <= height:
        return int(edge * height / width), edge
    return edge, int(edge * width / height)


def center_crop(pixels: UInt8[np.ndarray, "3 h w"], size: tuple[int, int]) -> UInt8[np.ndarray, "3 height width"]:
    """The middle of an image; what lies outside of it is black."""
    for axis, wanted in zip((1, 2), size, strict=True):
        missing = wanted - pixels.shape[axis]
        if missing > 0:
            around = [(0, 0), (0, 0), (0, 0)]
            around[axis] = (-(-missing // 2), missing // 2)
            pixels = np.pad(pixels, around)
    top, left = (pixels.shape[1] - size[0]) // 2, (pixels.shape[2] - size[1]) // 2
    return pixels[:, top : top + size[0], left : left + size[1]]


def _level_table(settings: ImageSettings) -> Float[np.ndarray, "3 256"]:
    """What each of the 256 levels becomes in each channel, in the steps and precision that transformers uses."""
    scaled = (np.arange(256, dtype=np.float64) * settings.rescale_factor).astype(np.float32)
    mean, std = (np.array(values, dtype=np.float32)[:, None] for values in (settings.mean, settings.std))
    table: Float[np.ndarray, "3 256"] = (scaled[None, :] - mean) / std
    return table


def _read(path: Path) -> dict[str, Any]:
    content = read_strict_json(path, max_bytes=MAX_CONFIG_BYTES)
    return content if isinstance(content, dict) else {}
