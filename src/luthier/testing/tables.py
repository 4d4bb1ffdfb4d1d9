"""Small data sets made in place, for tests of checks, splits and tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from luthier.data.dataset import EXAMPLE_ID, Dataset
from luthier.data.schema import Column, Kind, Schema


def make_dataset(
    columns: Mapping[str, Sequence[object]],
    *,
    roles: Mapping[str, str],
    kinds: Mapping[str, Kind] | None = None,
    sizes: Mapping[str, int] | None = None,
    name: str = "toy",
) -> Dataset:
    """A data set from Python lists.

    Args:
        columns: The columns, without `example_id`, which becomes `toy.csv:1`, `toy.csv:2`, …
        roles: Role -> column name.
        kinds: Of columns that are not what their role says (text, category, image) and not categories.
        sizes: Rows of each part, in the table's order; one part `all` if left out.
        name: Of the data set.

    Example:
        >>> make_dataset({"text": ["a", "b"], "label": ["x", "y"]}, roles={"text": "text", "target": "label"}).parts["all"]
        array([0, 1])
    """
    num_rows = len(next(iter(columns.values())))
    table = pa.table({EXAMPLE_ID: [f"{name}.csv:{row + 1}" for row in range(num_rows)], **columns})
    role_of = {column: role for role, column in roles.items()}
    usual = {
        "text": Kind.TEXT,
        "text_pair": Kind.TEXT,
        "image": Kind.IMAGE,
        "audio": Kind.AUDIO,
        "time": Kind.DATETIME,
        "id": Kind.IDENTIFIER,
    }
    described = []
    for column, values in columns.items():
        present = [value for value in values if value is not None and str(value).strip()]
        described.append(
            Column(
                name=column,
                kind=(kinds or {}).get(column, usual.get(role_of.get(column, ""), Kind.CATEGORY)),
                missing=num_rows - len(present),
                distinct=len(set(present)),
                examples=tuple(str(value) for value in present[:3]),
                mean_words=sum(len(str(value).split()) for value in present) / max(1, len(present)),
            )
        )
    ends = np.cumsum(list((sizes or {"all": num_rows}).values()))
    starts = np.concatenate(([0], ends[:-1]))
    parts = {part: np.arange(start, end) for part, start, end in zip(sizes or {"all": num_rows}, starts, ends, strict=True)}
    return Dataset(
        name=name, table=table, schema=Schema(columns=tuple(described), roles=dict(roles), num_rows=num_rows), parts=parts
    )


def write_sounds(
    folder: Path, number: int, *, seed: int, rate: int = 8_000, seconds: float = 0.3, pitches: Sequence[float] = ()
) -> list[str]:
    """Write short WAV files of a tone in noise, all different; returns their paths.

    Args:
        pitches: Of the tones in Hz, taken in turn; by default each has its own.
    """
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    paths = []
    for place in range(number):
        pitch = pitches[place % len(pitches)] if pitches else 200.0 + 150.0 * place
        length = int(rate * seconds * generator.uniform(0.8, 1.2))
        tone = 0.3 * np.sin(2 * np.pi * pitch * np.arange(length) / rate) + generator.normal(0, 0.02, length)
        path = folder / f"sound-{place}.wav"
        soundfile.write(path, tone.astype(np.float32), rate, subtype="PCM_16")
        paths.append(str(path))
    return paths


def table_dataset(answers: Sequence[object], *, kinds: Mapping[str, Kind] | None = None) -> Dataset:
    """Rows with numbers, categories and dates, some of them missing, and an answer for each."""
    size = len(answers)
    columns: dict[str, Sequence[object]] = {
        "age": [None if row == 3 else str(20 + 7 * row) for row in range(size)],
        "plan": ["" if row == 5 else ("basic", "gold")[row % 2] for row in range(size)],
        "since": [f"2024-{1 + row % 12:02}-{1 + row % 28:02}" for row in range(size)],
        "answer": answers,
    }
    known = {"age": Kind.NUMBER, "plan": Kind.CATEGORY, "since": Kind.DATETIME}
    dataset = make_dataset(columns, roles={"target": "answer"}, kinds={**known, **(kinds or {})})
    return replace(dataset, schema=replace(dataset.schema, features=("age", "plan", "since")))


def tiny_table_model(folder: Path, dataset: Dataset) -> Path:
    """A network on the features of a table, with random weights, in a folder."""
    from luthier.models.own import save_own
    from luthier.models.table_fit import fit_table
    from luthier.models.table_network import TableShape, fresh_table_network, wrap_table_network
    from luthier.models.table_processor import TableProcessor

    columns = [(name, dataset.schema.kind_of(name).value) for name in dataset.schema.features]
    content = fit_table(dataset.table, columns, scaling="standard")
    sizes = tuple(cell.size for cell in content.categories)
    shape = TableShape(numbers=len(content.numbers), categories=sizes, width=16, blocks=2, heads=2)
    folder.mkdir(parents=True, exist_ok=True)
    save_own(wrap_table_network(fresh_table_network(shape, seed=0)), folder)
    TableProcessor(content).save(folder)
    return folder


def write_pictures(folder: Path, number: int, *, seed: int, side: int = 40) -> list[str]:
    """Write small random PNG files, all different; returns their paths."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    paths = []
    for place in range(number):
        coarse = generator.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        path = folder / f"picture-{place}.png"
        Image.fromarray(coarse).resize((side, side)).save(path)
        paths.append(str(path))
    return paths
