"""A folder becomes a backbone."""

import json
from pathlib import Path

import pytest
import torch
import transformers

from luthier.errors import ModelError
from luthier.models.backbone import Backbone
from luthier.models.load import load_backbone, load_network
from luthier.models.settings import ModelSettings
from luthier.models.source import PretrainedFolder, resolve_model
from luthier.testing.backbones import FAMILIES, SPECIAL
from luthier.testing.folders import tiny_image_model, tiny_text_model


def source_of(folder: Path, modality: str = "text") -> PretrainedFolder:
    return resolve_model(ModelSettings(name=str(folder)), modality=modality)


def some_inputs() -> dict[str, torch.Tensor]:
    ids = torch.tensor([[2, 9, 11, 3]])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def test_the_weights_are_those_of_the_folder(tmp_path: Path) -> None:
    folder = tiny_text_model(tmp_path / "tiny")
    backbone = load_backbone(source_of(folder))
    expected = transformers.BertModel.from_pretrained(folder).eval()(**some_inputs()).last_hidden_state
    assert torch.equal(backbone(some_inputs()).hidden, expected)
    assert backbone.width == 16
    assert not backbone.training


def test_the_same_seed_writes_the_same_folder(tmp_path: Path) -> None:
    first, second, other = (
        tiny_text_model(tmp_path / name, seed=seed) for name, seed in (("first", 0), ("second", 0), ("other", 1))
    )
    contents = [(folder / "model.safetensors").read_bytes() for folder in (first, second, other)]
    assert contents[0] == contents[1] != contents[2]


def test_an_idle_pooler_is_left_out_and_the_pooling_of_pictures_is_not(tmp_path: Path) -> None:
    text = load_backbone(source_of(tiny_text_model(tmp_path / "text")))
    assert not any("pooler" in name for name, _ in text.network.named_parameters())
    image = load_backbone(source_of(tiny_image_model(tmp_path / "image"), "image"))
    pixels = {"pixel_values": torch.zeros(1, 3, 32, 32)}
    assert image.pool(image(pixels)).shape == (1, image.width)


def test_pooling_is_as_asked_else_the_models_own(tmp_path: Path) -> None:
    folder = tiny_text_model(tmp_path / "tiny")
    assert load_backbone(source_of(folder)).layout.pooling == "mean"
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    assert load_backbone(source_of(folder)).layout.pooling == "first"
    assert load_backbone(source_of(folder), pooling="last").layout.pooling == "last"


def test_unknown_pooling_is_refused_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"Unknown pooling 'maen'\. Known: mean, first, last, max, model\.") as caught:
        load_backbone(source_of(tiny_text_model(tmp_path / "tiny")), pooling="maen")
    assert caught.value.remedy == "--head-pooling mean"


def test_weights_that_do_not_fit_the_configuration_are_an_error_of_one_line(tmp_path: Path) -> None:
    folder = tiny_text_model(tmp_path / "tiny")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "hidden_size": 32}))
    with pytest.raises(ModelError, match="transformers cannot load") as caught:
        load_backbone(source_of(folder))
    assert caught.value.remedy
    assert "\n" not in caught.value.problem


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_loads_from_a_folder_as_its_encoder(family: str, tmp_path: Path) -> None:
    """What `save_pretrained` of the whole model wrote, `load_network` reads as the encoder alone, with a known width."""
    prefix, settings, _ = FAMILIES[family]
    config = getattr(transformers, f"{prefix}Config")(**settings)
    name, unwrap = SPECIAL.get(family, (f"{prefix}Model", lambda model: model))
    whole = getattr(transformers, name)(config).eval()
    whole.save_pretrained(tmp_path)
    loaded = load_network(tmp_path, config.model_type)
    expected = unwrap(whole).state_dict()
    assert {name for name in expected if "pooler" not in name} == set(loaded.state_dict())
    assert all(torch.equal(value, expected[name]) for name, value in loaded.state_dict().items())
    assert width_of(loaded, config.model_type, family) > 0


def width_of(network: torch.nn.Module, model_type: str, family: str) -> int:
    """The width that `load_backbone` would give, held against the vectors that come out."""
    from luthier.models.backbone import wrap_backbone
    from luthier.models.load import _width
    from luthier.testing.backbones import example_inputs

    backbone: Backbone = wrap_backbone(network, width=_width(network), model_type=model_type)
    with torch.no_grad():
        assert backbone.pool(backbone(example_inputs(family, seed=0))).shape == (3, backbone.width)
    return backbone.width
