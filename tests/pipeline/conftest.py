"""Small true stories for the tests of the pipeline: tables and pictures made from a seed, tiny models, finished runs."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import luthier
from luthier.pipeline import Run
from luthier.testing.folders import tiny_image_model, tiny_text_model

WORDS = {
    "billing": ["invoice", "charge", "refund", "payment", "card", "bank", "amount", "receipt"],
    "delivery": ["parcel", "courier", "late", "tracking", "address", "doorstep", "van", "waiting"],
    "device": ["screen", "battery", "button", "broken", "noise", "heat", "plug", "update"],
}
FILLERS = [
    "please",
    "the",
    "my",
    "again",
    "since",
    "monday",
    "and",
    "it",
    "was",
    "really",
    "very",
    "so",
    "today",
    "help",
    "i",
    "you",
    "when",
]
# Words of sentences with tags.
DRUGS, PLACES = ("aspirin", "ibuprofen", "quinine", "codeine"), ("leeds", "york", "bath", "ripon")
OTHERS = ("the", "nurse", "gave", "him", "some", "in", "and", "near", "today", "again", "of", "tablets")
# Everything by which two runs could differ is fixed; epochs are few, because each costs a second.
TEXT_RUN = {"num_epochs": 2, "threads": 1, "precision": "float32", "learning_rate": 3e-3, "bootstrap_samples": 200}


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of its own for the test session."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("LUTHIER_CACHE")
    os.environ["LUTHIER_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["LUTHIER_CACHE"]
    else:
        os.environ["LUTHIER_CACHE"] = before


def make_texts(number: int, *, seed: int = 0, labels: Sequence[str] = tuple(WORDS)) -> list[tuple[str, str]]:
    """Texts of five to twelve words, two or three of which tell the label, one time in ten another's."""
    generator = np.random.default_rng(seed)
    rows = []
    for place in range(number):
        label = labels[place % len(labels)]
        words = list(generator.choice(FILLERS, generator.integers(3, 9)))
        source = label if generator.random() > 0.1 else str(generator.choice(list(WORDS)))
        words += list(generator.choice(WORDS[source], 3))
        rows.append((" ".join(generator.permutation(words)) + f" {generator.integers(1000)}", label))
    return rows


def write_csv(path: Path, rows: Sequence[tuple[str, str]], header: str = "message,topic") -> Path:
    path.write_text("\n".join([header, *(f"{text},{label}" for text, label in rows)]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def text_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT that knows the words."""
    words = [word for group in WORDS.values() for word in group] + FILLERS
    return tiny_text_model(tmp_path_factory.mktemp("models") / "tiny-bert", words=words)


@pytest.fixture(scope="session")
def image_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny MobileNetV2."""
    return tiny_image_model(tmp_path_factory.mktemp("models") / "tiny-mobilenet")


@pytest.fixture(scope="session")
def tickets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 300 texts with three labels."""
    return write_csv(tmp_path_factory.mktemp("data") / "tickets.csv", make_texts(300))


@pytest.fixture(scope="session")
def text_run(tickets: Path, text_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run on texts, up the whole ladder."""
    out = tmp_path_factory.mktemp("runs") / "tickets"
    return luthier.tune(tickets, target="topic", model=str(text_model), out=str(out), **TEXT_RUN)


def make_pictures(folder: Path, number: int, *, seed: int = 0, labels: Sequence[str] = ("circle", "cross", "stripes")) -> Path:
    """Pictures of 40 x 36 pixels by class: a shape in its colour. Random networks scatter noise, so there is little of it."""
    from PIL import Image

    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:36, 0:40]
    for place in range(number):
        label = labels[place % len(labels)]
        pixels = generator.normal(90, 4, (36, 40, 3))
        top, left = generator.integers(17, 20), generator.integers(19, 22)
        shape = {
            "circle": (rows - top) ** 2 + (columns - left) ** 2 < 100,
            "cross": (abs(rows - top) < 3) | (abs(columns - left) < 3),
            "stripes": (columns + left) % 8 < 4,
        }[label]
        colour = np.full(3, 90.0)
        colour[labels.index(label) % 3] = 220
        pixels[shape] = colour + generator.normal(0, 12, 3)
        target = folder / label / f"{place:04}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(target)
    return folder


def make_sentences(number: int, *, seed: int = 0, longest: int = 12) -> list[list[tuple[str, str]]]:
    """Words and IOB2 tags: drugs of one word, places of one or two (`north york`)."""
    generator = np.random.default_rng(seed)
    sentences = []
    for _ in range(number):
        rows: list[tuple[str, str]] = []
        while len(rows) < generator.integers(4, longest):
            draw = generator.random()
            if draw < 0.15:
                rows.append((str(generator.choice(DRUGS)), "B-Drug"))
            elif draw < 0.3:
                name = str(generator.choice(PLACES))
                rows += [("north", "B-Place"), (name, "I-Place")] if generator.random() < 0.5 else [(name, "B-Place")]
            else:
                rows.append((str(generator.choice(OTHERS)), "O"))
        sentences.append(rows)
    return sentences


def write_conll(path: Path, sentences: list[list[tuple[str, str]]]) -> Path:
    blocks = ["\n".join(f"{word}\t{tag}" for word, tag in rows) for rows in sentences]
    path.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    return path
