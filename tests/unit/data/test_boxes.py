import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from luthier.data.boxes import faults_of_boxes, looks_like_boxes, read_boxes, usable_boxes, write_boxes
from luthier.data.pictures import picture_size

SIZE = (100, 80)


def cell(*places: tuple[float, float, float, float], **more: object) -> str:
    return json.dumps([{"label": "cell", "bbox": place, **more} for place in places])


def test_all_usual_forms_of_a_cell_are_read() -> None:
    forms = [
        '[{"label": "cell", "x": 1, "y": 2, "width": 3, "height": 4}]',
        '[{"category": "cell", "x": 1, "y": 2, "w": 3, "h": 4}]',
        '[{"class": "cell", "bbox": [1, 2, 3, 4]}]',
        '[{"name": "cell", "xmin": 1, "ymin": 2, "xmax": 4, "ymax": 6}]',
        '{"bbox": [[1, 2, 3, 4]], "categories": ["cell"], "area": [12]}',
    ]
    for form in forms:
        boxes = read_boxes(form)
        assert (boxes.labels, boxes.places.tolist()) == (("cell",), [[1, 2, 3, 4]])


@pytest.mark.parametrize("empty", [None, "", "  ", "[]"])
def test_an_empty_cell_has_no_boxes(empty: str | None) -> None:
    assert len(read_boxes(empty)) == 0


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("cat", "it is no JSON"),
        ("3", "it is no list of boxes"),
        ('{"a": 1}', "it is no list of boxes"),
        ("[1, 2]", "a box is no object"),
        ('[{"label": "a"}]', "a box has no four numbers"),
        ('[{"label": "a", "bbox": [1, 2, 3]}]', "a box has no four numbers"),
        ('[{"label": "a", "bbox": [1, 2, 3, "wide"]}]', "a box has no four numbers"),
        ('[{"label": "a", "bbox": [1, 2, 3, 1e99]}]', "a box has no four numbers"),
        ('[{"label": ["a"], "bbox": [1, 2, 3, 4]}]', "a label is neither a text nor a number"),
        ('{"bbox": [[1, 2, 3, 4]], "category": []}', "its lists have different lengths"),
        ("[" * 5000, "it is no JSON"),
    ],
)
def test_what_is_no_list_of_boxes_is_refused_with_a_reason(wrong: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_boxes(wrong)
    assert not looks_like_boxes(wrong)


places = st.tuples(*[st.floats(-50, 150, allow_nan=False).map(lambda value: round(value, 3))] * 4)


@given(st.lists(places, max_size=6), st.booleans(), st.booleans())
def test_what_is_written_is_read_again(rows: list[tuple[float, float, float, float]], crowd: bool, difficult: bool) -> None:
    boxes = read_boxes(cell(*rows, iscrowd=int(crowd), difficult=int(difficult)))
    again = read_boxes(write_boxes(boxes))
    assert again.labels == boxes.labels
    assert np.array_equal(again.places, boxes.places)
    assert np.array_equal(again.counted, boxes.counted)


@given(st.lists(places, max_size=6))
def test_usable_boxes_lie_in_the_picture_and_have_an_area(rows: list[tuple[float, float, float, float]]) -> None:
    usable = usable_boxes(read_boxes(cell(*rows)), SIZE)
    assert (usable.places[:, 2:] > 0).all()
    assert (usable.places[:, :2] >= 0).all()
    assert (usable.places[:, :2] + usable.places[:, 2:] <= np.array(SIZE) + 1e-9).all()


def test_each_fault_is_told_apart() -> None:
    boxes = read_boxes(
        json.dumps(
            [
                {"label": "cell", "bbox": [10, 10, 0, 5]},
                {"label": "cell", "bbox": [200, 10, 5, 5]},
                {"bbox": [10, 10, 5, 5]},
                {"label": "cell", "bbox": [20, 20, 5, 5]},
                {"label": "cell", "bbox": [20, 20, 5, 5]},
                {"label": "cell", "bbox": [90, 70, 20, 20]},
                {"label": "cell", "bbox": [95.5, 75, 5, 5]},
            ]
        )
    )
    faults = {fault: np.flatnonzero(mask).tolist() for fault, mask in faults_of_boxes(boxes, SIZE).items()}
    assert faults == {"no_area": [0], "outside": [1], "no_label": [2], "repeated": [4], "over_border": [5]}
    assert usable_boxes(boxes, SIZE).places.tolist() == [[20, 20, 5, 5], [90, 70, 10, 10], [95.5, 75, 4.5, 5]]


def test_the_size_of_a_picture_is_that_of_its_upright_form(tmp_path: Path) -> None:
    image = Image.new("RGB", (30, 20))
    exif = image.getexif()
    exif[274] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    image.save(tmp_path / "plain.png")
    (tmp_path / "none.png").write_bytes(b"no picture")
    assert picture_size(tmp_path / "turned.jpg") == (20, 30)
    assert picture_size(tmp_path / "plain.png") == (30, 20)
    assert picture_size(tmp_path / "none.png") is None
    assert picture_size(tmp_path / "absent.png") is None
