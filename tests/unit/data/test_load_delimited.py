"""CSV and TSV files: every kind of damage is reported with its line, and nothing else is lost."""

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from luthier.core.records import to_plain
from luthier.data.load import Source, load_source
from luthier.data.load import delimited as delimited_module
from luthier.data.settings import DataSettings
from luthier.errors import DataError, LuthierError, SpecError

FEW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
GOOD = b"".join(b"good %d,yes\n" % number for number in range(20))


def load(path: Path, content: bytes, **changes: object) -> Source:
    path.write_bytes(content)
    return load_source([path], DataSettings(**changes))  # type: ignore[arg-type]


def lines_of(source: Source, check: str) -> list[int]:
    return next((list(finding.evidence["lines"]) for finding in source.findings if finding.check == check), [])


DAMAGE = {
    "ragged_row": b"too,many,cells\n",
    "bad_utf8": b"caf\xe9,yes\n",
    "nul_byte": b"a\0b,yes\n",
    "unclosed_quote": b'"never closed,yes\n',
}
HARMLESS = {
    "blank_line": b"\n",
    "stray_mark": b"\xef\xbb\xbfjoined,yes\n",
    "mixed_line_ends": b"from windows,yes\r\n",
    "huge_row": b"x" * 1_000_001 + b",yes\n",
}


@pytest.mark.parametrize("fault", DAMAGE)
def test_a_damaged_row_is_dropped_and_reported_with_its_line(tmp_path: Path, fault: str) -> None:
    source = load(tmp_path / "a.csv", b"text,label\n" + GOOD + DAMAGE[fault] + GOOD)
    assert source.table.num_rows == 40
    assert lines_of(source, fault) == [22]
    assert [finding.check for finding in source.findings] == [fault]
    assert source.table.column("example_id")[20].as_py() == "a.csv:23"


@pytest.mark.parametrize("fault", DAMAGE)
def test_a_damaged_row_is_kept_in_its_place_if_asked(tmp_path: Path, fault: str) -> None:
    source = load(tmp_path / "a.csv", b"text,label\n" + GOOD + DAMAGE[fault] + GOOD, bad_rows="keep")
    row = source.table.slice(20, 1).to_pylist()[0]
    assert source.table.num_rows == 41
    assert row["example_id"] == "a.csv:22"
    assert [finding.rows.tolist() for finding in source.findings] == [[20]]
    assert {"ragged_row": "too", "bad_utf8": "caf\ufffd", "nul_byte": "a\ufffdb", "unclosed_quote": '"never closed'}[
        fault
    ] == row["text"]


@pytest.mark.parametrize("fault", DAMAGE)
def test_a_damaged_row_stops_the_run_if_asked(tmp_path: Path, fault: str) -> None:
    with pytest.raises(DataError, match="line 22") as caught:
        load(tmp_path / "a.csv", b"text,label\n" + GOOD + DAMAGE[fault] + GOOD, bad_rows="error")
    assert "--bad-rows drop" in caught.value.remedy


@pytest.mark.parametrize("fault", HARMLESS)
def test_what_can_be_mended_without_loss_is_reported_and_kept(tmp_path: Path, fault: str) -> None:
    source = load(tmp_path / "a.csv", b"text,label\n" + GOOD + HARMLESS[fault] + GOOD, bad_rows="error")
    assert lines_of(source, fault) == [22]
    assert source.table.num_rows == 40 + (fault != "blank_line")
    assert set(source.table.column("label").to_pylist()) == {"yes"}


def test_all_kinds_of_damage_together_are_each_reported_once(tmp_path: Path) -> None:
    kinds = DAMAGE | HARMLESS
    content = b"text,label\n" + b"".join(GOOD + damage for damage in kinds.values()) + GOOD
    source = load(tmp_path / "a.csv", content)
    assert {finding.check: finding.count for finding in source.findings} == dict.fromkeys(kinds, 1)
    assert [lines_of(source, fault) for fault in kinds] == [[21 * (place + 1) + 1] for place in range(len(kinds))]
    to_plain(source.findings)


def test_unclosed_quote_does_not_swallow_what_follows(tmp_path: Path) -> None:
    source = load(tmp_path / "a.csv", b'text,label\n"oh no,a\n"fine, really",b\nplain "quoted" word,c\n"last",d\n')
    assert source.table.column("text").to_pylist() == ["fine, really", 'plain "quoted" word', "last"]
    assert lines_of(source, "unclosed_quote") == [2]


def test_unclosed_quote_that_a_later_cell_happens_to_close_is_found_by_its_width(tmp_path: Path) -> None:
    content = b'text,label\n"oh no,a\n' + GOOD + b'5",b\n' + GOOD
    source = load(tmp_path / "a.csv", content)
    assert lines_of(source, "unclosed_quote") == [2]
    assert source.table.num_rows == 41


def test_line_breaks_in_quotes_belong_to_the_cell_and_lines_are_counted_right(tmp_path: Path) -> None:
    source = load(tmp_path / "a.csv", b'text,label\r\n"one\r\ntwo\n\nfour",a\r\nnext,b\r\n')
    assert source.table.to_pylist() == [
        {"example_id": "a.csv:2", "text": "one\r\ntwo\n\nfour", "label": "a"},
        {"example_id": "a.csv:6", "text": "next", "label": "b"},
    ]
    assert source.findings == ()


def test_inner_quotes_that_are_not_doubled_are_text(tmp_path: Path) -> None:
    source = load(tmp_path / "a.csv", b'text,label\n"say "hi" now",a\n5" pipe,b\n"a ""b""",c\n"odd"tail,d\n')
    assert source.table.column("text").to_pylist() == ['say "hi" now', '5" pipe', 'a "b"', "oddtail"]


@pytest.mark.parametrize(("delimiter", "suffix"), [(",", "csv"), (";", "csv"), ("|", "csv"), ("\t", "csv"), ("\t", "tsv")])
def test_the_delimiter_is_guessed_and_said(tmp_path: Path, delimiter: str, suffix: str) -> None:
    rows = [["text", "label"], ["well, well; I | see", "a"], ["b", "b"]]
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter).writerows(rows)
    source = load(tmp_path / f"a.{suffix}", buffer.getvalue().encode())
    assert source.table.select(["text", "label"]).to_pydict() == {"text": ["well, well; I | see", "b"], "label": ["a", "b"]}
    assert next(decision.value for decision in source.decisions if decision.name == "delimiter") == delimiter


def test_a_wrong_delimiter_is_refused_and_the_right_one_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="single column") as caught:
        load(tmp_path / "a.csv", b"text;label\na;b\n", delimiter=",")
    assert caught.value.remedy == "--delimiter ';'"


@pytest.mark.parametrize("delimiter", ["ab", "", '"', "\n", "é"])
def test_impossible_delimiters_are_refused(tmp_path: Path, delimiter: str) -> None:
    with pytest.raises(SpecError, match="one character"):
        load(tmp_path / "a.csv", b"text,label\na,b\n", delimiter=delimiter)


def test_delimiters_may_be_named_in_words(tmp_path: Path) -> None:
    assert load(tmp_path / "a.csv", b"a,b\tc\n1,2\t3\n", delimiter="tab").table.column_names == ["example_id", "a,b", "c"]


def test_tab_separated_text_with_bare_quotes_is_read_without_quoting(tmp_path: Path) -> None:
    source = load(tmp_path / "a.tsv", b'text\tlabel\n"Why?\ta\n"Because, he said\tb\nfine\tc\n')
    assert source.table.column("text").to_pylist() == ['"Why?', '"Because, he said', "fine"]
    assert "quoting" in [decision.name for decision in source.decisions]


def test_a_file_with_a_single_column_is_read(tmp_path: Path) -> None:
    source = load(tmp_path / "a.csv", b"text\nhello there\n\nbye\n")
    assert source.table.column("text").to_pylist() == ["hello there", "bye"]


def test_bad_headers_are_mended_and_reported(tmp_path: Path) -> None:
    source = load(tmp_path / "a.csv", b"\xef\xbb\xbftext,,text,example_id\n1,2,3,4\n")
    assert source.table.column_names == ["example_id", "text", "column_2", "text_2", "example_id_2"]
    assert "column_2" in next(finding.problem for finding in source.findings if finding.check == "header")


def test_gzipped_files_are_read_and_damaged_ones_refused(tmp_path: Path) -> None:
    packed = gzip.compress(b"text,label\n" + GOOD * 100)
    assert load(tmp_path / "a.csv.gz", packed).table.num_rows == 2000
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path / "b.csv.gz", packed[:-20])


def test_a_file_whose_rows_are_mostly_bad_is_refused_rather_than_dropped(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="probably misread"):
        load(tmp_path / "a.csv", b"text,label\n" + b"one, two, three,a\n" * 10)
    with pytest.raises(DataError, match="not UTF-8") as caught:
        load(tmp_path / "b.csv", b"text,label\n" + b"caf\xe9,a\n" * 10)
    assert "iconv -f WINDOWS-1252" in caught.value.remedy


def test_blocks_of_any_size_give_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"text,label\r\n" + b"".join(GOOD + damage for damage in DAMAGE.values()) + b'"two\r\nlines",a\r\n' + GOOD
    whole = load(tmp_path / "a.csv", content)
    for size in (23, 64, 1000):
        monkeypatch.setattr(delimited_module, "BLOCK_BYTES", size)
        parts = load(tmp_path / "a.csv", content)
        assert parts.table.to_pylist() == whole.table.to_pylist()
        assert [finding.evidence for finding in parts.findings] == [finding.evidence for finding in whole.findings]


CELLS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], include_characters="\n\r\t", exclude_characters="\ufeff"),
    max_size=12,
)
TABLES = st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=12)


@FEW
@given(rows=TABLES, delimiter=st.sampled_from([",", ";", "|"]), newline=st.sampled_from(["\n", "\r\n"]))
def test_what_the_standard_writer_wrote_is_read_back(
    tmp_path: Path, rows: list[tuple[str, ...]], delimiter: str, newline: str
) -> None:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter, lineterminator=newline, quoting=csv.QUOTE_ALL).writerows([("a", "b", "c"), *rows])
    source = load(tmp_path / "a.csv", buffer.getvalue().encode())
    assert [tuple(row[name] for name in "abc") for row in source.table.to_pylist()] == rows
    lines = buffer.getvalue().encode().replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    for row in source.table.to_pylist():
        number = int(row["example_id"].split(":")[1])
        first = row["a"].replace("\r\n", "\n").replace("\r", "\n").split("\n")[0].replace('"', '""')
        assert lines[number - 1].decode().startswith(f'"{first}')


SOUP = st.lists(
    st.sampled_from(
        [b'"', b'""', b",", b";", b"\t", b"\n", b"\r\n", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b"a", b" ", b"1", "é".encode()]
    )
)


@settings(FEW, max_examples=400)
@given(content=SOUP.map(b"".join) | st.binary(max_size=200), bad_rows=st.sampled_from(["drop", "keep", "error"]))
@example(content=b'"\n\xef\xbb\xbf\n""', bad_rows="drop")
@example(content=b'a,b\n"x""y\n"z,1\n', bad_rows="keep")
def test_whatever_the_bytes_only_our_own_errors_leave(tmp_path: Path, content: bytes, bad_rows: str) -> None:
    try:
        source = load(tmp_path / "a.csv", content, bad_rows=bad_rows)
    except LuthierError as error:
        assert error.problem and error.remedy
    else:
        source.table.validate(full=True)
        assert len(set(source.table.column("example_id").to_pylist())) == source.table.num_rows > 0
