"""Where things are on pictures: discs and blocks drawn here, found by a small network, with the time that a picture takes.

    python examples/detection.py                                          # on pictures drawn here, with random weights
    python examples/detection.py --pictures FOLDER --model NETWORK        # a folder as Pascal VOC or COCO has it, or a table

The random network tells colours and edges apart, and nothing else; a pre-trained one (MobileNetV2, ResNet, ConvNeXt, or a
detector: DETR, YOLOS) knows far more. The latency is that of one picture at a time, from its file to its boxes, as a program
would ask.
"""

import argparse
import time
from pathlib import Path

import numpy as np

import luthier
from luthier.package.model import Model
from luthier.testing.detectors import tiny_map_model
from luthier.testing.drawn import draw_pictures, write_box_table

HERE = Path("runs/detection-example")
SETTINGS = {"method": "full", "num_epochs": 7, "batch_size": 6, "learning_rate": 3e-3, "head_learning_rate": 3e-3}
ASKED = 40  # pictures of which the latency is measured, after a few to warm up


def measure_latency(model: Model, paths: list[Path]) -> tuple[float, float]:
    """Milliseconds for one picture: the median, and what 95 in 100 stay below."""
    seconds = []
    for path in [*paths[:3], *paths]:
        begin = time.perf_counter()
        model.predict([path])
        seconds.append(time.perf_counter() - begin)
    median, slow = np.quantile(seconds[3:], [0.5, 0.95]) * 1000
    return float(median), float(slow)


def main() -> None:
    """Draw, tune, and ask the tuned model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", help="a folder or table of pictures with boxes; drawn here by default")
    parser.add_argument("--model", help="a folder with a pre-trained network; a random one by default")
    given, _ = parser.parse_known_args()
    source, settings = given.pictures, {}
    if source is None:
        rows = draw_pictures(HERE / "pictures", 80, seed=1, most=1)
        source = write_box_table(HERE / "pictures" / "shapes.jsonl", rows)
        settings = {**SETTINGS, "split": "70/10/20", "boxes_picture_side": 96, "evaluations_per_epoch": 1, "preflight": False}
    model = given.model or str(tiny_map_model(HERE / "random-network"))
    run = luthier.tune(source, model=model, out=str(HERE / "run"), overwrite=True, bootstrap_samples=500, **settings)
    print(run.card)

    tuned = luthier.load_model(run.folder)
    folder = Path(source).parent if Path(source).is_file() else Path(source)
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".png", ".jpg"))[:ASKED]
    print(f"\n{paths[0].name}:")
    for box in tuned.predict([paths[0]])[0]:
        print(f"  {box['label']} {box['score']:.2f} at x {box['x']}, y {box['y']}, {box['width']} x {box['height']} pixels")
    median, slow = measure_latency(tuned, paths)
    print(f"\nlatency of one picture: {median:.1f} ms in the middle, {slow:.1f} ms for the slowest of twenty")


if __name__ == "__main__":
    main()
