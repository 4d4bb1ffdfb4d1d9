"""Networks of one's own and Luthier's: written, built again, and run only where that is allowed."""

import json
from pathlib import Path

import pytest
import torch

from luthier.errors import ModelError
from luthier.models.own import LUTHIERS, find_builder, load_own, save_own
from luthier.models.table_network import TableShape, fresh_table_network, wrap_table_network

SHAPE = TableShape(numbers=2, categories=(5, 7), texts=1, text_width=6, width=8, blocks=2, heads=2)


def example() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "numbers": torch.randn(3, 2, 17, generator=generator),
        "number_states": torch.tensor([[0, 1], [0, 0], [2, 0]]),
        "categories": torch.tensor([[4, 1], [3, 6], [2, 4]]),
        "texts": torch.randn(3, 1, 6, generator=generator),
        "text_states": torch.tensor([[0], [1], [0]]),
    }


def test_luthiers_own_network_is_the_same_after_it_was_saved(tmp_path: Path) -> None:
    backbone = wrap_table_network(fresh_table_network(SHAPE, seed=0))
    save_own(backbone, tmp_path)
    again = load_own(tmp_path)
    assert again.layout == backbone.layout
    assert again.width == 8 + 6
    assert torch.equal(again.pool(again(example())), backbone.pool(backbone(example())))
    save_own(again, tmp_path)
    assert load_own(tmp_path).builder_settings == backbone.builder_settings


def test_nothing_but_the_builders_listed_is_run_unasked(tmp_path: Path) -> None:
    save_own(wrap_table_network(fresh_table_network(SHAPE, seed=0)), tmp_path)
    content = json.loads((tmp_path / "backbone.json").read_text())
    for builder in ("luthier.core.storage:remove_folder", "os:system", "luthier.models.table_network:TableNetwork"):
        (tmp_path / "backbone.json").write_text(json.dumps({**content, "builder": builder}))
        with pytest.raises(ModelError, match="nothing of it is run unless you allow its package") as caught:
            load_own(tmp_path)
        assert "allow=[" in caught.value.remedy


def test_every_builder_listed_is_there() -> None:
    for builder in LUTHIERS:
        assert callable(find_builder(builder, []))


@pytest.mark.parametrize(
    "change",
    [{"settings": {"shape": {"widht": 3}}}, {"settings": {"size": 3}}, {"layout": 3}, {"width": "wide"}],
    ids=["unknown field", "unknown setting", "no layout", "no width"],
)
def test_a_damaged_description_is_told(change: dict[str, object], tmp_path: Path) -> None:
    save_own(wrap_table_network(fresh_table_network(SHAPE, seed=0)), tmp_path)
    content = json.loads((tmp_path / "backbone.json").read_text())
    (tmp_path / "backbone.json").write_text(json.dumps({**content, **change}))
    with pytest.raises(ModelError) as caught:
        load_own(tmp_path)
    assert caught.value.remedy == "copy the model folder again"


def test_weights_of_another_network_are_told(tmp_path: Path) -> None:
    save_own(wrap_table_network(fresh_table_network(SHAPE, seed=0)), tmp_path)
    content = json.loads((tmp_path / "backbone.json").read_text())
    content["settings"]["shape"]["numbers"] = 3
    (tmp_path / "backbone.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match="does not fit its description"):
        load_own(tmp_path)


@pytest.mark.parametrize("boundary", [1, 2])
def test_it_starts_at_any_block(boundary: int) -> None:
    backbone = wrap_table_network(fresh_table_network(SHAPE, seed=0))
    inputs = example()
    backbone.rehearse(inputs)
    whole = backbone.pool(backbone(inputs))
    if boundary == backbone.num_blocks:
        stored = backbone(inputs).pooled
    else:
        stored = backbone.activations(inputs, [boundary])[boundary]
    light = {name: value if name == "texts" else torch.zeros(()).expand(value.shape) for name, value in inputs.items()}
    with backbone.starting_at(boundary):
        again = backbone.pool(backbone(light, stored))
    assert torch.allclose(again, whole, atol=1e-6)
