"""Tune on several labels per text, and on a number per text: write some requests, print the evidence, ask the models.

    python examples/labels_and_numbers.py

The requests are put together from sentences, each with its topic and the minutes it takes to deal with. With a table of your
own: luthier.tune("requests.jsonl", target="topics"), luthier.tune("requests.jsonl", target="minutes").
"""

import json
from pathlib import Path

import numpy as np

import luthier

HERE = Path("runs/answers-example")
NUM_REQUESTS = 240
SENTENCES = {
    "keys": ["Please cut two spare keys.", "The lock sticks.", "My key broke off in the lock.", "We need a new key card."],
    "heating": ["The radiator stays cold.", "There is no warm water.", "The boiler knocks.", "It is far too hot in here."],
    "light": [
        "Two lamps in the corridor are out.",
        "The desk lamp flickers.",
        "The stairs are dark.",
        "A switch is loose.",
    ],
    "water": ["The tap drips all night.", "The sink is blocked.", "Water runs down the wall.", "The toilet does not stop."],
    "cleaning": ["The floor is sticky.", "Nobody has emptied the bins.", "Crumbs everywhere.", "The windows are dirty."],
}
MINUTES = {"keys": 6, "heating": 45, "light": 12, "water": 30, "cleaning": 20}
PHRASES = ["Hello!", "Good morning,", "Hi,", "As said on the phone:", "Once more:", ""]


def write_requests(path: Path) -> None:
    """One to three sentences each; a list of topics, and how many minutes it took."""
    generator = np.random.default_rng(0)
    with path.open("w", encoding="utf-8") as file:
        for number in range(NUM_REQUESTS):
            topics = sorted(generator.choice(list(SENTENCES), generator.integers(1, 4), replace=False).tolist())
            said = [generator.choice(SENTENCES[topic]) for topic in topics]
            minutes = sum(MINUTES[topic] for topic in topics) + generator.normal(0, 3)
            text = " ".join([generator.choice(PHRASES), *said, f"Flat {number % 40 + 1}."]).strip()
            file.write(json.dumps({"request": text, "topics": topics, "minutes": round(minutes, 1)}) + "\n")


def main() -> None:
    """From a file to two models."""
    HERE.mkdir(parents=True, exist_ok=True)
    write_requests(HERE / "requests.jsonl")
    models = {}
    for target, others in (("topics", ["minutes"]), ("minutes", ["topics"])):
        settings = {"method": "probe", "out": str(HERE / target), "overwrite": True}
        run = luthier.tune(HERE / "requests.jsonl", target=target, ignore=others, **settings)
        print(run.card)
        models[target] = luthier.load_model(run.model_path)

    for request in ("No warm water, and the bins are full.", "Please cut a key."):
        topics, minutes = models["topics"].predict([request])[0], models["minutes"].predict([request])[0]
        print(f"{', '.join(topics) or 'nothing known'}, about {minutes:.0f} minutes: {request}")


if __name__ == "__main__":
    main()
