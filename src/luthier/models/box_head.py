"""A head that finds boxes on maps of several sizes: each place says what it sees, how far the borders are, how well that fits.

Use when: the network gives maps (MobileNet, ResNet, ConvNeXt).
Cost: on pictures of 320 x 256 pixels about as much as MobileNetV2's upper half.
Suggested values: two layers of 64 channels; more of both where there are thousands of pictures.
Source: Tian et al. 2019, "FCOS: fully convolutional one-stage object detection"; Lin et al. 2017, "Feature pyramid networks".
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from luthier.models.backbone import State
from luthier.models.heads import ACTIVATIONS

PRIOR = 0.01  # what a fresh head takes for the probability of each label at each place: almost every place shows nothing
MOST_CELLS = 6.0  # the logarithm of the largest distance to a border, in cells


class BoxHead(nn.Module):
    """A small pyramid of features, and two towers that all of its maps share: one for labels, one for borders.

    Args:
        channels: Of the maps it stands on, from large to small.
        levels: The boundaries of the backbone at which these are.
        num_labels: Number of labels.
        width: Channels of the pyramid and of the towers.
        layers: Convolutions in each tower.
        activation: Between them.
        dropout: Drop rate in front of the last convolutions.
        seed: Seed of the fresh weights.

    Example:
        >>> head = BoxHead((4, 6), (1, 2), 3, width=8, layers=1, activation="relu", dropout=0.0, seed=0)
        >>> maps = (torch.ones(2, 4, 6, 8), torch.ones(2, 6, 3, 4))
        >>> head(State(hidden=maps[-1], mask=None, pooled=None, levels=maps)).shape
        torch.Size([2, 60, 12])
    """

    reads_states = True

    def __init__(
        self,
        channels: Sequence[int],
        levels: Sequence[int],
        num_labels: int,
        *,
        width: int,
        layers: int,
        activation: str,
        dropout: float,
        seed: int,
    ) -> None:
        super().__init__()
        self.levels = tuple(levels)
        self._settings = {
            "kind": "boxes",
            "channels": list(channels),
            "levels": list(levels),
            "num_labels": num_labels,
            "width": width,
            "layers": layers,
            "activation": activation,
            "dropout": dropout,
        }
        self.lateral = nn.ModuleList(nn.Conv2d(count, width, 1) for count in channels)
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in channels)
        self.labels_tower = _tower(width, layers, activation, dropout)
        self.borders_tower = _tower(width, layers, activation, dropout)
        self.labels = nn.Conv2d(width, num_labels, 3, padding=1)
        self.borders = nn.Conv2d(width, 4, 3, padding=1)
        self.quality = nn.Conv2d(width, 1, 3, padding=1)
        self.scales = nn.Parameter(torch.ones(len(channels)))
        self._begin(seed)

    def _begin(self, seed: int) -> None:
        """Fresh weights: He's, small ones for what is given; borders start two cells away."""
        generator = torch.Generator().manual_seed(seed)
        last = (self.labels, self.borders, self.quality)
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    inputs = module.in_channels * module.kernel_size[0] ** 2
                    deviation = 0.01 if any(module is one for one in last) else (2 / inputs) ** 0.5
                    module.weight.normal_(std=deviation, generator=generator)
                    assert module.bias is not None
                    module.bias.zero_()
            assert self.labels.bias is not None
            assert self.borders.bias is not None
            self.labels.bias.fill_(-math.log((1 - PRIOR) / PRIOR))
            self.borders.bias.fill_(math.log(2))

    def forward(self, state: State) -> Float[Tensor, "B A K"]:
        """Candidates of all places of all maps; their columns are those of `box_outputs`."""
        maps = self.pyramid([level.float() for level in state.levels])
        return torch.cat([self._at(features, scale) for features, scale in zip(maps, self.scales, strict=True)], dim=1)

    def pyramid(self, levels: Sequence[Float[Tensor, "B C H W"]]) -> list[Float[Tensor, "B D H W"]]:
        """Maps of one width; what small maps know is added to the larger ones."""
        maps = [lateral(level) for lateral, level in zip(self.lateral, levels, strict=True)]
        for place in range(len(maps) - 2, -1, -1):
            maps[place] = maps[place] + functional.interpolate(maps[place + 1], size=maps[place].shape[-2:], mode="nearest")
        return [smooth(features) for smooth, features in zip(self.smooth, maps, strict=True)]

    def _at(self, features: Float[Tensor, "B D H W"], scale: Tensor) -> Float[Tensor, "B A K"]:
        towards_labels, towards_borders = self.labels_tower(features), self.borders_tower(features)
        logits, quality = self.labels(towards_labels), self.quality(towards_borders)
        cells = (self.borders(towards_borders) * scale).clamp(max=MOST_CELLS).exp()  # left, top, right, bottom
        height, width = features.shape[-2:]
        steps_y, steps_x = (torch.arange(size, device=features.device) for size in (height, width))
        y, x = torch.meshgrid((steps_y + 0.5) / height, (steps_x + 0.5) / width, indexing="ij")
        place = torch.stack([x, y])[None].to(features.dtype)
        cell = torch.tensor([1 / width, 1 / height], device=features.device, dtype=features.dtype)[None, :, None, None]
        boxes = torch.cat([place - cells[:, :2] * cell, place + cells[:, 2:] * cell], dim=1)
        whole = [boxes, place.expand(len(boxes), -1, -1, -1), cell.expand(len(boxes), -1, height, width), quality, logits]
        return torch.cat(whole, dim=1).flatten(2).transpose(1, 2)

    def settings(self) -> dict[str, object]:
        """What is needed to build it again."""
        return dict(self._settings)


def _tower(width: int, layers: int, activation: str, dropout: float) -> nn.Sequential:
    """Convolutions with norms of groups: batches are small, and their statistics would be poor."""
    groups = math.gcd(width, 8)
    parts: list[nn.Module] = []
    for _ in range(layers):
        parts += [nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(groups, width), ACTIVATIONS[activation]()]
    return nn.Sequential(*parts, nn.Dropout2d(dropout))
