"""Plain texts as tables of documents."""

from pathlib import Path

import pytest

from luthier.data.dataset import EXAMPLE_ID
from luthier.data.load import load_source
from luthier.data.load.source import Source
from luthier.data.settings import DataSettings
from luthier.errors import DataError


def read(*sources: Path, **settings: str) -> Source:
    return load_source(sources, DataSettings(**settings), documents=True)


def texts(source: Source) -> dict[str, str]:
    return dict(zip(source.table[EXAMPLE_ID].to_pylist(), source.table["text"].to_pylist(), strict=True))


def test_a_folder_of_text_files_has_a_document_in_each(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "b.txt").write_text("Two\n\nparagraphs\n")
    (tmp_path / "deep" / "a.txt").write_text("One")
    (tmp_path / ".hidden.txt").write_text("no")
    found = read(tmp_path)
    assert texts(found) == {"b.txt": "Two\n\nparagraphs", "deep/a.txt": "One"}
    assert found.roles == {"text": "text"}
    assert list(found.parts) == ["all"]


def test_a_single_file_holds_paragraphs_or_else_lines(tmp_path: Path) -> None:
    (tmp_path / "paragraphs.txt").write_text("\n\nOne,\nstill one.\n \n\t\nTwo.\n\n\n")
    (tmp_path / "lines.txt").write_text("\ufeffOne.\r\nTwo.\r\n", encoding="utf-8")
    found = read(tmp_path / "paragraphs.txt")
    assert texts(found) == {"paragraphs.txt:3": "One,\nstill one.", "paragraphs.txt:7": "Two."}
    assert found.decisions[0].value == "paragraphs"
    assert texts(read(tmp_path / "lines.txt")) == {"lines.txt:1": "One.", "lines.txt:2": "Two."}


def test_files_named_like_parts_are_parts(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        (tmp_path / f"{part}.txt").write_text(f"{part} one\n\n{part} two\n")
    found = read(tmp_path)
    assert {part: rows.tolist() for part, rows in found.parts.items()} == {
        "train": [0, 1],
        "validation": [2, 3],
        "test": [4, 5],
    }
    assert texts(found)["test.txt:3"] == "test two"
    again = read(train=str(tmp_path / "train.txt"), test=str(tmp_path / "test.txt"))
    assert list(again.parts) == ["train", "test"]


def test_tables_and_tagged_words_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("The\tO\nship\tB-THING\n\nleft\tO\n")
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "rows.csv").write_text("note,kind\nfirst,a\nsecond,b\n")
    (tmp_path / "table" / "LICENSE.txt").write_text("Do what you like.")
    assert "tokens" in read(tmp_path / "words.txt").table.column_names
    assert read(tmp_path / "table").table.column_names == [EXAMPLE_ID, "note", "kind"]


@pytest.mark.parametrize(
    ("content", "problem", "remedy"),
    [
        (b"", "empty (0 bytes)", "a text on each line"),
        (b" \n\n \n", "holds no text, only white space", "a text on each line"),
        (b"fine\ncaf\xe9\n", "line 2: byte 0xe9 is no UTF-8", "iconv -f WINDOWS-1252"),
        (b"PK\x03\x04rest", "is a zip archive or an Excel sheet", "give the texts themselves, as UTF-8"),
        ("text".encode("utf-16"), "written in UTF-16", "iconv -f UTF-16"),
    ],
)
def test_what_is_no_text_is_named(tmp_path: Path, content: bytes, problem: str, remedy: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(path)
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


def test_a_missing_file_and_damaged_ones_in_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no"):
        read(tmp_path / "nothing.txt")
    (tmp_path / "a.txt").write_text("fine")
    (tmp_path / "b.txt").write_bytes(b"\xff\xff\xff")
    with pytest.raises(DataError, match=r"b\.txt, line 1"):
        read(tmp_path)
