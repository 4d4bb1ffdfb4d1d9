"""YAMNet: a MobileNet on log-mel patches of a second, pre-trained on the 521 kinds of sound of AudioSet.

The front end (25 ms frames every 10 ms, 64 mel bands, logarithm) is Luthier's own; see `luthier.models.mel.YAMNET`. The weights
have the batch norms folded in, so that a layer is a convolution with a bias.

Source: Plakal & Ellis, YAMNet, 2020; Howard et al., MobileNets, 2017; Gemmeke et al., Audio Set, 2017.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from luthier.models.audio_processor import AudioProcessor
from luthier.models.audio_settings import AudioSettings
from luthier.models.backbone import Backbone, wrap_backbone
from luthier.models.mel import YAMNET

FRAMES = 96
SAMPLES = YAMNET.window + (FRAMES - 1) * YAMNET.step
WIDTHS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)  # of the layers after the first
SETTINGS = AudioSettings(
    rate=YAMNET.rate,
    mel=YAMNET,
    samples=SAMPLES,
    is_own_length=True,
    longest=SAMPLES / YAMNET.rate,
    seen=FRAMES,
    is_in_time=False,
)


def padded(maps: Tensor, stride: int) -> Tensor:
    """Zeros around maps, so that a convolution of 3 x 3 gives size / stride, rounded up; more of them at the end."""
    sides = []
    for size in (maps.shape[3], maps.shape[2]):
        total = max(0, (-(-size // stride) - 1) * stride + 3 - size)
        sides += [total // 2, total - total // 2]
    return nn.functional.pad(maps, sides)


class Layer(nn.Module):
    """A convolution of each channel by itself, then one across channels."""

    def __init__(self, width: int, wider: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.depthwise = nn.Conv2d(width, width, 3, stride=stride, groups=width)
        self.pointwise = nn.Conv2d(width, wider, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """[B, C, T, F] to maps of the next width."""
        maps = torch.relu(self.depthwise(padded(maps, self.stride)))
        return torch.relu(self.pointwise(maps))


class YAMNet(nn.Module):
    """The network without its classifier: log-mel patches [B, 96, 64] to maps [B, 1024, 3, 2]."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, WIDTHS[0], 3, stride=2)
        self.layers = nn.ModuleList(
            Layer(width, wider, stride) for width, wider, stride in zip(WIDTHS[:-1], WIDTHS[1:], STRIDES, strict=True)
        )

    def forward(self, input_values: Tensor) -> Tensor:
        """Maps of each patch."""
        maps = torch.relu(self.first(padded(input_values[:, None], 2)))
        for layer in self.layers:
            maps = layer(maps)
        return maps


def build_yamnet() -> YAMNet:
    """The network, its weights to be loaded."""
    return YAMNet()


def load_yamnet(weights: Path | str) -> Backbone:
    """The pre-trained network as a backbone of 13 blocks and 1,024 features, with its preprocessing.

    Args:
        weights: A safetensors file with `layerN.conv`, `layerN.depthwise` and `layerN.pointwise`, N from 1 to 14.
    """
    network = build_yamnet()
    found = load_file(weights)
    renamed = {name.replace("layer1.conv.", "first."): value for name, value in found.items() if name.startswith("layer1.")}
    for number in range(len(STRIDES)):
        given = f"layer{number + 2}."
        renamed |= {
            f"layers.{number}.{name.removeprefix(given)}": value for name, value in found.items() if name.startswith(given)
        }
    network.load_state_dict(renamed)
    builder = "sound_networks.yamnet:build_yamnet"
    return wrap_backbone(network, width=WIDTHS[-1], builder=builder, processor=AudioProcessor(SETTINGS))
