"""JSONL and Parquet files, streaming, and lists of pictures."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from luthier.data.load import ROW_FAULT, list_media, load_source, stream_table
from luthier.data.load import delimited as delimited_module
from luthier.data.load.media import MEDIA
from luthier.data.settings import DataSettings
from luthier.errors import DataError, LuthierError

FEW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_jsonl_columns_are_the_union_of_the_keys_and_values_are_text(tmp_path: Path) -> None:
    rows = [{"text": "a", "n": 1.5}, {"text": None, "ok": True}, {"tags": ["x", {"y": 1}], "text": "c"}]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    source = load_source([tmp_path / "a.jsonl"], DataSettings())
    assert source.table.to_pydict() == {
        "example_id": ["a.jsonl:1", "a.jsonl:2", "a.jsonl:3"],
        "text": ["a", None, "c"],
        "n": ["1.5", None, None],
        "ok": [None, "true", None],
        "tags": [None, None, '["x", {"y": 1}]'],
    }


BAD_LINES = {
    "not json": "bad_json",
    "[1, 2]": "bad_json",
    '{"text": "never closed': "bad_json",
    '{"text": ' + "[" * 100_000 + "}": "bad_json",
    '{"text": ' + "9" * 5000 + "}": "bad_json",
    '{"text": "\\ud800"}': "bad_utf8",
    '{"text": "a\\u0000b"}': "nul_byte",
}


@pytest.mark.parametrize(("line", "fault"), BAD_LINES.items(), ids=range(len(BAD_LINES)))
def test_bad_jsonl_lines_are_dropped_or_kept_and_reported(tmp_path: Path, line: str, fault: str) -> None:
    good = '{"text": "good"}\n'
    (tmp_path / "a.jsonl").write_text(good * 2 + "\n" + line + "\n" + good)
    dropped = load_source([tmp_path / "a.jsonl"], DataSettings())
    kept = load_source([tmp_path / "a.jsonl"], DataSettings(bad_rows="keep"))
    assert dropped.table.column("example_id").to_pylist() == ["a.jsonl:1", "a.jsonl:2", "a.jsonl:5"]
    assert kept.table.column("example_id").to_pylist() == ["a.jsonl:1", "a.jsonl:2", "a.jsonl:4", "a.jsonl:5"]
    assert [(f.check, f.evidence["lines"]) for f in dropped.findings] == [(fault, [4])]
    with pytest.raises(DataError, match="line 4"):
        load_source([tmp_path / "a.jsonl"], DataSettings(bad_rows="error"))


def test_jsonl_whose_keys_are_no_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({f"key {number}": 1}) + "\n" for number in range(1100)))
    with pytest.raises(DataError, match="different keys"):
        load_source([tmp_path / "a.jsonl"], DataSettings())


LINES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@FEW
@given(
    lines=st.lists(LINES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=30), max_size=6),
    bad_rows=st.sampled_from(["drop", "keep", "error"]),
)
def test_whatever_the_jsonl_only_our_own_errors_leave(tmp_path: Path, lines: list[bytes], bad_rows: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    try:
        load_source([tmp_path / "a.jsonl"], DataSettings(bad_rows=bad_rows)).table.validate(full=True)
    except LuthierError as error:
        assert error.problem and error.remedy


def test_parquet_keeps_numbers_and_turns_the_rest_into_text(tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": ["a", None],
            "label": pa.array(["x", "y"]).dictionary_encode(),
            "n": [1, 2],
            "ok": [True, False],
            "tags": [["p"], []],
            "day": pa.array([0, 1], pa.date32()),
            "blob": [b"1", b"2"],
        }
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    source = load_source([tmp_path / "a.parquet"], DataSettings())
    assert source.table.to_pydict() == {
        "example_id": ["a.parquet:1", "a.parquet:2"],
        "text": ["a", None],
        "label": ["x", "y"],
        "n": [1, 2],
        "ok": [True, False],
        "tags": ['["p"]', "[]"],
        "day": ["1970-01-01", "1970-01-02"],
    }
    assert [finding.check for finding in source.findings] == ["raw_bytes"]


def test_columns_of_different_types_in_different_parts_become_text(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"text": ["a"], "label": [1]}), tmp_path / "train.parquet")
    (tmp_path / "test.csv").write_text("text,label\nb,2\n")
    source = load_source([tmp_path], DataSettings())
    assert source.table.column("label").to_pylist() == ["1", "2"]


@FEW
@given(cut=st.integers(0, 400), place=st.integers(0, 400), byte=st.integers(0, 255))
def test_damaged_parquet_raises_only_our_own_errors(tmp_path: Path, cut: int, place: int, byte: int) -> None:
    parquet.write_table(pa.table({"text": ["a", "b"], "label": ["x", "y"]}), tmp_path / "a.parquet")
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    content[place % len(content)] = byte
    (tmp_path / "a.parquet").write_bytes(content[: len(content) - cut])
    try:
        load_source([tmp_path / "a.parquet"], DataSettings())
    except LuthierError as error:
        assert error.problem and error.remedy


def test_streaming_gives_every_row_in_order_and_flags_the_bad_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited_module, "BLOCK_BYTES", 100)
    rows = [f"text {number},x" for number in range(50)]
    rows[17], rows[30] = "short", '"never closed,x'
    (tmp_path / "a.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    batches = list(stream_table(tmp_path / "a.csv", DataSettings(), rows_per_batch=4))
    table = pa.concat_tables(batches)
    assert max(batch.num_rows for batch in batches) == 4
    assert table.column("example_id").to_pylist() == [f"a.csv:{number + 2}" for number in range(50)]
    faults = {row: fault for row, fault in enumerate(table.column(ROW_FAULT).to_pylist()) if fault}
    assert faults == {17: "ragged_row", 30: "unclosed_quote"}
    assert table.column("text")[30].as_py() == '"never closed'
    with pytest.raises(DataError, match="line 19"):
        list(stream_table(tmp_path / "a.csv", DataSettings(bad_rows="error")))


def test_streamed_batches_all_have_the_columns_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luthier.data.load.jsonl.LINES_PER_PIECE", 1)
    (tmp_path / "a.jsonl").write_text('{"text": "a", "n": 1}\n{"text": "b", "new": 2}\nnonsense\n')
    table = pa.concat_tables(stream_table(tmp_path / "a.jsonl", DataSettings()))
    assert table.drop_columns(["example_id"]).to_pydict() == {
        "text": ["a", "b", None],
        "n": ["1", None, None],
        ROW_FAULT: [None, None, "bad_json"],
    }


def test_streaming_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no"):
        next(stream_table(tmp_path / "a.csv", DataSettings()))


def test_pictures_are_listed_at_any_depth_in_a_fixed_order(tmp_path: Path) -> None:
    for name in ("b.jpg", "a/c.PNG", "a/notes.txt", ".hidden/d.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list_media(tmp_path, MEDIA["image"]) == [tmp_path / "b.jpg", tmp_path / "a" / "c.PNG"]
    assert list_media(tmp_path / "b.jpg", MEDIA["image"]) == [tmp_path / "b.jpg"]
    for path, problem in ((tmp_path / "a" / "notes.txt", "no picture"), (tmp_path / "b.jpeg", "Did you mean 'b.jpg'")):
        with pytest.raises(DataError, match=problem):
            list_media(path, MEDIA["image"])


def test_loading_and_inferring_import_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n" + "some words here,a\nother words there,b\n" * 10)
    code = (
        # pyarrow imports pandas by itself wherever it is installed. Here it is not, and whoever else asked for it would fail.
        "import sys; from importlib.machinery import PathFinder; find = PathFinder.find_spec;"
        "PathFinder.find_spec = lambda name, *where: None if name == 'pandas' else find(name, *where);"
        "from luthier.data.load import load_source; from luthier.data.infer import infer_schema;"
        "from luthier.data.settings import DataSettings;"
        f"infer_schema(load_source([{str(tmp_path / 'a.csv')!r}], DataSettings()).table, DataSettings());"
        "print([name for name in ('torch', 'transformers', 'sklearn', 'scipy', 'pandas', 'polars') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
