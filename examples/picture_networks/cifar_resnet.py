"""Residual networks for pictures of 32 x 32 pixels, pre-trained on CIFAR-10: 20, 32, 44 or 56 layers.

A shortcut across a change of size takes every second place, and fills the new channels with zeros on both sides.

Source: He et al. 2016, "Deep residual learning for image recognition", section 4.2 (shortcuts of kind A).
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from luthier.models.backbone import Backbone, wrap_backbone
from luthier.models.image_processor import ImageProcessor
from luthier.models.image_settings import BILINEAR, IMAGENET_MEAN, IMAGENET_STD, ImageSettings
from luthier.models.layout import Layout

SIZE = 32
WIDTHS = (16, 32, 64)
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SETTINGS = ImageSettings(
    resize=(SIZE, SIZE),
    resize_short_edge=None,
    crop=None,
    resample=BILINEAR,
    rescale_factor=1 / 255,
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
)


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, width: int, wider: int) -> None:
        super().__init__()
        stride = 1 if width == wider else 2
        self.padding = (wider - width) // 2
        self.conv1 = nn.Conv2d(width, wider, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(wider)
        self.conv2 = nn.Conv2d(wider, wider, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(wider)

    def forward(self, maps: Tensor) -> Tensor:
        """[B, C, H, W] to maps of the block's width."""
        shortcut = maps
        if self.padding:
            shortcut = nn.functional.pad(maps[:, :, ::2, ::2], (0, 0, 0, 0, self.padding, self.padding))
        maps = torch.relu(self.bn1(self.conv1(maps)))
        return torch.relu(self.bn2(self.conv2(maps)) + shortcut)


class CifarResNet(nn.Module):
    """The network without its classifier: pictures [B, 3, 32, 32] to maps [B, 64, 8, 8]."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        each = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        sizes = [width for width in WIDTHS for _ in range(each)]
        self.blocks = nn.ModuleList(Block(*pair) for pair in zip([WIDTHS[0], *sizes[:-1]], sizes, strict=True))

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Maps of each picture."""
        maps = torch.relu(self.bn1(self.conv1(pixel_values)))
        for block in self.blocks:
            maps = block(maps)
        return maps


def build_cifar_resnet(depth: int = 20) -> CifarResNet:
    """The network, its weights to be loaded.

    Args:
        depth: Layers: 20, 32, 44 or 56.
    """
    return CifarResNet(depth)


def load_cifar_resnet(weights: Path | str) -> Backbone:
    """The pre-trained network as a backbone of 9 to 27 blocks and 64 features, with its preprocessing.

    Args:
        weights: A safetensors file with `conv1`, `bn1` and `layerS.N.…`, S from 1 to 3; a classifier in it is left out.
    """
    found = {name: value for name, value in load_file(weights).items() if not name.startswith("linear.")}
    each = len({name.split(".")[1] for name in found if name.startswith("layer1.")})
    depth = 6 * each + 2
    network = build_cifar_resnet(depth)
    renamed = {}
    for name, value in found.items():
        stage, *rest = name.split(".")
        if stage.startswith("layer"):
            name = ".".join(["blocks", str((int(stage[-1]) - 1) * each + int(rest[0])), *rest[1:]])
        renamed[name] = value
    network.load_state_dict(renamed, strict=False)  # counters of batches, which only training needs, may be missing
    return as_backbone(network)


def as_backbone(network: CifarResNet) -> Backbone:
    """A network as a backbone, with its preprocessing."""
    backbone = wrap_backbone(
        network,
        width=WIDTHS[-1],
        layout=Layout(stem=("conv1", "bn1"), blocks=tuple(f"blocks.{number}" for number in range(len(network.blocks)))),
        builder="picture_networks.cifar_resnet:build_cifar_resnet",
        processor=ImageProcessor(SETTINGS),
    )
    backbone.builder_settings = {"depth": 2 * len(network.blocks) + 2}
    return backbone
