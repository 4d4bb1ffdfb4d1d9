"""Which columns are a text and what is written from it; lists of sentences; what is wrong with pairs."""

from pathlib import Path

import pytest

from luthier.data.infer import infer_schema
from luthier.data.load import load_source
from luthier.data.schema import Kind, Schema
from luthier.data.settings import DataSettings
from luthier.tasks import choose_task

TEXTS = [f"The bird number {place} sat on the old gate and sang for an hour." for place in range(20)]
SHORT = [f"The bird {place} sang." for place in range(20)]


def schema_of(folder: Path, columns: dict[str, list[str]], **settings: str) -> Schema:
    import csv

    path = folder / "pairs.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return infer_schema(load_source([path], DataSettings()).table, DataSettings(**settings))[0]


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("source", "target"),
        ("Article", "Highlights"),
        ("eng", "spa"),
        ("de", "fr"),
        ("text", "summary"),
        ("original", "translation"),
    ],
)
def test_pairs_are_known_by_their_names(tmp_path: Path, source: str, target: str) -> None:
    schema = schema_of(tmp_path, {source: TEXTS, target: SHORT})
    assert (schema.roles["text"], schema.roles["target"]) == (source, target)
    assert choose_task(schema)[0].name == "sequence-to-sequence"


def test_long_texts_with_short_targets_are_summarised(tmp_path: Path) -> None:
    schema = schema_of(tmp_path, {"text": [" ".join([text] * 4) for text in TEXTS], "summary": SHORT})
    assert choose_task(schema)[0].name == "summarization"
    assert "sequence-to-sequence" in choose_task(schema)[1].evidence["also"]


def test_flags_name_the_pair_where_names_say_nothing(tmp_path: Path) -> None:
    schema = schema_of(tmp_path, {"before": TEXTS, "after": SHORT}, text="before", target="after")
    assert choose_task(schema)[0].name == "sequence-to-sequence"


def test_texts_with_labels_stay_classification(tmp_path: Path) -> None:
    labels = ["song", "call"] * 10
    assert choose_task(schema_of(tmp_path, {"source": TEXTS, "target": labels}))[0].name == "text-classification"
    schema = schema_of(tmp_path, {"source": TEXTS, "target": SHORT, "label": labels})
    assert schema.roles["target"] == "label"
    assert choose_task(schema)[0].name != "sequence-to-sequence"


def test_three_columns_named_like_languages_are_not_guessed(tmp_path: Path) -> None:
    schema = schema_of(tmp_path, {"en": TEXTS, "fr": SHORT, "de": TEXTS}, text="en", target="de")
    assert (schema.roles["text"], schema.roles["target"]) == ("en", "de")


def test_lists_of_sentences_are_texts_and_lists_of_labels_are_labels(tmp_path: Path) -> None:
    lists = [f'["{text}", "Then it flew away over the field."]' for text in TEXTS]
    labels = [f'["song of spring", "call {place % 3}"]' for place in range(20)]
    words = ['["the", "bird", "sang", "in", "the", "tree"]'] * 20
    schema = schema_of(tmp_path, {"source": lists, "target": lists, "tags": labels, "words": words})
    kinds = {column.name: column.kind for column in schema.columns}
    assert kinds == {"source": Kind.TEXTS, "target": Kind.TEXTS, "tags": Kind.LIST, "words": Kind.CONSTANT}
    assert (schema.roles["text"], schema.roles["target"]) == ("source", "target")
    assert choose_task(schema)[0].name == "sequence-to-sequence"


def test_the_model_decides_between_tasks_that_fit_about_as_well(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{place}.wav") for place in range(20)]
    for path in paths:
        Path(path).write_bytes(b"")
    heard = schema_of(tmp_path, {"audio": paths, "transcript": SHORT})
    assert choose_task(heard)[0].name == "speech-recognition"
    chosen, decision = choose_task(heard, network="speech-seq2seq")
    assert chosen.name == "speech-to-text"
    assert "the model was made for it" in decision.reason
    labelled = schema_of(tmp_path, {"audio": paths, "label": ["song", "call"] * 10})
    assert choose_task(labelled, network="speech-seq2seq")[0].name == "audio-classification"
