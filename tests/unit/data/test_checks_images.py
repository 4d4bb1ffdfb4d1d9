"""Pictures: made here, broken here."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from luthier.data.checks import CHECKS, run_checks
from luthier.data.clean import clean
from luthier.data.dataset import Dataset
from luthier.data.settings import DataSettings
from luthier.testing.tables import make_dataset


def picture(path: Path, *, side: int = 40, seed: int = 0) -> str:
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return str(path)


def huge_png(path: Path) -> str:
    """A PNG of 60,000 x 60,000 pixels in 60 bytes: only its header."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))
    return str(path)


def cut_off(path: str) -> str:
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[: len(content) // 2])
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Dataset:
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "empty.png").touch()
    frames = [Image.fromarray(np.full((20, 20), shade, dtype=np.uint8)) for shade in (0, 255)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    paths = [
        picture(tmp_path / "good.jpg"),
        picture(tmp_path / "good.png", seed=1),
        str(tmp_path / "gone.jpg"),
        str(tmp_path / "text.jpg"),
        str(tmp_path / "empty.png"),
        cut_off(picture(tmp_path / "cut.jpg")),
        cut_off(picture(tmp_path / "cut.png")),
        huge_png(tmp_path / "huge.png"),
        picture(tmp_path / "imageNotFound.gif"),
        str(tmp_path / "moving.gif"),
        picture(tmp_path / "tiny.png", side=4),
        None,
    ]
    labels = ["a", "b"] * 6
    return make_dataset({"image": paths, "label": labels}, roles={"image": "image", "target": "label"})


def test_every_way_to_be_broken_is_told_apart(pictures: Dataset) -> None:
    found = {finding.evidence["state"]: finding.rows.tolist() for finding in CHECKS["images"](pictures)}
    assert found == {
        "missing": [2],
        "unreadable": [3, 4],
        "truncated": [5, 6],
        "huge": [7],
        "placeholder": [8],
        "animated": [9],
        "tiny": [10],
    }


def test_unusable_pictures_are_left_out_and_odd_ones_kept(pictures: Dataset) -> None:
    cleaned = clean(pictures, run_checks(pictures, DataSettings()))
    assert cleaned.dataset.parts["all"].tolist() == [0, 1, 9, 10]


def test_in_a_given_test_part_they_are_only_told(pictures: Dataset) -> None:
    given = pictures.with_parts({"train": np.array([0, 1, 9, 10]), "test": np.array([2, 3, 4, 5, 6, 7, 8])})
    for finding in CHECKS["images"](given):
        assert finding.part == "test" or finding.severity == "info"
        assert finding.action is None


def test_pillows_own_limit_is_put_back(pictures: Dataset) -> None:
    before = Image.MAX_IMAGE_PIXELS
    CHECKS["images"](pictures)
    assert before is not None
    assert before == Image.MAX_IMAGE_PIXELS


def test_nothing_but_broken_pictures_is_an_error(tmp_path: Path) -> None:
    dataset = make_dataset({"image": [str(tmp_path / "a"), str(tmp_path / "b")]}, roles={"image": "image"})
    (finding,) = CHECKS["images"](dataset)
    assert finding.severity == "error"
    assert "All 2 pictures" in finding.problem


@pytest.mark.shared_data
def test_the_placeholder_of_hymenoptera_is_found(shared: Path) -> None:
    paths = sorted(str(path) for path in (shared / "data" / "hymenoptera" / "train").rglob("*.*"))
    findings = CHECKS["images"](make_dataset({"image": paths}, roles={"image": "image"}))
    (finding,) = [finding for finding in findings if finding.by_default]
    assert [Path(paths[row]).name for row in finding.rows] == ["imageNotFound.gif"]
