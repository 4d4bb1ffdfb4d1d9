"""Tune on pictures: draw some, tune a small network on them, print the evidence, ask the model.

    python examples/images.py

Pictures and weights are made from a seed, so that nothing is downloaded; the network has learnt nothing before, which the card
shows. With pictures of your own, one sub-folder per label, and a pre-trained model: luthier.tune("photos/", model="./folder").
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import luthier
from luthier.testing.folders import tiny_image_model

HERE = Path("runs/image-example")
COLOURS = {"ripe": (205, 60, 45), "unripe": (120, 160, 60)}
NUM_PICTURES = 100


def draw_tomato(kind: str, generator: np.random.Generator) -> Image.Image:
    """A round thing of about its kind's colour, somewhere on a noisy ground, 32 x 32 pixels."""
    image = Image.fromarray(generator.integers(100, 160, (32, 32, 3), dtype=np.uint8))
    left, top = (int(place) for place in generator.integers(0, 10, 2))
    colour = np.clip(generator.normal(COLOURS[kind], 15), 0, 255).astype(int)
    ImageDraw.Draw(image).ellipse((left, top, left + 21, top + 21), fill=tuple(colour.tolist()))
    return image


def main() -> None:
    """From a folder of pictures to answers."""
    generator = np.random.default_rng(0)
    for kind in COLOURS:
        folder = HERE / "photos" / kind
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(NUM_PICTURES):
            draw_tomato(kind, generator).save(folder / f"{number:03}.png")

    network = tiny_image_model(HERE / "network", seed=0)
    settings = {"model": str(network), "method": "top-blocks:2", "split": "60/20/20", "out": str(HERE / "run")}
    run = luthier.tune(HERE / "photos", **settings, overwrite=True)
    print(run.card)

    model = luthier.load_model(run.model_path)
    path = HERE / "new.png"
    draw_tomato("ripe", generator).save(path)
    print(f"{path}: {model.predict([path])[0]}")


if __name__ == "__main__":
    main()
