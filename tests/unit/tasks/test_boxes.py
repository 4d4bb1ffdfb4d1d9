"""Checks of boxes, answers made of candidates, usual boxes, and views of pictures."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from luthier.data.dataset import Dataset
from luthier.data.schema import Kind
from luthier.models.box_outputs import BOX, CELL, FILL, IGNORED_BOX, LABEL, LOGITS, PLACE, QUALITY, TARGET_BOX, UNKNOWN
from luthier.models.image_processor import ImageProcessor
from luthier.models.image_settings import ImageSettings
from luthier.models.settings import BoxSettings, ModelSettings
from luthier.tasks.box_answers import answered_boxes, decode_boxes
from luthier.tasks.box_checks import check_boxes
from luthier.tasks.box_inputs import BoxInputs, box_targets, boxes_of_rows, fitting_size
from luthier.tasks.box_views import LEAST_VISIBLE, BoxViews, View, draw_view, look, move_boxes
from luthier.tasks.inputs import EMPTY
from luthier.tasks.object_detection import TASK
from luthier.tasks.protocol import Sample
from luthier.testing.tables import make_dataset, write_pictures

SIDE = 40
PROCESSOR = ImageProcessor(
    ImageSettings(
        resize=(32, 64),
        resize_short_edge=None,
        crop=None,
        resample=2,
        rescale_factor=1 / 255,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    )
)


def dataset_of(folder: Path, cells: list[str | None], **more: list[object]) -> Dataset:
    return make_dataset(
        {"image": write_pictures(folder, len(cells), seed=0, side=SIDE), "boxes": cells, **more},
        roles={"image": "image", "target": "boxes"},
        kinds={"boxes": Kind.BOXES},
    )


def cell(*places: tuple[float, float, float, float], label: str = "cell") -> str:
    return json.dumps([{"label": label, "bbox": place} for place in places])


class TestChecks:
    def test_every_fault_is_one_finding_with_its_rows(self, tmp_path: Path) -> None:
        cells = [
            cell((5, 5, 10, 10)),
            cell((5, 5, 0, 10), (5, 5, 10, 0)),
            cell((50, 50, 5, 5)),
            cell((5, 5, 10, 10), (5, 5, 10, 10)),
            cell((5, 5, 60, 10)),
            cell((5, 5, 10, 10), label=""),
            "no boxes",
        ]
        found = {finding.evidence["fault"]: finding for finding in check_boxes(dataset_of(tmp_path, cells))}
        rows = {fault: finding.rows.tolist() for fault, finding in found.items()}
        assert rows == {"no_area": [1], "outside": [2], "repeated": [3], "over_border": [4], "no_label": [5], "bad_cell": [6]}
        assert "1 of 7 pictures (14.3 %) has boxes without width or height (2 boxes); these boxes are left out" in (
            found["no_area"].problem
        )
        assert "toy.csv:2" in found["no_area"].problem
        assert found["bad_cell"].action is not None
        assert found["bad_cell"].by_default
        assert all(finding.remedy for finding in found.values())
        assert {fault for fault, finding in found.items() if finding.severity == "info"} == {"over_border"}

    def test_sizes_that_are_not_the_files_are_told(self, tmp_path: Path) -> None:
        cells = [cell((5, 5, 10, 10))] * 3
        data = dataset_of(tmp_path, cells, width=["40", "80", None], height=["40", "40", "tall"])
        (finding,) = check_boxes(data)
        assert finding.rows.tolist() == [1]
        assert "another size than the annotation says, the first 40 x 40 instead of 80 x 40" in finding.problem

    def test_labels_that_train_does_not_have_are_told(self, tmp_path: Path) -> None:
        data = dataset_of(tmp_path, [cell((1, 1, 9, 9)), cell((1, 1, 9, 9)), cell((1, 1, 9, 9), label="worm")])
        (finding,) = check_boxes(data.with_parts({"train": np.array([0, 1]), "test": np.array([2])}))
        assert (finding.part, finding.rows.tolist(), finding.evidence["labels"]) == ("test", [2], ["worm"])

    def test_no_box_at_all_is_an_error(self, tmp_path: Path) -> None:
        (finding,) = check_boxes(dataset_of(tmp_path, ["[]", "[]"]))
        assert finding.severity == "error"
        assert "--target" in finding.remedy

    def test_cells_of_a_given_test_part_that_cannot_be_read_are_not_scored(self, tmp_path: Path) -> None:
        data = dataset_of(tmp_path, [cell((1, 1, 9, 9)), "?"]).with_parts({"train": np.array([0]), "test": np.array([1])})
        (finding,) = check_boxes(data)
        assert finding.action is None
        assert finding.evidence["excluded_from_scoring"]


class TestTargets:
    def test_boxes_become_shares_of_their_picture(self, tmp_path: Path) -> None:
        data = dataset_of(tmp_path, [cell((10, 20, 20, 10), (30, 30, 40, 40)), "[]", "?", cell((1, 1, 5, 5), label="new")])
        rows = boxes_of_rows(data.table, data.schema.roles)
        targets = box_targets(rows, ("cell",), np.full((4, 2), SIDE, dtype=float))
        assert targets[0].tolist() == [[0, 0.25, 0.5, 0.5, 0.25, 0], [0, 0.75, 0.75, 0.25, 0.25, 0]]
        assert (targets[1] == FILL).all()
        assert targets[2:, 0, LABEL].tolist() == [UNKNOWN, UNKNOWN]
        assert TASK.known(targets).tolist() == [True, True, False, False]

    def test_the_size_of_pictures_follows_those_of_train(self) -> None:
        assert fitting_size([(640, 480)] * 5 + [(100, 900)], 320) == (256, 320)
        assert fitting_size([(480, 640)], 300) == (320, 256)
        assert fitting_size([(4000, 10)], 320) == (32, 320)

    def test_settings_reach_state_and_preprocessing(self, tmp_path: Path) -> None:
        settings = ModelSettings(boxes=BoxSettings(picture_side=96, limit=7, shown_score=0.5))
        processor, (decision,) = TASK.fit_processor(write_pictures(tmp_path, 2, seed=0), PROCESSOR, settings)
        assert processor.size == (96, 96)
        assert decision.value == "96 x 96"
        data = dataset_of(tmp_path, [cell((1, 1, 9, 9))])
        state = TASK.settle(TASK.fit_state(data.table, data.schema), settings)
        assert (state.values["limit"], state.values["shown_score"]) == (7, 0.5)


def candidates(rows: list[tuple[list[float], float, list[float]]], *, cell: float = 0.1) -> np.ndarray:
    """Rows of (corners, quality logit, label logits)."""
    made = np.zeros((len(rows), LOGITS + len(rows[0][2])), dtype=np.float32)
    for place, (corners, quality, logits) in enumerate(rows):
        made[place, BOX], made[place, CELL], made[place, PLACE] = corners, cell, 0.5
        made[place, QUALITY], made[place, LOGITS:] = quality, logits
    return made[None]


class TestAnswers:
    def test_of_boxes_with_one_label_that_overlap_the_surest_stays(self) -> None:
        rows = [
            ([0.1, 0.1, 0.5, 0.5], 2.0, [3.0, -9.0]),
            ([0.1, 0.1, 0.5, 0.48], 2.0, [2.0, -9.0]),
            ([0.1, 0.1, 0.5, 0.5], 2.0, [-9.0, 1.0]),
            ([0.6, 0.6, 1.4, 0.9], 2.0, [0.0, -9.0]),
            ([0.9, 0.9, 0.9, 0.95], 9.0, [9.0, -9.0]),
            ([0.2, 0.6, 0.3, 0.9], -9.0, [-9.0, -9.0]),
        ]
        decoded = decode_boxes(candidates(rows), np.array([[200.0, 100.0]]), limit=5, overlap=0.6)
        assert decoded.shape == (1, 30)
        said = answered_boxes(decoded[0], ["cell", "worm"])
        assert [(box["label"], box["x"], box["y"], box["width"], box["height"]) for box in said] == [
            ("cell", 20, 10, 80, 40),
            ("worm", 20, 10, 80, 40),
            ("cell", 120, 60, 80, 30),
        ]
        assert [box["score"] for box in said] == sorted((box["score"] for box in said), reverse=True)
        assert (decoded.reshape(5, 6)[3:] == EMPTY).all()
        assert answered_boxes(decoded[0], ["cell", "worm"], least=said[1]["score"]) == said[:2]

    def test_of_queries_each_gives_one_box_whatever_it_overlaps(self) -> None:
        rows = [([0.1, 0.1, 0.5, 0.5], 0.0, [2.0, 0.0, 0.0]), ([0.1, 0.1, 0.5, 0.5], 0.0, [3.0, 0.0, 0.0])]
        decoded = decode_boxes(candidates(rows, cell=0.0), np.array([[10.0, 10.0]]), limit=4, overlap=0.5)
        said = answered_boxes(decoded[0], ["cell", "worm"])
        assert len(said) == 2
        assert said[0]["score"] == pytest.approx(np.exp(3) / (np.exp(3) + 2), abs=1e-4)

    def test_no_more_than_the_limit_are_answered(self) -> None:
        rows = [([place / 20, 0.0, place / 20 + 0.04, 0.1], 5.0, [place / 5]) for place in range(12)]
        decoded = decode_boxes(candidates(rows), np.array([[100.0, 100.0]]), limit=3, overlap=0.5)
        assert [box["x"] for box in answered_boxes(decoded[0], ["cell"])] == [55, 50, 45]

    def test_the_usual_boxes_are_those_that_fit_most_pictures(self, tmp_path: Path) -> None:
        data = dataset_of(tmp_path, [cell((10, 10, 20, 20))] * 3 + [cell((0, 0, 4, 4)), cell((11, 10, 20, 20))])
        state = TASK.fit_state(data.table, data.schema)
        rows = TASK.rows(data.table, data.schema.roles)
        targets = TASK.targets(data.table, state, data.schema.roles, TASK.encode(rows, PROCESSOR, state))
        sample = Sample(table=data.table, roles=data.schema.roles, rows=rows, targets=targets)
        said = answered_boxes(TASK.baselines[0].fit_predict(sample, sample, state, 0)[2], state.labels)
        assert [(box["score"], box["x"]) for box in said] == [(0.8, 10), (0.2, 0)]


def as_target(*places: tuple[float, float, float, float]) -> np.ndarray:
    rows = [[1.0, *place, 0.0] for place in places] + [[FILL] * 6]
    return np.array(rows, dtype=np.float32)


class TestViews:
    def test_a_window_moves_boxes_and_cuts_them(self) -> None:
        view = View(window=(0.5, 0.0, 1.0, 0.5))
        moved = move_boxes(
            as_target((0.6, 0.1, 0.2, 0.2), (0.4, 0.0, 0.2, 0.2), (0.42, 0.3, 0.1, 0.1), (0.0, 0.6, 0.1, 0.1)), view
        )
        assert moved[:3, TARGET_BOX] == pytest.approx(
            np.array([[0.2, 0.2, 0.4, 0.4], [0.0, 0.0, 0.2, 0.4], [0.0, 0.6, 0.04, 0.2]]), abs=1e-6
        )
        assert moved[:3, IGNORED_BOX].tolist() == [0, 0, 1]  # half of the second is left, a fifth of the third
        assert (moved[3:] == FILL).all()
        assert 0.2 < LEAST_VISIBLE < 0.5

    @given(st.integers(0, 2**32 - 1), st.sampled_from(["light", "strong"]))
    def test_what_is_drawn_is_where_its_box_says(self, seed: int, strength: str) -> None:
        """A bright block is found again in the pixels of any view, at the place that its moved box gives."""
        pixels = np.zeros((64, 96, 3), dtype=np.uint8)
        pixels[20:40, 30:60] = 255
        drawn = draw_view(np.random.default_rng(seed), strength)  # type: ignore[arg-type]
        view = View(window=drawn.window, mirrored=drawn.mirrored)
        seen = look(Image.fromarray(pixels), view, size=(64, 96), fill=(0, 0, 0), resample=0)
        moved = move_boxes(as_target((30 / 96, 20 / 64, 30 / 96, 20 / 64)), view)
        rows, columns = np.nonzero(seen[0] > 128)
        if moved[0, LABEL] == FILL:
            assert len(rows) <= 96
            return
        left, top, width, height = moved[0, TARGET_BOX] * np.array([96, 64, 96, 64])
        assert (columns.min(), rows.min()) == (pytest.approx(left, abs=2), pytest.approx(top, abs=2))
        assert (columns.max() + 1, rows.max() + 1) == (pytest.approx(left + width, abs=2), pytest.approx(top + height, abs=2))

    def test_equal_seeds_give_equal_views_and_others_others(self, tmp_path: Path) -> None:
        inputs = BoxInputs.build(write_pictures(tmp_path, 3, seed=1), PROCESSOR, limit=10, overlap=0.5)
        views = TASK.views(inputs, "strong")
        assert isinstance(views, BoxViews)
        targets = np.stack([as_target((0.2, 0.2, 0.5, 0.5))] * 3)
        (first, moved), (again, _), (other, _) = (views.batch(np.arange(3), targets, seed=seed) for seed in (4, 4, 5))
        assert first["pixel_values"].shape == inputs.batch(np.arange(3))["pixel_values"].shape
        assert np.array_equal(first["pixel_values"], again["pixel_values"])
        assert not np.array_equal(first["pixel_values"], other["pixel_values"])
        assert moved.shape == targets.shape

    def test_the_plain_view_is_the_picture_itself(self, tmp_path: Path) -> None:
        (path,) = write_pictures(tmp_path, 1, seed=1)
        inputs = BoxInputs.build([path], PROCESSOR, limit=10, overlap=0.5)
        assert np.array_equal(inputs.read_view(Path(path), View()), inputs.batch(np.array([0]))["pixel_values"][0])
