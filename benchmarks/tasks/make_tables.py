"""Writes the tables that some of the shared data sets need, for runs by the plain command.

    python benchmarks/tasks/make_tables.py FOLDER

nlupp: folds 0 to 17 to train, 18 and 19 to test; the columns `text` and `intents`.
bccd: which kinds of cells a picture shows (`cells`, with ";" between them) and how many red ones it has (`red_cells`), from
the boxes that were drawn around them; the parts are those of the data set.
bookings: what people say to a restaurant, with a question for each thing in it, as conversations (`text` is what they say).
tatoeba: sentences with translations, those whose English is a question (`questions.tsv`) and all others (`statements.tsv`).
"""

import argparse
import csv
import json
import os
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

SHARED = Path(os.environ.get("LUTHIER_SHARED", "../shared"))
FIRST_TEST_FOLD = 18


def write_nlupp(source: Path, folder: Path) -> None:
    """Two files of rows without slots, by their folds."""
    rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    for part in ("train", "test"):
        chosen = [row for row in rows if (row["fold"] >= FIRST_TEST_FOLD) == (part == "test")]
        lines = [json.dumps({"text": row["text"], "intents": row.get("intents", [])}, ensure_ascii=False) for row in chosen]
        (folder / f"{part}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


ASKED = {
    "time": "What time?",
    "date": "Which day?",
    "people": "How many people?",
    "first_name": "Which first name?",
    "last_name": "Which last name?",
}


def write_bookings(source: Path, folder: Path) -> None:
    """A conversation for each slot of restaurants8k: the text and a question for the slot, answered with its words."""
    for part, name in (("train", "train_0.json"), ("test", "test.json")):
        lines = []
        for item in json.loads((source / name).read_text(encoding="utf-8")):
            text = item["userInput"]["text"]
            for label in item.get("labels", []):
                span = label["valueSpan"]
                answer = text[span.get("startIndex", 0) : span["endIndex"]]
                messages = [
                    {"role": "user", "content": f"{text}\n{ASKED[label['slot']]}"},
                    {"role": "assistant", "content": answer},
                ]
                lines.append(json.dumps({"messages": messages, "text": text}))
        (folder / f"{part}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_bccd(source: Path, folder: Path) -> None:
    """A row for each picture, for each of two questions."""
    for part, names in (("train", "trainval"), ("test", "test")):
        with (folder / f"{part}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["image", "cells", "red_cells"])
            for name in (source / "ImageSets" / "Main" / f"{names}.txt").read_text(encoding="utf-8").split():
                root = ElementTree.parse(source / "Annotations" / f"{name}.xml").getroot()
                cells = Counter(item.findtext("name") for item in root.iter("object"))
                picture = (source / "JPEGImages" / f"{name}.jpg").absolute()
                writer.writerow([str(picture), ";".join(sorted(map(str, cells))), cells["RBC"]])


def write_tatoeba(source: Path, folder: Path) -> None:
    """Two tables: one to pre-train on, the other to tune on; no English sentence is in both."""
    heading, *rows = source.read_text(encoding="utf-8").splitlines()
    for name, asks in (("statements", False), ("questions", True)):
        chosen = [row for row in rows if row.partition("\t")[0].rstrip('" ').endswith("?") is asks]
        (folder / f"{name}.tsv").write_text("\n".join([heading, *chosen]) + "\n", encoding="utf-8")


def main() -> None:
    """All tables below one folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for name, write, source in (
        ("nlupp", write_nlupp, SHARED / "data" / "nlupp" / "banking.jsonl"),
        ("bccd", write_bccd, SHARED / "data" / "bccd"),
        ("bookings", write_bookings, SHARED / "data" / "restaurants8k"),
        ("tatoeba", write_tatoeba, SHARED / "data" / "tatoeba_eng_spa" / "pairs.tsv"),
    ):
        (folder / name).mkdir(parents=True, exist_ok=True)
        write(source, folder / name)


if __name__ == "__main__":
    main()
