import json
from pathlib import Path

import pytest

from luthier.data.boxes import read_boxes
from luthier.data.infer import infer_schema
from luthier.data.load import load_source
from luthier.data.load.voc import MAX_BYTES, parse_xml
from luthier.data.schema import Kind
from luthier.data.settings import DataSettings
from luthier.errors import DataError
from luthier.testing.drawn import draw_pictures, write_box_table, write_coco, write_voc

SETTINGS = DataSettings()


@pytest.fixture
def rows(tmp_path: Path) -> list[tuple[str, list[dict[str, object]]]]:
    return draw_pictures(tmp_path / "voc" / "JPEGImages", 6, seed=3)


def boxes_of(table: object) -> list[list[tuple[str, list[float]]]]:
    read = [read_boxes(cell) for cell in table.column("boxes").to_pylist()]
    return [list(zip(boxes.labels, boxes.places.tolist(), strict=True)) for boxes in read]


def drawn(rows: list) -> list[list[tuple[str, list[float]]]]:
    return [[(box["label"], [box[name] for name in ("x", "y", "width", "height")]) for box in boxes] for _, boxes in rows]


class TestVoc:
    def test_parts_are_read_from_their_lists(self, tmp_path: Path, rows: list) -> None:
        folder = write_voc(tmp_path / "voc", rows, parts={"train": [0, 2], "val": [1], "test": [4, 3], "trainval": [0, 1, 2]})
        (folder / "ImageSets/Main/disc_train.txt").write_text("x -1\n")
        source = load_source([folder], SETTINGS)
        assert {part: numbers.tolist() for part, numbers in source.parts.items()} == {
            "train": [0, 1],
            "validation": [2],
            "test": [3, 4],
        }
        assert source.roles == {"image": "image", "target": "boxes"}
        assert boxes_of(source.table) == [drawn(rows)[place] for place in (0, 2, 1, 4, 3)]
        assert all(Path(path).is_file() for path in source.table["image"].to_pylist())
        assert source.table["example_id"][0].as_py() == f"Annotations/{Path(rows[0][0]).stem}.xml"
        assert source.name == "voc"

    def test_trainval_is_read_where_it_is_not_there_in_halves(self, tmp_path: Path, rows: list) -> None:
        folder = write_voc(tmp_path / "voc", rows, parts={"trainval": [0, 1, 2], "test": [3, 4]})
        assert {part: len(numbers) for part, numbers in load_source([folder], SETTINGS).parts.items()} == {
            "train": 3,
            "test": 2,
        }

    def test_without_lists_all_annotations_are_one_part(self, tmp_path: Path, rows: list) -> None:
        source = load_source([write_voc(tmp_path / "voc", rows)], SETTINGS)
        assert len(source.parts["all"]) == 6
        assert boxes_of(source.table) == drawn(rows)
        assert any("no list says" in decision.reason for decision in source.decisions)

    def test_the_roles_come_from_the_format(self, tmp_path: Path, rows: list) -> None:
        source = load_source([write_voc(tmp_path / "voc", rows)], SETTINGS)
        schema, _ = infer_schema(source.table, SETTINGS, given=source.roles)
        assert schema.roles["target"] == "boxes"
        assert schema.kind_of("boxes") is Kind.BOXES

    def test_difficult_boxes_are_kept_as_such(self, tmp_path: Path, rows: list) -> None:
        folder = write_voc(tmp_path / "voc", rows)
        path = next((folder / "Annotations").iterdir())
        path.write_text(path.read_text().replace("<difficult>0", "<difficult>1"))
        source = load_source([folder], SETTINGS)
        boxes = read_boxes(
            source.table["boxes"][source.table["example_id"].to_pylist().index(f"Annotations/{path.name}")].as_py()
        )
        assert boxes.difficult.all()

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            ("<annotation><object>", "no sound XML"),
            ('<!DOCTYPE a [<!ENTITY b "bbbb">]><annotation>&b;</annotation>', "document type"),
            ("<a>" * 40 + "</a>" * 40, "nested too deeply"),
            ("<annotation><object><name>a</name></object></annotation>", "a box has no four numbers"),
            ("<annotation>" + " " * MAX_BYTES + "</annotation>", "larger than a megabyte"),
        ],
    )
    def test_an_annotation_that_cannot_be_read_is_named_and_left_out(
        self, tmp_path: Path, rows: list, content: str, reason: str
    ) -> None:
        folder = write_voc(tmp_path / "voc", rows)
        name = sorted(path.name for path in (folder / "Annotations").iterdir())[2]
        (folder / "Annotations" / name).write_text(content)
        source = load_source([folder], SETTINGS)
        assert len(source.parts["all"]) == 5
        (finding,) = source.findings
        assert name in finding.problem
        assert reason in finding.problem
        assert finding.remedy

    def test_pictures_without_annotation_are_named(self, tmp_path: Path, rows: list) -> None:
        folder = write_voc(tmp_path / "voc", rows, parts={"train": [0, 1, 2, 3], "test": [4]})
        with (folder / "ImageSets/Main/train.txt").open("a") as file:
            file.write("nowhere\n\n")
        (finding,) = load_source([folder], SETTINGS).findings
        assert "1 of 6 pictures that the lists name have no annotation" in finding.problem
        assert "Annotations/nowhere.xml" in finding.remedy

    def test_a_name_in_an_annotation_leads_out_of_no_folder(self, tmp_path: Path, rows: list) -> None:
        folder = write_voc(tmp_path / "voc", rows)
        path = folder / "Annotations" / "other.xml"
        path.write_text("<annotation><filename>../../secret.png</filename></annotation>")
        source = load_source([folder], SETTINGS)
        image = source.table["image"].to_pylist()[source.table["example_id"].to_pylist().index("Annotations/other.xml")]
        assert Path(image).parent == (folder / "JPEGImages").absolute()

    def test_a_folder_without_any_sound_annotation_is_refused(self, tmp_path: Path, rows: list) -> None:
        folder = write_voc(tmp_path / "voc", rows)
        for path in (folder / "Annotations").iterdir():
            path.write_text("nothing")
        with pytest.raises(DataError, match="no annotation that can be used") as caught:
            load_source([folder], SETTINGS)
        assert "NAME.xml" in caught.value.remedy

    def test_text_around_elements_is_no_element(self) -> None:
        assert parse_xml(b"<a>x<b>1</b>y</a>").first("c").text == ""


class TestCoco:
    def test_a_document_becomes_a_row_for_each_picture(self, tmp_path: Path, rows: list) -> None:
        path = write_coco(tmp_path / "voc" / "JPEGImages" / "boxes.json", rows)
        source = load_source([path], SETTINGS)
        assert boxes_of(source.table) == drawn(rows)
        assert source.roles == {"image": "image", "target": "boxes"}
        assert all(Path(path).is_file() for path in source.table["image"].to_pylist())

    def test_parts_lie_beside_their_pictures_as_coco_has_them(self, tmp_path: Path) -> None:
        for part in ("train2017", "val2017"):
            found = draw_pictures(tmp_path / "coco" / part, 4, seed=len(part))
            write_coco(tmp_path / "coco" / "annotations" / f"instances_{part}.json", found)
        (tmp_path / "coco" / "annotations" / "captions_train2017.json").write_text("{}")
        source = load_source([tmp_path / "coco"], SETTINGS)
        assert {part: len(numbers) for part, numbers in source.parts.items()} == {"train": 4, "test": 4}
        assert all(Path(path).is_file() for path in source.table["image"].to_pylist())

    def test_crowds_are_kept_and_faults_are_named(self, tmp_path: Path, rows: list) -> None:
        path = write_coco(tmp_path / "voc" / "JPEGImages" / "boxes.json", rows)
        document = json.loads(path.read_text())
        document["annotations"][0] |= {"iscrowd": 1}
        document["annotations"][1] |= {"category_id": 99}
        document["annotations"].append({"id": 900, "image_id": 12345, "category_id": 1, "bbox": [1, 2, 3, 4]})
        document["images"].append({"id": 7000})
        path.write_text(json.dumps(document))
        source = load_source([path], SETTINGS)
        read = [read_boxes(cell) for cell in source.table["boxes"].to_pylist()]
        assert sum(boxes.crowd.sum() for boxes in read) == 1
        assert sum("" in boxes.labels for boxes in read) == 1
        (finding,) = source.findings
        assert "2 rows of boxes.json lack a part" in finding.problem

    def test_a_picture_with_a_box_of_other_numbers_is_a_bad_row(self, tmp_path: Path, rows: list) -> None:
        path = write_coco(tmp_path / "voc" / "JPEGImages" / "boxes.json", rows)
        document = json.loads(path.read_text())
        document["annotations"][0]["bbox"] = [1, 2]
        path.write_text(json.dumps(document))
        assert load_source([path], SETTINGS).findings[0].count == 1


def test_a_table_with_a_column_of_boxes_needs_no_flags(tmp_path: Path) -> None:
    rows = draw_pictures(tmp_path / "images", 5, seed=1)
    write_box_table(tmp_path / "shapes.jsonl", rows)
    source = load_source([tmp_path / "shapes.jsonl"], SETTINGS)
    schema, decisions = infer_schema(source.table, SETTINGS)
    assert schema.roles == {"image": "image", "target": "boxes"}
    assert next(decision.reason for decision in decisions if decision.name == "target") == "its values are boxes on pictures"
    assert all(Path(path).is_file() for path in source.table["image"].to_pylist())
