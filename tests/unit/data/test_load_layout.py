"""Which file is which part, and what is ignored; the reason is always given."""

from pathlib import Path

import pytest

from luthier.data.load import Source, load_source
from luthier.data.settings import DataSettings
from luthier.errors import DataError, LuthierError, SpecError

TABLE = "text,label\na,x\nb,y\n"


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(TABLE)
    return folder


def make_pictures(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"not looked at")
    return folder


def sizes(source: Source) -> dict[str, int]:
    return {part: len(rows) for part, rows in source.parts.items()}


def decided(source: Source, name: str) -> object:
    return next(decision.value for decision in source.decisions if decision.name == name)


def test_a_plain_file_is_one_part(tmp_path: Path) -> None:
    source = load_source([make(tmp_path, "tickets.csv") / "tickets.csv"], DataSettings())
    assert (source.name, source.kind, sizes(source)) == ("tickets", "table", {"all": 2})
    assert source.table.column("example_id").to_pylist() == ["tickets.csv:2", "tickets.csv:3"]


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "dev", "trial"])
@pytest.mark.parametrize("test", ["test", "eval", "holdout", "held_out"])
def test_files_named_like_parts_are_those_parts(tmp_path: Path, validation: str, test: str) -> None:
    source = load_source([make(tmp_path, "Training.csv", f"{validation}.csv", f"{test}.csv")], DataSettings())
    assert sizes(source) == {"train": 2, "validation": 2, "test": 2}
    assert source.table.take(source.parts["test"]).column("example_id").to_pylist() == [f"{test}.csv:2", f"{test}.csv:3"]


@pytest.mark.parametrize("second", ["val", "dev", "test"])
def test_of_two_parts_the_second_is_the_test_whatever_its_name(tmp_path: Path, second: str) -> None:
    source = load_source([make(tmp_path, "train.csv", f"{second}.csv")], DataSettings())
    assert sizes(source) == {"train": 2, "test": 2}
    assert decided(source, "parts") == {"train": ["train.csv"], "test": [f"{second}.csv"]}
    assert "validation is cut from train" in source.decisions[0].reason


def test_look_alikes_are_ignored_and_listed(tmp_path: Path) -> None:
    source = load_source(
        [make(tmp_path, "train.csv", "train_imbalanced.csv", "test.csv", "LICENSE.txt", "README")], DataSettings()
    )
    assert sizes(source) == {"train": 2, "test": 2}
    assert decided(source, "ignored_files") == ["LICENSE.txt", "README", "train_imbalanced.csv"]


def test_part_names_within_longer_names_count_where_they_are_unique(tmp_path: Path) -> None:
    assert sizes(load_source([make(tmp_path / "a", "my_train.csv", "my-test.csv")], DataSettings())) == {
        "train": 2,
        "test": 2,
    }
    with pytest.raises(DataError, match="several files for the part 'train'") as caught:
        load_source([make(tmp_path / "b", "train_a.csv", "train_b.csv", "test.csv")], DataSettings())
    assert "--train" in caught.value.remedy


def test_shards_of_one_part_are_joined(tmp_path: Path) -> None:
    folder = make(tmp_path, "train-00000-of-00002.csv", "train-00001-of-00002.csv", "test-00000-of-00001.csv")
    assert sizes(load_source([folder], DataSettings())) == {"train": 4, "test": 2}


def test_folders_named_like_parts_hold_their_tables(tmp_path: Path) -> None:
    source = load_source([make(tmp_path, "train/data.csv", "test/data.csv", "notes/data.csv")], DataSettings())
    assert sizes(source) == {"train": 2, "test": 2}
    assert source.table.column("example_id").to_pylist()[::2] == ["train/data.csv:2", "test/data.csv:2"]


def test_a_training_file_alone_is_split_later(tmp_path: Path) -> None:
    assert sizes(load_source([make(tmp_path, "train.csv", "other.csv")], DataSettings())) == {"all": 2}


def test_parts_may_be_given_by_flag(tmp_path: Path) -> None:
    make(tmp_path, "one/data.csv", "two/data.csv", "three/data.csv")
    flags = {
        part: str(tmp_path / name / "data.csv") for part, name in (("train", "one"), ("validation", "two"), ("test", "three"))
    }
    source = load_source([], DataSettings(**flags))
    assert sizes(source) == {"train": 2, "validation": 2, "test": 2}
    assert source.table.column("example_id").to_pylist()[::2] == ["one/data.csv:2", "two/data.csv:2", "three/data.csv:2"]


def test_a_source_beside_a_test_flag_is_the_training_part(tmp_path: Path) -> None:
    make(tmp_path, "a.csv", "b.csv")
    assert sizes(load_source([tmp_path / "a.csv"], DataSettings(test=str(tmp_path / "b.csv")))) == {"train": 2, "test": 2}


def test_several_sources_are_parts_if_their_names_say_so(tmp_path: Path) -> None:
    make(tmp_path, "train.csv", "dev.csv", "test.csv", "a.csv", "b.csv")
    paths = [tmp_path / name for name in ("test.csv", "train.csv", "dev.csv")]
    assert sizes(load_source(paths, DataSettings())) == {"train": 2, "validation": 2, "test": 2}
    with pytest.raises(SpecError, match="nor weights that they are to be mixed") as caught:
        load_source([tmp_path / "a.csv", tmp_path / "b.csv"], DataSettings())
    one, other = tmp_path / "a.csv", tmp_path / "b.csv"
    assert caught.value.remedy == f"--train {one} --test {other}; or {one}:1 {other}:1, to mix them"


def test_contradictions_are_refused(tmp_path: Path) -> None:
    make(tmp_path, "a.csv", "b.csv")
    one, other = str(tmp_path / "a.csv"), str(tmp_path / "b.csv")
    with pytest.raises(SpecError, match="both given"):
        load_source([one], DataSettings(train=other))
    with pytest.raises(SpecError, match="nothing to train on"):
        load_source([], DataSettings(test=other))
    with pytest.raises(SpecError, match="No data"):
        load_source([], DataSettings())


def test_a_folder_of_class_folders_is_one_part(tmp_path: Path) -> None:
    folder = make_pictures(
        tmp_path, "cats/1.jpg", "cats/deep/2.PNG", "dogs/3.webp", "dogs/notes.txt", "README.md", ".cache/x/1.jpg"
    )
    source = load_source([folder], DataSettings())
    assert source.kind == "image-folder"
    assert source.table.column_names == ["example_id", "image", "label"]
    assert source.table.column("label").to_pylist() == ["cats", "cats", "dogs"]
    assert source.table.column("example_id").to_pylist() == ["cats/1.jpg", "cats/deep/2.PNG", "dogs/3.webp"]
    assert all(Path(path).is_absolute() and Path(path).is_file() for path in source.table.column("image").to_pylist())
    assert [finding.evidence["files"] for finding in source.findings] == [["dogs/notes.txt"]]
    assert decided(source, "ignored_files") == ["README.md"]


def test_picture_folders_named_like_parts_are_those_parts(tmp_path: Path) -> None:
    folder = make_pictures(tmp_path, *(f"{part}/{label}/1.jpg" for part in ("train", "val", "test") for label in "ab"))
    source = load_source([folder], DataSettings())
    assert sizes(source) == {"train": 2, "validation": 2, "test": 2}
    assert source.table.column("example_id").to_pylist()[0] == "train/a/1.jpg"


def test_a_class_that_is_called_like_a_part_is_a_class(tmp_path: Path) -> None:
    source = load_source([make_pictures(tmp_path, "train/1.jpg", "bus/2.jpg", "test/3.jpg")], DataSettings())
    assert sizes(source) == {"all": 3}
    assert source.table.column("label").to_pylist() == ["bus", "test", "train"]


def test_picture_paths_in_a_table_are_found_from_its_folder(tmp_path: Path) -> None:
    make_pictures(tmp_path, "pictures/1.jpg", "pictures/2.jpg")
    (tmp_path / "list.csv").write_text("file,label\npictures/1.jpg,a\npictures/2.jpg,b\n")
    source = load_source([tmp_path / "list.csv"], DataSettings())
    assert source.table.column("file").to_pylist() == [str(tmp_path / "pictures" / name) for name in ("1.jpg", "2.jpg")]
    assert decided(source, "picture paths") == "file"


def test_columns_that_a_part_lacks_are_reported_with_what_is_like_them(tmp_path: Path) -> None:
    make(tmp_path, "train.csv")
    (tmp_path / "test.csv").write_text("text,Label\na,x\n")
    source = load_source([tmp_path], DataSettings())
    problems = [finding.problem for finding in source.findings if finding.check == "different_columns"]
    assert "test.csv lacks 'label'" in problems[1] and "'Label' is like 'label'" in problems[1]
    assert source.table.column("label").to_pylist() == ["x", "y", None]


def test_a_path_that_the_system_refuses_is_our_own_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too long"):
        load_source([tmp_path / ("x" * 300)], DataSettings())


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


BAD_FILES = {
    "empty.csv": (b"", "empty", "at least one row"),
    "blank.csv": (b"\n\n", "empty", "at least one row"),
    "header.csv": (b"text,label\n", "no rows", "add rows"),
    "sheet.xlsx": (b"PK\x03\x04", "suffix is '.xlsx'", "as CSV UTF-8"),
    "list.json": (b"[]", "holds an empty list", "write a list of objects"),
    "all.zip": (b"PK\x03\x04", "suffix is '.zip'", "unzip all.zip"),
    "one.png": (b"\x89PNG", "suffix is '.png'", "sub-folder of pictures per class"),
    "sheet.csv": (b"PK\x03\x04rest", "Excel", "as CSV"),
    "t.csv": (b"PAR1rest", "a Parquet file", "mv t.csv t.parquet"),
    "utf16.csv": ("text,label\na,b\n".encode("utf-16"), "UTF-16", "iconv -f UTF-16"),
    "utf16be.csv": ("text,label\na,b\n".encode("utf-16-be"), "UTF-16", "iconv -f UTF-16"),
    "random.csv": (bytes(range(32)) * 20, "binary", "CSV"),
    "bad.parquet": (b"PAR1 no", "Parquet", "damaged"),
    "bad.jsonl": (b"[1]\n[2]\n", "No line of bad.jsonl is a JSON object", "text"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_files_that_are_no_tables_are_refused_with_something_to_do(tmp_path: Path, name: str) -> None:
    content, problem, remedy = BAD_FILES[name]
    with pytest.raises(DataError) as caught:
        load_source([write(tmp_path / name, content)], DataSettings())
    assert name in caught.value.problem
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


def test_a_missing_file_names_the_nearest_one(tmp_path: Path) -> None:
    make(tmp_path, "tickets.csv")
    with pytest.raises(DataError, match=r"Did you mean 'tickets\.csv'") as caught:
        load_source([tmp_path / "tikets.csv"], DataSettings())
    assert caught.value.remedy == str(tmp_path / "tickets.csv")
    with pytest.raises(DataError, match=r"holds tickets\.csv"):
        load_source([tmp_path / "zzz"], DataSettings())


def test_folders_that_hold_no_data_set_are_refused(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    cases = {
        tmp_path / "nothing": "found: nothing",
        make_pictures(tmp_path / "flat", "1.jpg", "2.jpg"): "not in class folders",
        make(tmp_path / "many", "a.csv", "b.csv"): "2 tables",
        make(tmp_path / "outer", "a/train.csv", "b/train.csv"): "several data sets",
    }
    for folder, problem in cases.items():
        with pytest.raises(LuthierError, match=problem):
            load_source([folder], DataSettings())


def test_problems_of_several_files_come_together(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", b"text,label\n")
    write(tmp_path / "test.csv", b"text,label\n")
    with pytest.raises(DataError, match="2 problems") as caught:
        load_source([tmp_path], DataSettings())
    assert "train.csv" in str(caught.value) and "test.csv" in str(caught.value)


EXPECTED = {
    "banking77": ({"train": 10003, "test": 3080}, ["LICENSE.txt"]),
    "clinc150": ({"train": 15100, "validation": 3100, "test": 5500}, ["LICENSE.txt", "train_imbalanced.csv"]),
    "tweet_emotion": ({"train": 3257, "validation": 374, "test": 1421}, None),
    "goemotions_single": ({"train": 23485, "validation": 2956, "test": 2984}, None),
    "hymenoptera": ({"train": 244, "test": 153}, None),
    "cifar10_subset": ({"train": 4000, "test": 1500}, None),
    "airline_tweets": ({"all": 14640}, None),
    "telco_churn": ({"all": 7043}, None),
}


@pytest.mark.shared_data
@pytest.mark.parametrize("name", EXPECTED)
def test_real_data_sets_load_with_the_published_sizes(shared: Path, name: str) -> None:
    """The sizes are those of the data's own README."""
    source = load_source([shared / "data" / name], DataSettings())
    expected, ignored = EXPECTED[name]
    assert sizes(source) == expected
    assert [d.value for d in source.decisions if d.name == "ignored_files"] == ([ignored] if ignored else [])
    assert not [finding for finding in source.findings if finding.severity != "info"]
