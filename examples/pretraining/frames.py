"""Pre-train the frame network of `sound_networks/frames.py` on recordings without labels.

    python examples/pretraining/frames.py OUT.safetensors FOLDER_OR_MANIFEST ... [--epochs 40]

Spans of frames are hidden from it, and it learns to fill them in from what lies around them: the log-mel bands that were there,
by the mean absolute difference. What fine-tuning adds later is then measured from weights that have heard sound, and no label.
Of a table only the column of paths is read; give the training part alone, or test recordings have been heard before.

Source: Liu et al. 2020, "Mockingjay: unsupervised speech representation learning with deep bidirectional transformer encoders".
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from sound_networks.frames import CONVOLUTIONS, MEL, SETTINGS, FrameNet, build_frame_net

from luthier.core.seeding import generator_for
from luthier.core.sound import is_sound_file
from luthier.data.infer import infer_columns
from luthier.data.load import load_source
from luthier.data.schema import Kind
from luthier.data.settings import DataSettings
from luthier.models.audio_processor import AudioProcessor
from luthier.tasks.audio_inputs import AudioInputs

SPAN_FRAMES, SHARE = 12, 0.4  # of the spectrogram that is hidden at once, and in all
FRAMES_PER_BATCH = 6_000
LEARNING_RATE = 2e-3
STEP = CONVOLUTIONS[0][1] * CONVOLUTIONS[1][1]


def recordings_of(sources: list[str]) -> list[Path]:
    """Every file of sound that some sources hold or name."""
    found: list[Path] = []
    for source in map(Path, sources):
        if source.is_dir():
            found += [path for path in sorted(source.rglob("*")) if is_sound_file(path)]
            continue
        table = load_source([source], DataSettings()).table
        column = next(column.name for column in infer_columns(table) if column.kind is Kind.AUDIO)
        found += [Path(path) for path in table.column(column).to_pylist()]
    return found


def batches(lengths: np.ndarray, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """Recordings of like length, about `FRAMES_PER_BATCH` frames at a time, in random order."""
    order = np.argsort(lengths + generator.uniform(0, 20, len(lengths)))
    pieces, piece = [], []
    for place in order.tolist():
        if piece and (len(piece) + 1) * lengths[place] > FRAMES_PER_BATCH:
            pieces, piece = [*pieces, np.array(piece)], []
        piece.append(place)
    yield from (pieces[place] for place in generator.permutation(len(pieces)))
    yield np.array(piece)


def hide(shape: tuple[int, int], generator: np.random.Generator) -> Tensor:
    """Which frames are hidden, [B, T]: spans that cover about `SHARE` of them."""
    hidden = np.zeros(shape, dtype=bool)
    for row in hidden:
        for start in generator.integers(0, len(row), max(1, round(SHARE * len(row) / SPAN_FRAMES))):
            row[start : start + SPAN_FRAMES] = True
    return torch.from_numpy(hidden)


def loss_of(network: FrameNet, decoder: nn.Linear, bands: Tensor, mask: Tensor, hidden: Tensor) -> Tensor:
    """Mean absolute difference of hidden bands and what the network says of them."""
    states = network(input_values=bands.masked_fill(hidden[..., None], 0.0), attention_mask=mask)
    said = decoder(states).reshape(len(bands), -1, MEL.bands)  # of each state the frames that it stands for
    counted = (hidden & mask.bool())[:, 1 : 1 + said.shape[1]]  # the first kernel is centred on the second frame
    difference = (said[:, : counted.shape[1]] - bands[:, 1 : 1 + said.shape[1]]).abs().mean(2)
    return (difference * counted).sum() / counted.sum().clamp(min=1)


def main() -> None:
    """Train, and write the weights."""
    parser = argparse.ArgumentParser(description="Pre-train the frame network on recordings without labels.")
    parser.add_argument("out", type=Path)
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    generator = generator_for(0, "pretraining")
    paths = recordings_of(arguments.sources)
    inputs = AudioInputs.build(paths, AudioProcessor(SETTINGS))
    frames = np.array([inputs.shape(int(samples))[0] for samples in inputs.samples])
    print(f"{len(paths):,} recordings, {frames.sum() * MEL.step / MEL.rate / 60:.1f} minutes")
    network, decoder = build_frame_net().train(), nn.Linear(144, STEP * MEL.bands)
    parameters = [*network.parameters(), *decoder.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=0.01)
    steps = arguments.epochs * sum(1 for _ in batches(frames, np.random.default_rng(0)))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=steps + arguments.epochs, pct_start=0.1
    )
    begin = time.perf_counter()
    for epoch in range(arguments.epochs):
        losses = []
        for units in batches(frames, generator):
            batch = {name: torch.from_numpy(array) for name, array in inputs.batch(units).items()}
            bands, mask = batch["input_values"], batch["attention_mask"]
            loss = loss_of(network, decoder, bands, mask, hide(tuple(mask.shape), generator))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        print(f"epoch {epoch + 1}: {np.mean(losses):.3f} ({time.perf_counter() - begin:,.0f} s)", flush=True)
    save_file(network.state_dict(), arguments.out)


if __name__ == "__main__":
    main()
