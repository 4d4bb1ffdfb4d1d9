"""A table with a picture, a text and numbers in each row: will it be sold within a week? One head stands on all of them.

    python examples/goods.py

Pictures, texts and the two networks that read them are made from a seed, so that nothing is downloaded. With a table of your
own and pre-trained models: luthier.tune("goods.csv", target="sold", table_image_model="./folder"); the default text model
reads the notes.
"""

import csv
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import luthier
from luthier.testing.folders import tiny_image_model, tiny_text_model

HERE = Path("runs/goods-example")
THINGS, STATES = ("lamp", "chair", "kettle", "mirror"), ("as new", "a little worn", "worn", "with a crack")
COLOURS = {"light": (214, 205, 190), "dark": (52, 40, 36)}


def draw_thing(path: Path, shade: str, rng: np.random.Generator) -> None:
    """A thing of a light or a dark colour on a table, 40 x 40 pixels."""
    image = Image.fromarray(rng.integers(120, 136, (40, 40, 3), dtype=np.uint8))
    left, top = (int(place) for place in rng.integers(2, 12, 2))
    ImageDraw.Draw(image).rectangle((left, top, left + 24, top + 24), fill=COLOURS[shade])
    image.save(path)


def write_goods(folder: Path, number: int, *, seed: int = 0) -> Path:
    """Goods on offer: light things, in a good state and cheap, are sold sooner. Some have no picture."""
    rng = np.random.default_rng(seed)
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    with (folder / "goods.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["photo", "note", "price", "weight", "sold"])
        for place in range(number):
            shade, state = ("light", "dark")[int(rng.integers(2))], int(rng.integers(len(STATES)))
            thing, price = THINGS[int(rng.integers(len(THINGS)))], float(rng.gamma(4.0, 8.0))
            photo = "" if rng.random() < 0.05 else f"photos/{place:03}.png"
            if photo:
                draw_thing(folder / photo, shade, rng)
            chance = 1.8 * (shade == "light") - 0.9 * state - price / 30 + 1.4
            sold = "yes" if rng.random() < 1 / (1 + np.exp(-2 * chance)) else "no"
            note = f"{thing} number {place}, {STATES[state]}, from a house without smokers"
            writer.writerow([photo, note, f"{price:.2f}", int(rng.integers(1, 30)), sold])
    return folder / "goods.csv"


def main() -> None:
    """From a table that names pictures to answers."""
    goods = write_goods(HERE, 160)
    run = luthier.tune(
        goods,
        target="sold",
        table_image_model=str(tiny_image_model(HERE / "eyes")),
        table_text_model=str(tiny_text_model(HERE / "words", words=["lamp", "chair", "as", "new", "worn", "crack", "little"])),
        table_pretraining_epochs=1,
        method="probe",
        out=str(HERE / "run"),
        overwrite=True,
    )
    print(run.card)

    model = luthier.load_model(run.model_path)
    asked = {"photo": HERE / "photos" / "000.png", "note": "lamp, as new", "price": 12.0, "weight": 3}
    print(f"Sold within a week? {model.predict([asked])[0]}")


if __name__ == "__main__":
    main()
