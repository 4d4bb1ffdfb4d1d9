"""SqueezeNet 1.1: a small network of eight modules that squeeze and expand, pre-trained on ImageNet.

The weights are Keras's, for levels from 0 to 255 in the order blue, green, red, less a mean. Pictures come in the order red,
green, blue here, so the first convolution's input channels are turned round when weights are loaded.

Source: Iandola et al. 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and < 0.5 MB model size".
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from luthier.models.backbone import Backbone, wrap_backbone
from luthier.models.image_processor import ImageProcessor
from luthier.models.image_settings import BILINEAR, ImageSettings
from luthier.models.layout import Layout

SIZE = 227
SQUEEZES = (16, 16, 32, 32, 48, 48, 64, 64)
EXPANDS = (64, 64, 128, 128, 192, 192, 256, 256)  # each twice: 1 x 1 and 3 x 3
POOLED_BEFORE = (0, 2, 4)  # modules in front of which maps shrink to half
WIDTH = 2 * EXPANDS[-1]
SETTINGS = ImageSettings(
    resize=(SIZE, SIZE),
    resize_short_edge=None,
    crop=None,
    resample=BILINEAR,
    rescale_factor=1.0,
    mean=(123.68, 116.779, 103.939),
    std=(1.0, 1.0, 1.0),
)


class Fire(nn.Module):
    """Squeeze to few maps, expand to many: half of them see one place, half of them 3 x 3."""

    def __init__(self, width: int, squeeze: int, expand: int, *, is_pooled: bool) -> None:
        super().__init__()
        self.is_pooled = is_pooled
        self.squeeze1x1 = nn.Conv2d(width, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """[B, C, H, W] to maps of twice `expand`."""
        if self.is_pooled:
            maps = nn.functional.max_pool2d(maps, 3, stride=2)
        squeezed = torch.relu(self.squeeze1x1(maps))
        return torch.relu(torch.cat([self.expand1x1(squeezed), self.expand3x3(squeezed)], dim=1))


class SqueezeNet(nn.Module):
    """The network without its classifier: pictures [B, 3, 227, 227] to maps [B, 512, 13, 13]."""

    def __init__(self) -> None:
        super().__init__()
        widths = (64, *(2 * expand for expand in EXPANDS[:-1]))
        self.conv1 = nn.Conv2d(3, widths[0], 3, stride=2)
        self.fires = nn.ModuleList(
            Fire(width, squeeze, expand, is_pooled=number in POOLED_BEFORE)
            for number, (width, squeeze, expand) in enumerate(zip(widths, SQUEEZES, EXPANDS, strict=True))
        )

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Maps of each picture."""
        maps = torch.relu(self.conv1(pixel_values))
        for fire in self.fires:
            maps = fire(maps)
        return maps


def build_squeezenet() -> SqueezeNet:
    """The network, its weights to be loaded."""
    return SqueezeNet()


def load_squeezenet(weights: Path | str) -> Backbone:
    """The pre-trained network as a backbone of 8 blocks and 512 features, with its preprocessing.

    Args:
        weights: A safetensors file with `conv1` and `fireN.squeeze1x1`, `fireN.expand1x1` and `fireN.expand3x3`, N from 2 to 9.
    """
    network = build_squeezenet()
    found = load_file(weights)
    renamed = {}
    for name, value in found.items():
        module, _, rest = name.partition(".")
        number = module.removeprefix("fire")
        renamed[f"fires.{int(number) - 2}.{rest}" if module.startswith("fire") else name] = value
    renamed["conv1.weight"] = renamed["conv1.weight"].flip(1).contiguous()
    network.load_state_dict(renamed)
    return as_backbone(network)


def as_backbone(network: SqueezeNet) -> Backbone:
    """A network as a backbone, with its preprocessing."""
    return wrap_backbone(
        network,
        width=WIDTH,
        layout=Layout(stem=("conv1",), blocks=tuple(f"fires.{number}" for number in range(len(EXPANDS)))),
        builder="picture_networks.squeezenet:build_squeezenet",
        processor=ImageProcessor(SETTINGS),
    )
