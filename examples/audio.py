"""Tune on sound: make some recordings, tune a small network on them, print the evidence, ask the model.

    python examples/audio.py

Recordings and weights are made from a seed, so that nothing is downloaded; the network has learnt nothing before. With
recordings of your own, one sub-folder per label, and a pre-trained model of a family that transformers knows:
luthier.tune("recordings/", model="./folder"). The network here is one of its own kind, `sound_networks/frames.py`.
"""

import sys
from pathlib import Path

import numpy as np
import soundfile

import luthier

sys.path.insert(0, str(Path(__file__).parent))

from sound_networks.frames import frame_backbone

HERE = Path("runs/audio-example")
RATE = 16_000
NUM_RECORDINGS = 120


def call(kind: str, generator: np.random.Generator) -> np.ndarray:
    """A bird's call in wind, 0.3 to 0.5 s: a whistle that goes up and comes down again, or the other way round.

    Both hold the same tones for as long, and end where they begin: it is their order that tells.
    """
    time = np.arange(int(generator.uniform(0.3, 0.5) * RATE)) / RATE
    way = 1 - np.abs(2 * time / time[-1] - 1)  # 0, 1, 0
    low, high = generator.uniform(1_400, 2_200), generator.uniform(2_800, 3_600)
    pitch = low + (high - low) * (way if kind == "arch" else 1 - way)
    return (0.15 * np.sin(2 * np.pi * np.cumsum(pitch) / RATE) + generator.normal(0, 0.06, len(time))).astype(np.float32)


def main() -> None:
    """From a folder of recordings to answers."""
    generator = np.random.default_rng(0)
    for kind in ("arch", "dip"):
        folder = HERE / "recordings" / kind
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(NUM_RECORDINGS):
            soundfile.write(folder / f"{number:03}.wav", call(kind, generator), RATE)

    settings = {"method": "full", "split": "60/20/20", "out": str(HERE / "run"), "num_epochs": 15, "learning_rate": 2e-3}
    run = luthier.tune(HERE / "recordings", backbone=frame_backbone(tiny=True), **settings, overwrite=True)
    print(run.card)

    model = luthier.load_model(run.model_path, allow=["sound_networks"])
    path = HERE / "new.wav"
    soundfile.write(path, call("arch", generator), RATE)
    print(f"{path}: {model.predict([path])[0]}")


if __name__ == "__main__":
    main()
