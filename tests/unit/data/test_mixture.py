"""Several sources mixed by weight: how they are named, joined, told apart and drawn from."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.load import load_source
from luthier.data.mixture import Mixture, named_sources
from luthier.data.settings import DataSettings
from luthier.errors import DataError, LuthierError, SpecError

CSV = "text,label,page\nfirst,a,1\nsecond,b,2\n"
JSONL = '{"text": "third", "label": "a", "Pages": 3}\n'


def write(folder: Path, **files: str) -> list[Path]:
    paths = [folder / name.replace("__", ".") for name in files]
    for path, text in zip(paths, files.values(), strict=True):
        path.write_text(text)
    return paths


def test_sources_with_weights_are_joined_by_the_columns_they_share(tmp_path: Path) -> None:
    one, other = write(tmp_path, a__csv=CSV, b__jsonl=JSONL)
    source = load_source([f"{one}:2", f"{other}:1"], DataSettings())
    assert source.name == "a+b"
    assert source.table.column_names == ["example_id", "text", "label"]
    assert source.mixture == Mixture(names=("a.csv", "b.jsonl"), weights=(2.0, 1.0))
    assert named_sources(source.mixture, source.mixture.source_of(source.table)) == ["a.csv", "a.csv", "b.jsonl"]
    (finding,) = source.findings
    assert "joined by the columns they share" in finding.problem
    assert "'page' is not in b.jsonl (is it 'Pages' of another?)" in finding.problem
    assert "'Pages' is not in a.csv" in finding.problem
    assert {name: len(rows) for name, rows in source.parts.items()} == {"all": 3}


def test_a_source_without_a_weight_beside_others_weighs_one_and_a_test_part_is_of_no_source(tmp_path: Path) -> None:
    one, other, test = write(tmp_path, a__csv=CSV, b__csv=CSV, c__csv=CSV)
    source = load_source([f"{one}:.5", str(other)], DataSettings(test=str(test)))
    assert source.mixture == Mixture(names=("a.csv", "b.csv"), weights=(0.5, 1.0))
    assert {name: rows.tolist() for name, rows in source.parts.items()} == {"train": [0, 1, 2, 3], "test": [4, 5]}
    assert source.mixture.source_of(source.table).tolist() == [0, 0, 1, 1, -1, -1]


def test_folders_of_pictures_are_mixed_too(tmp_path: Path) -> None:
    for name in ("one/cat/1.png", "one/dog/2.png", "two/cat/3.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    source = load_source([f"{tmp_path}/one:1", f"{tmp_path}/two:3"], DataSettings())
    assert source.mixture is not None
    assert source.kind == "image-folder"
    assert source.mixture.source_of(source.table).tolist() == [0, 0, 1]


def test_a_file_whose_name_ends_like_a_weight_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv:2"
    path.write_text(CSV)
    assert load_source([path.rename(tmp_path / "b:2.csv")], DataSettings()).mixture is None


@pytest.mark.parametrize(
    ("sources", "flags", "problem", "remedy"),
    [
        (["a.csv:2"], {}, "has a weight, and nothing that it is mixed with", "{a.csv}"),
        (["a.csv:2", "b.jsonl:0"], {}, "The weight of {b.jsonl} is 0: it would never be drawn", "leave {b.jsonl} out"),
        (["a.csv:2", "a.csv:1"], {}, "{a.csv} is named twice", "{a.csv}:2 counts double"),
        (["a.csv:1", "b.jsonl:1"], {"train": "a.csv"}, "--train are both given", "leave --train out"),
        (["a.csv:1", "gone.csv:1"], {}, "gone.csv", "{a.csv}"),
        (["a.csv:1", "parts:1"], {}, "{parts} comes in parts; only what trains is mixed", "--test {parts}/..."),
        (["a.csv:1", "other.csv:1"], {}, "a.csv and other.csv share no column", "the same header"),
        (["a.csv:1", "pictures:1"], {}, "The sources are of several kinds (image-folder, table)", "mix sources of one kind"),
    ],
)
def test_what_cannot_be_mixed_says_so(
    tmp_path: Path, sources: list[str], flags: dict[str, str], problem: str, remedy: str
) -> None:
    write(tmp_path, a__csv=CSV, b__jsonl=JSONL, other__csv="x,y\n1,2\n")
    for name in ("parts/train.csv", "parts/test.csv"):
        (tmp_path / "parts").mkdir(exist_ok=True)
        (tmp_path / name).write_text(CSV)
    for name in ("pictures/cat/1.png", "pictures/dog/1.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"x")
    places = {name: str(tmp_path / name) for name in ("a.csv", "b.jsonl", "parts", "gone.csv")}
    with pytest.raises(LuthierError) as caught:
        load_source(
            [f"{tmp_path}/{name}" for name in sources], DataSettings(**{k: f"{tmp_path}/{v}" for k, v in flags.items()})
        )
    assert isinstance(caught.value, DataError | SpecError)
    said = [problem, remedy]
    for name, place in places.items():
        said = [text.replace("{" + name + "}", place) for text in said]
    assert said[0] in caught.value.problem
    if sources[-1] != "gone.csv:1":
        assert said[1] in caught.value.remedy


@given(st.lists(st.integers(0, 2), min_size=1, max_size=40), st.tuples(*[st.floats(0.1, 9)] * 3), st.integers(0, 99))
def test_an_epoch_draws_each_source_by_its_weight_and_no_row_twice_before_all(
    places: list[int], weights: tuple[float, float, float], seed: int
) -> None:
    mixture = Mixture(names=("a", "b", "c"), weights=weights)
    source_of = np.array(places)
    drawn = mixture.draw(source_of, np.random.default_rng(seed))
    assert len(drawn) == len(places)
    present = sorted(set(places))
    total = sum(weights[place] for place in present)
    for place in present:
        times = np.bincount(drawn, minlength=len(places))[source_of == place]
        assert abs(times.sum() - len(places) * weights[place] / total) <= 1
        assert times.max() - times.min() <= 1
    rows = mixture.row_weights(source_of)
    assert rows.mean() == pytest.approx(1)
    for place in present:
        assert rows[source_of == place].sum() == pytest.approx(len(places) * weights[place] / total)


def test_rows_of_no_source_keep_the_share_they_have() -> None:
    mixture = Mixture(names=("a", "b"), weights=(1.0, 3.0))
    source_of = np.array([-1, -1, 0, 0, 0, 0, 0, 1])
    assert mixture.shares(source_of).tolist() == [0.25, 0.1875, 0.5625]
    drawn = mixture.draw(source_of, np.random.default_rng(0))
    assert sorted(np.bincount(drawn, minlength=8)[:2].tolist()) == [1, 1]
