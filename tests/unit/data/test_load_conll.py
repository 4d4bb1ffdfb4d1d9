"""CoNLL files: what a line is, where sentences end, what is no CoNLL at all, and bad lines named by number."""

import gzip
import json
from pathlib import Path

import pytest

from luthier.data.infer import infer_schema
from luthier.data.load import Source, load_source, stream_table
from luthier.data.load.conll import holds_tagged_words
from luthier.data.schema import Kind
from luthier.data.settings import DataSettings
from luthier.errors import DataError

SOUND = "EU\tB-ORG\nrejects\tO\n\nGerman\tB-MISC\ncall\tO\n.\tO\n\n"


def written(folder: Path, text: str, name: str = "notes.conll") -> Path:
    path = folder / name
    path.write_bytes(text.encode("utf-8"))
    return path


def loaded(path: Path, **settings: object) -> Source:
    return load_source([path], DataSettings(**settings))


def rows(source: Source, column: str) -> list[list[str]]:
    return [json.loads(cell) for cell in source.table.column(column).to_pylist()]


def test_a_sentence_is_a_row_named_by_the_line_of_its_first_word(tmp_path: Path) -> None:
    source = loaded(written(tmp_path, SOUND))
    assert rows(source, "tokens") == [["EU", "rejects"], ["German", "call", "."]]
    assert rows(source, "tags") == [["B-ORG", "O"], ["B-MISC", "O", "O"]]
    assert source.table.column("example_id").to_pylist() == ["notes.conll:1", "notes.conll:4"]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + SOUND,
        SOUND.replace("\n", "\r\n"),
        SOUND.replace("\t", " "),
        SOUND.replace("\t", "\tNNP\tI-NP\t"),
        "# newdoc id = 1\n" + SOUND.replace("\n\n", "\n\n# text = a b c\n"),
        SOUND.replace("\n\n", "\n\t\n"),
        SOUND.rstrip("\n"),
    ],
    ids=["mark", "crlf", "spaces", "four columns", "comments", "blank but for a tab", "no last line end"],
)
def test_it_is_the_same_however_it_is_written(text: str, tmp_path: Path) -> None:
    source = loaded(written(tmp_path, text))
    assert rows(source, "tokens") == [["EU", "rejects"], ["German", "call", "."]]
    assert rows(source, "tags") == [["B-ORG", "O"], ["B-MISC", "O", "O"]]


def test_a_word_that_is_a_number_sign_is_a_word(tmp_path: Path) -> None:
    source = loaded(written(tmp_path, "#\tO\n#quine\tB-DRUG\n\n#1\tO\n\n"))
    assert rows(source, "tokens") == [["#", "#quine"], ["#1"]]


def test_documents_are_numbered(tmp_path: Path) -> None:
    text = f"-DOCSTART- -X- O\n\n{SOUND}-DOCSTART- -X- O\n\nlast O\n"
    source = loaded(written(tmp_path, text.replace("\t", " ")))
    assert source.table.column("document").to_pylist() == ["1", "1", "2"]
    assert rows(source, "tokens")[-1] == ["last"]


def test_one_column_is_words_without_tags(tmp_path: Path) -> None:
    source = loaded(written(tmp_path, "EU\nrejects\n\nGerman\n"))
    assert source.table.column_names == ["example_id", "tokens"]
    assert "words without tags" in source.decisions[-1].reason


def test_packed_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "notes.conll.gz"
    path.write_bytes(gzip.compress(SOUND.encode()))
    assert rows(loaded(path), "tokens")[0] == ["EU", "rejects"]


@pytest.mark.parametrize("name", ["train.tsv", "train.txt"])
def test_files_with_other_names_are_recognised_by_what_they_hold(name: str, tmp_path: Path) -> None:
    assert rows(loaded(written(tmp_path, SOUND, name)), "tags")[0] == ["B-ORG", "O"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("table.tsv", "text\tlabel\nhello there\tgreeting\n\nbye\tparting\n"),
        ("table.tsv", "text\tlabel\nhello\tO\nbye\tO\n"),
        ("table.tsv", "word\tletter\n\na\tB\nb\tI\n"),
        ("prose.txt", "The first line of a letter.\n\nAnd the second, which is longer.\n"),
        ("words.txt", "one\n\ntwo\n"),
        ("empty.txt", "\n\n"),
    ],
)
def test_tables_and_prose_are_not_taken_for_it(name: str, text: str, tmp_path: Path) -> None:
    assert not holds_tagged_words(written(tmp_path, text, name))


def test_a_licence_beside_the_parts_is_ignored_and_prose_is_refused(tmp_path: Path) -> None:
    written(tmp_path, SOUND, "train.txt")
    written(tmp_path, SOUND, "test.txt")
    written(tmp_path, "Do what you like.\n\nReally.\n", "LICENSE.txt")
    assert {part: len(held) for part, held in loaded(tmp_path).parts.items()} == {"train": 2, "test": 2}
    with pytest.raises(DataError, match="does not hold a word and its tag on each line") as caught:
        loaded(tmp_path / "LICENSE.txt")
    assert "mv LICENSE.txt LICENSE.csv" in caught.value.remedy


BROKEN = SOUND * 3 + "one\tO\ntwo\nthree\tO\n\n"


def test_a_line_with_too_few_columns_is_named_and_its_sentence_left_out(tmp_path: Path) -> None:
    source = loaded(written(tmp_path, BROKEN))
    assert source.table.num_rows == 6
    assert "1 row of notes.conll has a line with more or fewer columns than the rest of the file: line 23" in (
        source.findings[0].problem
    )
    with pytest.raises(DataError, match="line 23"):
        loaded(written(tmp_path, BROKEN), bad_rows="error")
    kept = loaded(written(tmp_path, BROKEN), bad_rows="keep")
    assert rows(kept, "tokens")[-1] == ["one", "two", "three"]
    assert rows(kept, "tags")[-1] == ["O", "O", "O"]
    assert kept.findings[0].rows.tolist() == [6]


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.conll"
    path.write_bytes((SOUND * 2).encode() + b"caf\xe9\tO\n\nnul\0\tO\n\n")
    problems = " ".join(finding.problem for finding in loaded(path).findings)
    assert "is not UTF-8: line 15" in problems
    assert "NUL bytes: line 17" in problems


def test_a_file_that_is_mostly_broken_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="probably misread"):
        loaded(written(tmp_path, "a\tO\n\nb\tO\n\n" + "one\ntwo\tO\n\n" * 3))


def test_no_sentence_and_endless_ones_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="has no sentence"):
        loaded(written(tmp_path, "\n\n"))
    monkeypatch.setattr("luthier.data.load.conll.MAX_WORDS", 10)
    with pytest.raises(DataError, match=r"line 1 of notes\.conll has more than 10 words") as caught:
        loaded(written(tmp_path, "word\tO\n" * 20))
    assert "blank line" in caught.value.remedy


def test_long_files_are_read_in_pieces_and_streamed_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luthier.data.load.conll.SENTENCES_PER_PIECE", 3)
    path = written(tmp_path, SOUND * 5 + "broken\n\n")
    assert loaded(path).table.num_rows == 10
    tables = list(stream_table(path, DataSettings(), rows_per_batch=4))
    assert sum(table.num_rows for table in tables) == 11
    assert tables[-1].column("row_fault").to_pylist()[-1] == "ragged_line"


def test_columns_get_their_roles(tmp_path: Path) -> None:
    source = loaded(written(tmp_path, SOUND))
    schema, _ = infer_schema(source.table, DataSettings())
    assert schema.roles == {"text": "tokens", "target": "tags"}
    assert (schema.kind_of("tokens"), schema.kind_of("tags")) == (Kind.LIST, Kind.TAGS)
