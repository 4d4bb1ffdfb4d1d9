"""Will the price be above its usual level? Rows in order of time, and the answer of the hour before as the model to beat.

    python examples/price_direction.py

The prices are made from a seed: they wander, so that the direction of the hour before mostly holds for one hour more. A model
that reads only the hour, the demand and the weather cannot know that; one with the last direction as a column can. Each column
holds what was known when its hour came up.
"""

import csv
from pathlib import Path

import numpy as np

import luthier
from luthier.pipeline import Run

HERE = Path("runs/price-example")
LAST = "last_direction"


def write_hours(path: Path, number: int, *, lagged: bool, seed: int = 2) -> Path:
    """An hour a row, the oldest first.

    Args:
        lagged: Whether the direction of the hour before is a column too.
    """
    rng = np.random.default_rng(seed)
    level, last = 0.0, ""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["hour", "demand", "wind", *([LAST] if lagged else []), "direction"])
        for step in range(number):
            demand, wind = float(rng.normal(1.0 + 0.3 * np.sin(step % 24 / 24 * 2 * np.pi), 0.2)), float(rng.gamma(2.0))
            level = 0.8 * level + 0.5 * (demand - 1.0) - 0.05 * (wind - 2.0) + float(rng.normal(0, 0.25))
            direction = "up" if level > 0 else "down"
            writer.writerow([step % 24, f"{demand:.3f}", f"{wind:.2f}", *([last] if lagged else []), direction])
            last = direction
    return path


def tune(name: str, *, lagged: bool) -> Run:
    """A run on hours in order of time: the last fifth is held out."""
    table = write_hours(HERE / f"{name}.csv", 700, lagged=lagged)
    settings = {"method": "probe", "table_pretraining_epochs": 1, "split": "65/15/20", "out": str(HERE / name)}
    return luthier.tune(table, target="direction", in_order=True, **settings, overwrite=True)


def main() -> None:
    """Without and with the last answer as a column."""
    HERE.mkdir(parents=True, exist_ok=True)
    for name, lagged in (("plain", False), ("lagged", True)):
        run = tune(name, lagged=lagged)
        print(run.card)
        scores = {model: scores["accuracy"].value for model, scores in run.metrics.test.items()}
        beats = "beats" if scores["tuned"] > scores["persistence"] else "does not beat"
        print(
            f"{name}: {scores['tuned']:.1%} right, which {beats} the answer of the hour before ({scores['persistence']:.1%})\n"
        )


if __name__ == "__main__":
    main()
