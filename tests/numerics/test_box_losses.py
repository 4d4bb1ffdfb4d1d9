"""Losses of boxes beside plain references, and beside transformers' own where it has them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers.loss.loss_for_object_detection import ForObjectDetectionLoss, generalized_box_iou

from luthier.models.backbone import State
from luthier.models.box_head import BoxHead
from luthier.models.box_losses import ALPHA, GAMMA, assign, corners_of, focal_loss, loss_of_boxes, loss_of_set, shared_area
from luthier.models.box_outputs import BOX, CELL, FILL, IGNORED_BOX, LABEL, LOGITS, PLACE
from luthier.models.load import load_backbone
from luthier.models.query_head import build_query_head
from luthier.models.settings import ModelSettings
from luthier.models.source import resolve_model
from luthier.testing.detectors import DETECTORS, LABELS, tiny_detector


def some_boxes(generator: np.random.Generator, number: int, *, num_labels: int) -> torch.Tensor:
    begin = generator.uniform(0, 0.6, (number, 2))
    side = generator.uniform(0.05, 0.4, (number, 2))
    labels = generator.integers(0, num_labels, (number, 1))
    return torch.tensor(np.concatenate([labels, begin, side, np.zeros((number, 1))], axis=1), dtype=torch.float32)


def test_generalised_overlap_is_that_of_transformers() -> None:
    generator = np.random.default_rng(0)
    first, second = (corners_of(some_boxes(generator, 12, num_labels=1)[:, 1:5]) for _ in range(2))
    assert torch.allclose(shared_area(first[:, None], second[None])[1], generalized_box_iou(first, second), atol=1e-6)


def test_focal_loss_is_its_formula() -> None:
    logits = torch.linspace(-4, 4, 9)
    for wanted in (0.0, 1.0):
        right = torch.sigmoid(logits) if wanted else 1 - torch.sigmoid(logits)
        weight = ALPHA if wanted else 1 - ALPHA
        plain = -weight * (1 - right) ** GAMMA * right.log()
        assert torch.allclose(focal_loss(logits, torch.full_like(logits, wanted)), plain, atol=1e-6)


@pytest.mark.parametrize("family", DETECTORS)
@pytest.mark.parametrize("number", [0, 1, 4])
def test_loss_of_a_set_is_that_of_transformers(family: str, number: int) -> None:
    model = DETECTORS[family][0](seed=3)
    generator = np.random.default_rng(number)
    boxes = some_boxes(generator, number, num_labels=len(LABELS))
    pixels = torch.from_numpy(generator.standard_normal((1, 3, 64, 96), dtype=np.float32))
    middles = torch.cat([boxes[:, 1:3] + boxes[:, 3:5] / 2, boxes[:, 3:5]], dim=1)
    with torch.no_grad():
        said = model(pixel_values=pixels)
        expected, _, _ = ForObjectDetectionLoss(
            said.logits, [{"class_labels": boxes[:, LABEL].long(), "boxes": middles}], "cpu", said.pred_boxes, model.config
        )
    corners = torch.cat(
        [said.pred_boxes[..., :2] - said.pred_boxes[..., 2:] / 2, said.pred_boxes[..., :2] + said.pred_boxes[..., 2:] / 2], -1
    )
    candidates = torch.cat([corners, corners.new_zeros(1, 10, LOGITS - 4), said.logits], dim=-1)
    assert loss_of_set(candidates[0], boxes).item() == pytest.approx(expected.item(), rel=1e-5)
    total, weight = loss_of_boxes(candidates, torch.cat([boxes, torch.full((2, 6), FILL)])[None])
    assert (total.item(), weight) == (pytest.approx(expected.item(), rel=1e-5), 1.0)


@pytest.mark.parametrize("family", DETECTORS)
def test_a_detector_under_its_own_head_answers_as_transformers_does(family: str, tmp_path: Path) -> None:
    """Borders and hidden layers are taken over whole, outputs for labels by their names, however these are ordered."""
    folder = tiny_detector(tmp_path / "model", family, seed=5)
    backbone = load_backbone(resolve_model(ModelSettings(name=str(folder)), modality="image"))
    head = build_query_head(backbone, ["Crane ", "disc", "new"], seed=0, folder=folder)
    pixels = torch.from_numpy(np.random.default_rng(1).standard_normal((2, 3, 64, 96), dtype=np.float32))
    with torch.no_grad():
        ours, theirs = head(backbone({"pixel_values": pixels})), DETECTORS[family][0](seed=5)(pixel_values=pixels)
    middle, side = (ours[..., :2] + ours[..., 2:4]) / 2, ours[..., 2:4] - ours[..., :2]
    assert torch.allclose(torch.cat([middle, side], dim=-1), theirs.pred_boxes, atol=1e-5)
    assert torch.allclose(ours[..., [LOGITS, LOGITS + 1, LOGITS + 3]], theirs.logits[..., [2, 1, 3]], atol=1e-5)


def places(width: int = 8, height: int = 4) -> torch.Tensor:
    """Candidates of two maps, the second of half the size."""
    head = BoxHead((4, 4), (1, 2), 3, width=8, layers=1, activation="relu", dropout=0.0, seed=0)
    maps = (torch.zeros(1, 4, height, width), torch.zeros(1, 4, height // 2, width // 2))
    with torch.no_grad():
        return head(State(hidden=maps[1], mask=None, pooled=None, levels=maps))


def target(*rows: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor([[*row, 0.0] if len(row) == 5 else list(row) for row in rows])[None]


def test_places_near_the_middle_of_a_box_learn_it_and_no_others() -> None:
    candidates = places()[0]
    boxes = target((1, 0.25, 0.25, 0.5, 0.5))  # 4 x 2 cells of the large map
    learns, _ = assign(candidates, boxes)
    for row, box in zip(candidates, learns[0].tolist(), strict=True):
        cells = (row[PLACE] - 0.5).abs() / row[CELL]
        inside = bool(((row[PLACE] > 0.25) & (row[PLACE] < 0.75)).all())
        near = inside and bool((cells < 1.5).all())
        is_large = row[CELL][0] < 0.2
        farthest = ((row[PLACE] - 0.25) / row[CELL]).maximum((0.75 - row[PLACE]) / row[CELL]).max()
        assert (box == 0) == (near and bool(farthest <= 4 if is_large else farthest > 2))
    assert (learns == 0).any()


def test_of_two_boxes_a_place_learns_the_smaller_and_a_tiny_one_is_learnt_by_the_nearest_place() -> None:
    candidates = places()[0]
    learns, _ = assign(candidates, target((0, 0.0, 0.0, 0.6, 0.6), (1, 0.2, 0.2, 0.2, 0.3), (2, 0.9, 0.9, 0.002, 0.002)))
    found = learns[0]
    both = [place for place, row in enumerate(candidates) if bool((row[PLACE] > 0.25).all()) and bool((row[PLACE] < 0.4).all())]
    assert all(found[place] == 1 for place in both if candidates[place, CELL][0] < 0.2)
    tiny = (found == 2).nonzero().flatten().tolist()
    assert len(tiny) == 1
    assert candidates[tiny[0], PLACE].tolist() == [0.9375, 0.875]


def test_what_is_not_to_be_learnt_is_learnt_neither_as_a_box_nor_as_nothing() -> None:
    outputs = places().repeat(2, 1, 1).requires_grad_(True)
    crowd = target((1, 0.0, 0.0, 0.5, 1.0, 1.0))
    assert crowd[0, 0, IGNORED_BOX] == 1
    total, weight = loss_of_boxes(outputs, torch.cat([crowd, torch.full((1, 1, 6), FILL)]))
    assert weight == 2.0
    pulled = torch.autograd.grad(total, outputs)[0]
    inside = outputs[0, :, PLACE][:, 0] < 0.5
    assert not pulled[0, inside][:, LOGITS:].any()
    assert pulled[0, ~inside][:, LOGITS:].all()
    assert pulled[1, :, LOGITS:].all()
    assert not pulled[..., BOX].any()


def test_a_picture_without_boxes_still_counts_as_one() -> None:
    total, weight = loss_of_boxes(places(), torch.full((1, 3, 6), FILL))
    assert weight == 1.0
    assert 0 < total.item() < 0.1
