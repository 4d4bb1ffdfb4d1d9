"""Other views of pictures, boxes moved along: mirrored, in other colours, cut or smaller. Drawn anew in every step, by a seed.

Use when: there are some hundred pictures or fewer, and time: frozen blocks must see every view, so that nothing can be stored.
Cost: the whole network runs in every step, also where only its upper blocks train.
Suggested values: `light` where places or sizes matter (medical pictures taken alike); `strong` for photographs.
Source: Liu et al. 2016, "SSD: single shot multibox detector" (cuts and smaller pictures); Redmon et al. 2016, "You only look
once" (colours).
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float, Int, UInt8

from luthier.models.box_outputs import FILL, IGNORED_BOX, LABEL, TARGET_BOX
from luthier.tasks.inputs import Batch

if TYPE_CHECKING:
    from PIL.Image import Image

Strength = Literal["light", "strong"]
LEAST_VISIBLE = (
    0.4  # share of a box that must be left for it to be learnt; with less it is learnt neither as a box nor as nothing
)
COLOUR = 0.25  # how far brightness, contrast and saturation go, up and down
SMALLEST, LARGEST = 0.5, 1.3  # side of the window that is seen, in sides of the picture


@dataclass(frozen=True, kw_only=True)
class View:
    """How a picture is looked at.

    Attributes:
        window: Left, top, right, bottom of what is seen, as shares of the picture; beyond it there is a plain colour.
        mirrored: Whether left and right change places, after that.
        brightness, contrast, saturation: Factors.
    """

    window: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    mirrored: bool = False
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0


def draw_view(generator: np.random.Generator, strength: Strength) -> View:
    """A view drawn at random."""
    mirrored = bool(generator.random() < 0.5)
    brightness, contrast, saturation = generator.uniform(1 - COLOUR, 1 + COLOUR, 3).tolist()
    window = (0.0, 0.0, 1.0, 1.0)
    if strength == "strong" and generator.random() < 0.8:
        side = float(np.exp(generator.uniform(np.log(SMALLEST), np.log(LARGEST))))
        stretch = float(np.exp(generator.uniform(-0.15, 0.15)))
        width, height = min(side * stretch, LARGEST), min(side / stretch, LARGEST)
        left, top = (float(generator.uniform(min(0, 1 - length), max(0, 1 - length))) for length in (width, height))
        window = (left, top, left + width, top + height)
    return View(window=window, mirrored=mirrored, brightness=brightness, contrast=contrast, saturation=saturation)


def look(
    image: "Image", view: View, *, size: tuple[int, int], fill: tuple[int, int, int], resample: int
) -> UInt8[np.ndarray, "3 H W"]:
    """The pixels of a view, at the height and width asked for; `fill` is what is beyond the picture."""
    from PIL import Image as Pictures
    from PIL import ImageEnhance

    height, width = size
    left, top, right, bottom = view.window
    seen = (max(0.0, left), max(0.0, top), min(1.0, right), min(1.0, bottom))
    scale_x, scale_y = width / (right - left), height / (bottom - top)
    place = (round((seen[0] - left) * scale_x), round((seen[1] - top) * scale_y))
    extent = (
        max(1, min(width - place[0], round((seen[2] - seen[0]) * scale_x))),
        max(1, min(height - place[1], round((seen[3] - seen[1]) * scale_y))),
    )
    source = (seen[0] * image.width, seen[1] * image.height, seen[2] * image.width, seen[3] * image.height)
    canvas = Pictures.new("RGB", (width, height), fill)
    canvas.paste(image.resize(extent, resample=resample, box=source), place)
    for kind, factor in (
        (ImageEnhance.Brightness, view.brightness),
        (ImageEnhance.Contrast, view.contrast),
        (ImageEnhance.Color, view.saturation),
    ):
        canvas = kind(canvas).enhance(factor) if factor != 1 else canvas
    pixels = np.asarray(canvas).transpose(2, 0, 1)
    return np.ascontiguousarray(pixels[:, :, ::-1] if view.mirrored else pixels)


def move_boxes(targets: Float[np.ndarray, "M 6"], view: View) -> Float[np.ndarray, "M 6"]:
    """The targets of a picture as they are in a view of it, cut at its borders.

    A box of which less than `LEAST_VISIBLE` is left is not learnt, one that is not to be seen is taken out.

    Example:
        >>> targets = np.array([[2.0, 0.1, 0.2, 0.4, 0.4, 0.0]])
        >>> move_boxes(targets, View(mirrored=True)).round(3).tolist()
        [[2.0, 0.5, 0.2, 0.4, 0.4, 0.0]]
    """
    moved = np.full_like(targets, FILL)
    known = targets[targets[:, LABEL] >= 0]
    left, top, right, bottom = view.window
    side = np.array([right - left, bottom - top], dtype=targets.dtype)
    begin = (known[:, TARGET_BOX][:, :2] - np.array([left, top], dtype=targets.dtype)) / side
    length = known[:, TARGET_BOX][:, 2:] / side
    if view.mirrored:
        begin[:, 0] = 1 - begin[:, 0] - length[:, 0]
    cut_begin, cut_end = np.clip(begin, 0, 1), np.clip(begin + length, 0, 1)
    cut = cut_end - cut_begin
    visible = cut.prod(axis=1) / np.maximum(length.prod(axis=1), 1e-12)
    kept = visible > 0
    placed = np.concatenate([cut_begin, cut], axis=1)[kept]
    moved[: len(placed), LABEL] = known[kept, LABEL]
    moved[: len(placed), TARGET_BOX] = placed
    moved[: len(placed), IGNORED_BOX] = np.where(visible[kept] < LEAST_VISIBLE, 1, known[kept, IGNORED_BOX])
    return moved


@dataclass(frozen=True, kw_only=True)
class BoxViews:
    """Views of the pictures of some inputs.

    Attributes:
        paths: Of all units.
        read: (file, view) -> float32 pixels [3, H, W].
        strength: How far views go.
        threads: How many files are decoded at once.
    """

    paths: "list[Path] | tuple[Path, ...]"
    read: Callable[[Path, View], np.ndarray]
    strength: Strength
    threads: int = 2

    def batch(
        self, units: Int[np.ndarray, " B"], targets: Float[np.ndarray, "B M 6"], *, seed: int
    ) -> tuple[Batch, Float[np.ndarray, "B M 6"]]:
        """A view of each unit, and its targets in it; the same seed gives the same views."""
        generator = np.random.default_rng(seed)
        views = [draw_view(generator, self.strength) for _ in units]
        paths = [self.paths[unit] for unit in units.tolist()]
        with ThreadPoolExecutor(self.threads) as pool:
            pixels = list(pool.map(self.read, paths, views))
        return {"pixel_values": np.stack(pixels)}, np.stack(list(map(move_boxes, targets, views)))
