"""Reading rows of a table: what train taught, kept as JSON, applied to rows that train never saw."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from luthier.errors import DataError, ModelError
from luthier.models.table_fit import fit_table
from luthier.models.table_processor import PicturesRead, TableProcessor
from luthier.tasks.table_inputs import TableInputs

TRAIN = pa.table(
    {
        "tenure": [str(value) for value in range(30)],
        "charges": [f"{value * 1.5}" if value % 7 else " " for value in range(30)],
        "plan": [("basic", "gold")[value % 2] for value in range(30)],
        "children": [str(value % 4) for value in range(30)],
        "joined": [f"{1 + value % 12}/{1 + value % 28}/2023 14:{10 + value}" for value in range(30)],
        "nothing": [None] * 30,
    }
)
KINDS = [
    ("tenure", "number"),
    ("charges", "number"),
    ("plan", "category"),
    ("children", "category"),
    ("joined", "datetime"),
    ("nothing", "number"),
]


@pytest.fixture
def processor() -> TableProcessor:
    return TableProcessor(fit_table(TRAIN, KINDS, scaling="standard"))


def test_each_column_becomes_cells_of_its_kind(processor: TableProcessor) -> None:
    content = processor.content
    assert [cell.name for cell in content.numbers] == ["tenure", "charges", "children", "joined.days"]
    assert [cell.name for cell in content.categories] == ["plan", "joined.month", "joined.weekday"]
    assert content.columns == ("tenure", "charges", "children", "joined", "plan")
    assert content.dates == {"joined": "%m/%d/%Y %H:%M"}


def test_rows_are_encoded_with_missing_values_known(processor: TableProcessor) -> None:
    encoded = processor.encode(TRAIN)
    assert encoded.numbers.shape == (30, 4)
    assert encoded.states[:8, 1].tolist() == [1, 0, 0, 0, 0, 0, 0, 1]
    assert encoded.numbers[0, 1] == 0
    assert encoded.numbers[:, 0].mean() == pytest.approx(0, abs=1e-6)
    assert encoded.faults == {}


def test_what_new_rows_hold_is_told_by_row_and_column(processor: TableProcessor) -> None:
    new = pa.table(
        {
            "tenure": ["x", "3", "inf"],
            "charges": ["1", "2", "3"],
            "plan": ["platinum", "gold", None],
            "children": ["1", "1", "1"],
            "joined": ["3/3/2023 10:00", "2023-03-03", ""],
            "another": ["1", "2", "3"],
        }
    )
    encoded = processor.encode(new)
    assert encoded.faults[0] == "'x' in column 'tenure' is no number"
    assert encoded.faults[1] == "'2023-03-03' in column 'joined' is no date like those of train"
    assert encoded.faults[2] == "'inf' in column 'tenure' is no number"
    assert encoded.states[:, 0].tolist() == [1, 0, 1]
    assert encoded.categories[:, 0].tolist() == [3, processor.content.categories[0].codes(["gold"])[0], 1]


def test_missing_columns_are_named_with_those_that_may_be_meant(processor: TableProcessor) -> None:
    table = TRAIN.rename_columns(["Tenure", "charges", "plans", "children", "joined", "nothing"])
    with pytest.raises(DataError, match=r"reads the columns 'tenure' and 'plan', which the table lacks.*Is 'plans'") as caught:
        processor.encode(table)
    assert "add the columns, empty where nothing is known" in caught.value.remedy


def test_it_is_the_same_after_it_was_saved(processor: TableProcessor, tmp_path: Path) -> None:
    processor.save(tmp_path)
    again = TableProcessor.load(tmp_path)
    assert again.content == processor.content
    assert again.fingerprint() == processor.fingerprint()
    assert np.array_equal(again.encode(TRAIN).numbers, processor.encode(TRAIN).numbers)


def test_a_folder_without_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not say how a table is read"):
        TableProcessor.load(tmp_path)
    (tmp_path / "processor.json").write_text('{"numbers": 3}')
    with pytest.raises(ModelError, match="does not say how a table is read") as caught:
        TableProcessor.load(tmp_path)
    assert "copy the model folder again" in caught.value.remedy


@pytest.mark.parametrize(
    ("dates", "problem"),
    [
        (["3/4/2024", "5/6/2024"], "with the day first or with the month first"),
        (["2024-03-04", "4 March 2024", "soon"], "written in several ways"),
    ],
)
def test_dates_that_cannot_be_read_are_refused(dates: list[str], problem: str) -> None:
    with pytest.raises(DataError, match=problem) as caught:
        fit_table(pa.table({"day": dates}), [("day", "datetime")], scaling="standard")
    assert caught.value.remedy == "write them as YYYY-MM-DD, or --ignore 'day'"


def pictures_by_name(paths: Sequence[str]) -> PicturesRead:
    """A stand-in for a network: the vector of `3.png` is all threes; what is named otherwise cannot be read."""
    faults = {place: "is not there" for place, path in enumerate(paths) if not path[0].isdigit()}
    vectors = np.array([[0.0] * 4 if place in faults else [float(path[0])] * 4 for place, path in enumerate(paths)])
    return PicturesRead(vectors=vectors.astype(np.float32), keys=[path.encode() for path in paths], faults=faults)


def test_pictures_stand_where_rows_name_them_and_others_are_missing_and_named() -> None:
    table = pa.table({"front": ["3.png", "", "gone.png"], "back": ["4.png", "5.png", None], "size": ["1", "2", "9"]})
    content = fit_table(table, [("front", "image"), ("back", "image"), ("size", "number")], scaling="standard")
    assert content.columns == ("size", "front", "back")
    with pytest.raises(ModelError, match="Nothing here reads the pictures"):
        TableProcessor(content).encode(table)
    rows = TableProcessor(content, image_reader=pictures_by_name).encode(table)
    assert rows.pictures is not None
    assert rows.pictures.vectors[:, :, 0].tolist() == [[3, 4], [0, 5], [0, 0]]
    assert rows.pictures.states.tolist() == [[0, 0], [1, 0], [1, 1]]
    assert rows.faults == {2: "the picture 'gone.png' in column 'front' is not there"}
    inputs = TableInputs.build(rows, content)
    assert inputs.batch(np.array([0]))["images"].shape == (1, 2, 4)
    assert len(set(inputs.keys.tolist())) == 3
    dealt = inputs.shuffled("back", content, np.array([1, 2, 0])).batch(np.arange(3))
    assert dealt["images"][:, 1, 0].tolist() == [5, 0, 4]
    assert dealt["image_states"][:, 1].tolist() == [0, 1, 0]


def test_what_was_saved_before_tables_named_pictures_is_read(processor: TableProcessor, tmp_path: Path) -> None:
    processor.save(tmp_path)
    saved = json.loads((tmp_path / "processor.json").read_text())
    (tmp_path / "processor.json").write_text(json.dumps({k: v for k, v in saved.items() if not k.startswith("image")}))
    assert TableProcessor.load(tmp_path).content == processor.content
