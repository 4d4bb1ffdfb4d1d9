"""Reading rows of a table: what train taught, kept as JSON, applied to rows that train never saw."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from luthier.errors import DataError, ModelError
from luthier.models.table_processor import TableProcessor, fit_table

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
