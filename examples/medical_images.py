"""Medical pictures: cells of a blood smear, few of them ill, several pictures of each patient, and a missed one costs most.

    python examples/medical_images.py

The pictures are drawn from a seed, and the small network that is tuned has random weights, so that a model of the pixels beats
it, and the card says so; what matters here is how such data are treated. Pictures of one patient stay together when the data
are split (`group`), or the score would tell how well patients are recognised. The rare label weighs as much as the other
(`class_weights`). A threshold is chosen by what errors cost (`false_alarm_cost`, `miss_cost`), and the card shows both kinds.
Nothing here is a medical device: a card about drawn cells says nothing of cells.
"""

import csv
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

import luthier
from luthier.testing.folders import tiny_image_model

HERE = Path("runs/medical-example")
NUM_PATIENTS, PICTURES_EACH, ILL_SHARE = 60, 4, 0.25


def draw_cell(is_ill: bool, stain: np.ndarray, generator: np.random.Generator) -> Image.Image:
    """A round cell with a nucleus, in its patient's stain, 32 x 32 pixels; an ill one has a larger, ragged nucleus."""
    ground = np.clip(generator.normal(stain + 40, 6, (32, 32, 3)), 0, 255).astype(np.uint8)
    image = Image.fromarray(ground)
    draw, middle = ImageDraw.Draw(image), generator.uniform(13, 19, 2)

    def disc(place: np.ndarray, radius: float, colour: np.ndarray) -> None:
        box = [*(place - radius).tolist(), *(place + radius).tolist()]
        draw.ellipse(box, fill=tuple(np.clip(colour, 0, 255).astype(int).tolist()))

    disc(middle, generator.uniform(9, 12), stain)
    disc(middle, generator.uniform(5.5, 7) if is_ill else generator.uniform(3, 4.5), stain - 90)
    for _ in range(4 if is_ill else 0):
        disc(middle + generator.uniform(-6, 6, 2), 2, stain - 90)
    return image.filter(ImageFilter.GaussianBlur(0.6))


def write_pictures(folder: Path) -> Path:
    """Pictures of all patients, and a table that names them."""
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "cells.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "finding", "patient"])
        for patient in range(NUM_PATIENTS):
            is_ill, stain = patient % round(1 / ILL_SHARE) == 0, generator.uniform(110, 190, 3)
            for number in range(PICTURES_EACH):
                name = f"patient-{patient:02}-{number}.png"
                draw_cell(is_ill, stain, generator).save(folder / name)
                table.writerow([name, "ill" if is_ill else "healthy", f"patient {patient}"])
    return folder / "cells.csv"


def main() -> None:
    """From pictures of patients to a card with costs."""
    table = write_pictures(HERE / "smears")
    run = luthier.tune(
        table,
        target="finding",
        image="image",
        group="patient",
        model=str(tiny_image_model(HERE / "network", seed=0)),
        method="full",
        num_epochs=12,
        class_weights="balanced",
        positive="ill",
        false_alarm_cost=1.0,
        miss_cost=20.0,
        split="60/20/20",
        out=str(HERE / "run"),
        overwrite=True,
    )
    print(run.card)
    model = luthier.load_model(run.model_path)
    path = HERE / "new.png"
    draw_cell(True, np.array([150.0, 150, 150]), np.random.default_rng(9)).save(path)
    probs = dict(zip(model.labels, model.predict_probs([path])[0].tolist(), strict=True))
    print(f"{path}: {model.predict([path])[0]}, ill with a probability of {probs['ill']:.2f}")


if __name__ == "__main__":
    main()
