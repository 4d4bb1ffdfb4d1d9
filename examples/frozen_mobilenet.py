"""The first program of many guides: MobileNetV2 frozen, global average pooling, a dense head of ten classes, adam, ten epochs.

    python examples/frozen_mobilenet.py                                   # on pictures drawn here, with random weights
    python examples/frozen_mobilenet.py PICTURES --model FOLDER           # on CIFAR-10, one sub-folder per class

The guides run the frozen network again in every epoch, and stop the head after ten of them. Here the network sees each picture
once, and a head of one layer is fitted to its end in seconds (`--method probe`). A head of two layers cannot be fitted like
that: it is trained as in the guides, with adam, for ten epochs, on what the frozen network gave. The guides' second part,
"unfreeze the top of the model and train it with a low rate", is the third run. The random network knows nothing that could be
frozen, and the cards of the drawn pictures say so: there it is no better than guessing, and a model of the pixels is.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import luthier
from luthier.testing.folders import tiny_image_model

HERE = Path("runs/guides-example")
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
NUM_PICTURES = 40
RECIPES = {
    "probe": {"method": "probe"},
    "dense": {"method": "probe", "head_layers": 2, "head_activation": "relu", "optimizer": "adam", "num_epochs": 10},
    "top": {"method": "top-blocks:1", "optimizer": "adam", "learning_rate": 1e-4, "num_epochs": 3},
}


def draw_pictures(folder: Path) -> Path:
    """Shapes of ten colours, which stand for CIFAR-10's ten classes; 32 x 32 pixels."""
    generator = np.random.default_rng(0)
    for number, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for copy in range(NUM_PICTURES):
            image = Image.fromarray(generator.integers(90, 160, (32, 32, 3), dtype=np.uint8))
            left, top = (int(place) for place in generator.integers(0, 12, 2))
            colour = tuple(int(40 + 200 * ((number >> bit) & 1)) for bit in range(3))
            draw = ImageDraw.Draw(image)
            (draw.ellipse if number < 8 else draw.rectangle)((left, top, left + 18, top + 18), fill=colour)
            image.save(folder / name / f"{copy:02}.png")
    return folder


def main() -> None:
    """The three runs, one card each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pictures", type=Path, nargs="?", help="a folder with one sub-folder per class")
    parser.add_argument("--model", help="a model folder, or a name of the hub")
    arguments = parser.parse_args()
    pictures = arguments.pictures or draw_pictures(HERE / "pictures")
    model = arguments.model or str(tiny_image_model(HERE / "network", seed=0))
    for name, recipe in RECIPES.items():
        run = luthier.tune(pictures, model=model, split="60/20/20", out=str(HERE / name), overwrite=True, **recipe)
        print(f"{name}: {recipe}\n{run.card}\n")


if __name__ == "__main__":
    main()
