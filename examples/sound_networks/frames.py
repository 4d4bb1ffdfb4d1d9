"""A small convolutional network on log-mel frames, which gives a state every 20 ms: for labels and for speech recognition.

Two convolutions on the spectrogram, then blocks of a convolution along time and a small network on each frame. Recordings keep
their own length: the network is told by a mask which frames are real, and no real frame ever sees another.

Source: Liu et al., A ConvNet for the 2020s, 2022 (the block); Gulati et al., Conformer, 2020 (convolutions along time).
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from luthier.models.audio_processor import AudioProcessor
from luthier.models.audio_settings import AudioSettings
from luthier.models.backbone import Backbone, wrap_backbone
from luthier.models.mel import MelSettings

MEL = MelSettings(low=60.0, high=7_600.0, in_mel=True, power=2, floor=1e-7, offset=0.0)
CONVOLUTIONS = ((3, 2), (3, 1))  # kernel and step along time, in front of the blocks
MEAN, SCALE = -6.0, 4.0  # of log-mel values of speech, roughly
SETTINGS = AudioSettings(rate=MEL.rate, mel=MEL, mean=MEAN, scale=SCALE, convolutions=CONVOLUTIONS, longest=20.0)


class Front(nn.Module):
    """Two convolutions over time and frequency, and a vector for each frame."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, channels, 3, stride=(2, 2), padding=(0, 1))
        self.second = nn.Conv2d(channels, channels, 3, stride=(1, 2), padding=(0, 1))
        self.linear = nn.Linear(channels * (MEL.bands // 4), width)
        self.norm = nn.LayerNorm(width)

    def forward(self, bands: Tensor) -> Tensor:
        """[B, T, bands] to [B, t, width]."""
        maps = nn.functional.gelu(self.second(nn.functional.gelu(self.first(bands[:, None]))))
        return self.norm(self.linear(maps.transpose(1, 2).flatten(2)))


class Block(nn.Module):
    """A convolution along time of each channel by itself, then two layers on each frame; what went in is added."""

    def __init__(self, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.along = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.wide = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """[B, t, width]; frames that are not real count as nothing."""
        moved = self.along((hidden * mask).transpose(1, 2)).transpose(1, 2)
        return hidden + self.dropout(self.narrow(nn.functional.gelu(self.wide(self.norm(moved)))))


class FrameNet(nn.Module):
    """Log-mel frames [B, T, 64] to states [B, t, width]."""

    def __init__(self, *, width: int, num_blocks: int, channels: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.front = Front(channels, width)
        self.blocks = nn.ModuleList(Block(width, kernel, dropout) for _ in range(num_blocks))
        self.norm = nn.LayerNorm(width)

    def _get_feat_extract_output_lengths(self, lengths: Tensor) -> Tensor:
        """How many states so many frames give: the name under which Luthier looks for it, as in transformers."""
        for kernel, step in CONVOLUTIONS:
            lengths = torch.div(lengths - kernel, step, rounding_mode="floor") + 1
        return lengths

    def forward(self, input_values: Tensor, attention_mask: Tensor) -> Tensor:
        """States of all frames."""
        hidden = self.front(input_values)
        lengths = self._get_feat_extract_output_lengths(attention_mask.sum(1))
        mask = (torch.arange(hidden.shape[1], device=hidden.device)[None, :] < lengths[:, None])[..., None].to(hidden.dtype)
        for block in self.blocks:
            hidden = block(hidden, mask)
        return self.norm(hidden)


def build_frame_net() -> FrameNet:
    """The network that `examples/pretraining/frames.py` trains: 0.8 million weights."""
    return FrameNet(width=144, num_blocks=4, channels=32, kernel=15, dropout=0.1)


def build_tiny_frame_net() -> FrameNet:
    """A network for tests and for the shortest example."""
    return FrameNet(width=24, num_blocks=3, channels=4, kernel=5, dropout=0.0)


def frame_backbone(weights: Path | str | None = None, *, tiny: bool = False, seed: int = 0) -> Backbone:
    """The network as a backbone, with its preprocessing.

    Args:
        weights: What `examples/pretraining/frames.py` wrote; random weights from the seed without.
        tiny: Whether it is the network for tests.
        seed: Of random weights.
    """
    build = build_tiny_frame_net if tiny else build_frame_net
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build()
    if weights is not None:
        network.load_state_dict(load_file(weights))
    builder = f"sound_networks.frames:{build.__name__}"
    return wrap_backbone(network, width=network.norm.weight.shape[0], builder=builder, processor=AudioProcessor(SETTINGS))
