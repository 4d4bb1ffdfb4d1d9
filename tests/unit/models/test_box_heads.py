from pathlib import Path

import pytest
import torch
import transformers

from luthier.errors import ModelError
from luthier.models.backbone import Backbone, State, wrap_backbone
from luthier.models.box_head import BoxHead
from luthier.models.box_outputs import BOX, CELL, LOGITS, PLACE
from luthier.models.heads import head_from
from luthier.models.image_settings import settings_from_config
from luthier.models.levels import channels_of, find_levels, reading_levels
from luthier.models.load import load_backbone
from luthier.models.settings import ModelSettings
from luthier.models.source import resolve_model
from luthier.testing.backbones import tiny_backbone, tiny_bert
from luthier.testing.folders import tiny_image_model

SIZE = (64, 96)
PIXELS = torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(0))


def backbone_of(family: str, tmp_path: Path) -> Backbone:
    if family == "mobilenet_v2":
        folder = tiny_image_model(tmp_path / "model")
        return load_backbone(resolve_model(ModelSettings(name=str(folder)), modality="image"))
    if family == "mobilenet_v1":
        network = transformers.MobileNetV1Model(transformers.MobileNetV1Config(depth_multiplier=0.25)).eval()
        return wrap_backbone(network, width=256, model_type=family)
    return tiny_backbone(family, seed=0)


@pytest.mark.parametrize("family", ["mobilenet_v2", "mobilenet_v1", "resnet", "convnext"])
def test_levels_are_the_last_maps_of_each_size(family: str, tmp_path: Path) -> None:
    backbone = backbone_of(family, tmp_path)
    backbone.rehearse({"pixel_values": PIXELS})
    levels = find_levels(backbone, SIZE)
    backbone = reading_levels(backbone, levels)
    with torch.no_grad(), backbone.capturing([level for level in levels if level < backbone.num_blocks]) as captured:
        state = backbone({"pixel_values": PIXELS})
    assert 1 <= len(levels) <= 3
    sizes = [tuple(level.shape[2:]) for level in state.levels]
    assert sizes == sorted(set(sizes), reverse=True)
    assert all(SIZE[0] / height >= 7.5 for height, _ in sizes) or len(sizes) == 1
    assert [level.shape[1] for level in state.levels] == list(channels_of(backbone))
    for boundary, level in zip(levels, state.levels, strict=True):
        assert torch.equal(level, captured.get(boundary, state.hidden))
    assert backbone.start_of(backbone.num_blocks) == levels[0]


@pytest.mark.parametrize("family", ["mobilenet_v2", "resnet", "convnext"])
def test_a_run_from_the_store_gives_the_same_levels(family: str, tmp_path: Path) -> None:
    backbone = backbone_of(family, tmp_path)
    backbone.rehearse({"pixel_values": PIXELS})
    backbone = reading_levels(backbone, find_levels(backbone, SIZE))
    start = backbone.start_of(backbone.num_blocks)
    with torch.no_grad():
        whole = backbone({"pixel_values": PIXELS})
        stored = backbone.activations({"pixel_values": PIXELS}, [start])[start]
        with backbone.starting_at(start):
            again = backbone({"pixel_values": torch.zeros(()).expand(PIXELS.shape)}, stored)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(whole.levels, again.levels, strict=True))


def test_a_network_without_maps_is_refused() -> None:
    backbone = tiny_bert(seed=0)
    backbone.rehearse({"input_ids": torch.tensor([[2, 5, 6, 3]])})
    with pytest.raises(ModelError, match="gives no maps") as caught:
        find_levels(backbone, SIZE)
    assert "MobileNetV2" in caught.value.remedy


def test_places_cover_the_picture_and_boxes_lie_around_them() -> None:
    head = BoxHead((3, 5), (1, 2), 4, width=16, layers=2, activation="gelu", dropout=0.1, seed=0).eval()
    maps = (torch.randn(2, 3, 4, 6), torch.randn(2, 5, 2, 3))
    with torch.no_grad():
        found = head(State(hidden=maps[1], mask=None, pooled=None, levels=maps))
    assert found.shape == (2, 30, LOGITS + 4)
    place, cell, box = found[..., PLACE], found[..., CELL], found[..., BOX]
    assert torch.allclose(cell[0, 0], torch.tensor([1 / 6, 1 / 4]))
    assert torch.allclose(cell[0].prod(1).sum(), torch.tensor(2.0))  # every map covers the picture once
    assert (box[..., :2] < place).all()
    assert (box[..., 2:] > place).all()
    assert torch.sigmoid(found[..., LOGITS:]).mean() < 0.05


def test_saved_heads_are_built_again(tmp_path: Path) -> None:
    head = BoxHead((3, 5), (1, 2), 4, width=12, layers=3, activation="relu", dropout=0.2, seed=0)
    again = head_from(head.settings())
    again.load_state_dict(head.state_dict())
    assert again.levels == (1, 2)
    with pytest.raises(ModelError, match="cannot build"):
        head_from({"kind": "boxes", "channels": [3]})


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ({"size": {"shortest_edge": 480, "longest_edge": 640}}, (480, 640)),
        ({"size": 600, "max_size": 1000}, (600, 1000)),
        ({"size": {"height": 64, "width": 96}, "do_pad": True, "pad_size": {"height": 1, "width": 1}}, (64, 96)),
        ({}, (800, 800)),
    ],
)
def test_pictures_of_detectors_are_stretched(given: dict[str, object], size: tuple[int, int]) -> None:
    settings = settings_from_config({"image_processor_type": "DetrImageProcessor", "do_pad": True, **given}, Path("x.json"))
    assert settings.size == size
    assert settings.mean == (0.485, 0.456, 0.406)
