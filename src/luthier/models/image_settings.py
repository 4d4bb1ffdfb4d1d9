"""How images become a model's input, read from `preprocessor_config.json` in any of the forms that transformers has written."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.core.names import describe_unknown
from luthier.errors import ModelError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF, CLIP_MEAN, CLIP_STD = (0.5, 0.5, 0.5), (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
BILINEAR, BICUBIC = 2, 3
# What transformers' processors do where the file is silent; a processor that is not here may do something else, and is refused.
SHORT_CROPPED = {
    "size": {"shortest_edge": 224},
    "resample": BICUBIC,
    "crop": True,
    "image_mean": CLIP_MEAN,
    "image_std": CLIP_STD,
}
DETECTOR = {
    "resample": BILINEAR,
    "image_mean": IMAGENET_MEAN,
    "image_std": IMAGENET_STD,
}
SHORTEST = 800  # of a detector's pictures, where its file is silent
MOBILE = {"size": {"shortest_edge": 256}, "resample": BILINEAR, "crop": True}
DEFAULTS: dict[str, dict[str, Any]] = {
    "": {},  # no processor named: the file's own words, with ViT's defaults
    "ViT": {},
    "DeiT": {"size": 256, "resample": BICUBIC, "crop": True},
    "Beit": {"resample": BICUBIC},
    "Siglip": {"resample": BICUBIC},
    "ConvNext": {"size": {"shortest_edge": 384}, "resample": BICUBIC},
    "Bit": SHORT_CROPPED,
    "CLIP": SHORT_CROPPED,
    "MobileNetV1": MOBILE,
    "MobileNetV2": MOBILE,
    "Detr": DETECTOR,
    "Yolos": DETECTOR,
}
WARPED_FROM = 384  # ConvNeXt scales to this and larger without cropping
# Their own processors keep the shape of pictures and fill them up to that of others. Here all are stretched to one size, which
# is chosen for the data (`ImageProcessor.with_size`).
STRETCHED = ("Detr", "Yolos")
UNSUPPORTED = (
    "do_pad",
    "do_thumbnail",
    "do_align_long_axis",
    "rescale_offset",
    "do_flip_channel_order",
    "include_top",
    "do_split_image",
)


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """How an image becomes the model's input.

    Attributes:
        resize: Height and width to scale to, whatever the image's shape; or
        resize_short_edge: the length the shorter edge is scaled to. Neither: the image is not scaled.
        crop: Height and width of the middle part that is taken; smaller images are put on black.
        resample: PIL's code of the filter (0 nearest, 1 Lanczos, 2 bilinear, 3 bicubic).
        rescale_factor: What the levels 0 to 255 are multiplied by.
        mean: Subtracted after that, for red, green, blue. `std`: divided by.
    """

    resize: tuple[int, int] | None
    resize_short_edge: int | None
    crop: tuple[int, int] | None
    resample: int
    rescale_factor: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of what comes out."""
        size = self.crop or self.resize
        if size is None:
            raise ModelError(
                "The preprocessing gives images of no fixed size.", remedy="add crop_size to preprocessor_config.json"
            )
        return size


def settings_from_config(config: Mapping[str, Any], path: Path) -> ImageSettings:
    """Settings from the content of a `preprocessor_config.json`, old forms included.

    Raises:
        ModelError: it asks for a step that is not known here.
    """
    stem = _stem(config)
    config = _stretched(config) if stem in STRETCHED else config
    if asked := [key for key in UNSUPPORTED if config.get(key)]:
        raise ModelError(
            f"{path} asks for {', '.join(asked)}, which Luthier does not do.",
            remedy="choose another model (luthier models --modality image)",
        )
    if stem not in DEFAULTS:
        raise ModelError(
            describe_unknown("image processor", stem, filter(None, DEFAULTS)) + f" It is named in {path}.",
            remedy="choose another model (luthier models --modality image)",
        )
    defaults = {"size": 224, "resample": BILINEAR, "crop": False, "image_mean": HALF, "image_std": HALF, **DEFAULTS[stem]}
    config = {**defaults, **{key: value for key, value in config.items() if value is not None}}
    resize, short_edge = _sizes(config["size"], defaults["size"], path) if config.get("do_resize", True) else (None, None)
    crop = _pair(config.get("crop_size", 224), path) if config.get("do_center_crop", config["crop"]) else None
    if stem == "ConvNext" and short_edge:
        resize, short_edge, crop = _convnext_sizes(short_edge, config.get("crop_pct"))
    if short_edge and not crop:
        crop = (short_edge, short_edge)
    normalises = config.get("do_normalize", True)
    return ImageSettings(
        resize=resize,
        resize_short_edge=short_edge,
        crop=crop,
        resample=int(config["resample"]),
        rescale_factor=float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0,
        mean=_triple(config["image_mean"]) if normalises else (0.0, 0.0, 0.0),
        std=_triple(config["image_std"]) if normalises else (1.0, 1.0, 1.0),
    )


def _stem(config: Mapping[str, Any]) -> str:
    name = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")
    return name.removesuffix("Fast").removesuffix("Pil").removesuffix("ImageProcessor").removesuffix("FeatureExtractor")


def _stretched(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a detector without what keeps the shape of pictures: all have the largest size that it allows."""
    size: Any = config.get("size") or {}
    sides = size if isinstance(size, Mapping) else {"shortest_edge": size, "longest_edge": config.get("max_size")}
    shortest = int(sides.get("height") or sides.get("shortest_edge") or SHORTEST)
    longest = int(sides.get("width") or sides.get("longest_edge") or shortest)
    kept = {key: value for key, value in config.items() if key not in ("do_pad", "pad_size", "max_size")}
    return {**kept, "size": {"height": shortest, "width": longest}}


def _sizes(size: Any, default: Any, path: Path) -> tuple[tuple[int, int] | None, int | None]:
    if isinstance(size, int) and isinstance(default, dict):  # the old form: a number means what the family's default means
        return None, size
    if isinstance(size, dict) and "shortest_edge" in size:
        if size.get("longest_edge"):
            raise ModelError(
                f"{path} limits both edges; images would have many sizes.", remedy="choose another model (luthier models)"
            )
        return None, int(size["shortest_edge"])
    return _pair(size, path), None


def _convnext_sizes(edge: int, crop_fraction: Any) -> tuple[tuple[int, int] | None, int | None, tuple[int, int]]:
    if edge >= WARPED_FROM:
        return (edge, edge), None, (edge, edge)
    return None, int(edge / float(crop_fraction or 224 / 256)), (edge, edge)


def _pair(size: Any, path: Path) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    if isinstance(size, list) and len(size) == 2:
        return int(size[0]), int(size[1])
    if isinstance(size, dict) and {"height", "width"} <= set(size):
        return int(size["height"]), int(size["width"])
    raise ModelError(f"{path}: the size {size!r} is not understood.", remedy='write it as {"height": 224, "width": 224}')


def _triple(values: Any) -> tuple[float, float, float]:
    numbers = [float(value) for value in (values if isinstance(values, list | tuple) else [values] * 3)]
    return numbers[0], numbers[1], numbers[2]


def settings_from_saved(content: Mapping[str, Any]) -> ImageSettings:
    """Settings from what `ImageProcessor.save` wrote."""
    return ImageSettings(
        resize=_saved_pair(content["resize"]),
        resize_short_edge=content["resize_short_edge"],
        crop=_saved_pair(content["crop"]),
        resample=content["resample"],
        rescale_factor=content["rescale_factor"],
        mean=_triple(content["mean"]),
        std=_triple(content["std"]),
    )


def _saved_pair(values: list[int] | None) -> tuple[int, int] | None:
    return (values[0], values[1]) if values else None
