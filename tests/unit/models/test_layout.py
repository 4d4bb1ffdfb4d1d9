"""Where the blocks of a network are found."""

import pytest
import torch
import transformers
from torch import nn

from luthier.errors import ModelError
from luthier.models.layout import EXCEPTIONS, find_layout
from luthier.testing.backbones import tiny_backbone
from luthier.testing.language_models import LANGUAGE_FAMILIES


class Network(nn.Module):
    """Stem, a decoy list, blocks, tail; registered in that order."""

    def __init__(self, number: int = 3) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 4)
        self.decoys = nn.ModuleList([nn.LayerNorm(4), nn.LayerNorm(4)])
        self.encoder = nn.Module()
        self.encoder.noise = nn.Dropout(0.1)
        self.encoder.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(number)])
        self.encoder.table = nn.Module()
        self.norm = nn.LayerNorm(4)


def test_the_largest_list_of_one_class_holds_the_blocks() -> None:
    layout = find_layout(Network())
    assert layout.blocks == ("encoder.layers.0", "encoder.layers.1", "encoder.layers.2")


def test_what_stands_before_is_the_stem_and_what_stands_after_the_tail() -> None:
    layout = find_layout(Network())
    assert layout.stem == ("embed", "decoys", "encoder.noise")
    assert layout.tail == ("norm",)


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_an_encoder_and_a_decoder_may_have_one_block_each(family: str) -> None:
    class_name, settings, _ = LANGUAGE_FAMILIES[family]
    kind = getattr(transformers, class_name)
    single = {name: 1 for name in settings if name in ("num_layers", "num_decoder_layers", "encoder_layers", "decoder_layers")}
    layout = find_layout(kind(kind.config_class(**{**settings, **single})), family)
    assert [name.rpartition(".")[0].split(".")[-2] for name in layout.blocks] == ["encoder", "decoder"]
    assert layout.last_start == 1


def test_modules_without_weights_are_left_to_run_again() -> None:
    assert "encoder.table" not in (*find_layout(Network()).stem, *find_layout(Network()).tail)


def test_a_sequential_of_two_is_enough_and_of_one_is_not() -> None:
    assert find_layout(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))).blocks == ("0", "1")
    with pytest.raises(ModelError) as caught:
        find_layout(nn.Sequential(nn.Linear(2, 2)))
    assert "Sequential has no list of blocks" in caught.value.problem
    assert "layout=Layout(" in caught.value.remedy


def test_lists_of_different_classes_are_no_blocks() -> None:
    with pytest.raises(ModelError, match="no list of blocks"):
        find_layout(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))


def test_the_blocks_of_resnet_are_those_of_all_stages() -> None:
    assert tiny_backbone("resnet", seed=0).layout.blocks == (
        "encoder.stages.0.layers.0",
        "encoder.stages.1.layers.0",
        "encoder.stages.1.layers.1",
        "encoder.stages.2.layers.0",
    )


def test_the_final_norm_of_stable_wav2vec2_stands_after_the_blocks() -> None:
    assert tiny_backbone("wav2vec2", seed=0).layout.tail == ("encoder.layer_norm",)
    assert "encoder.layer_norm" in tiny_backbone("wav2vec2-base", seed=0).layout.stem


def test_what_several_blocks_share_is_neither_stem_nor_tail() -> None:
    layout = tiny_backbone("deberta-v2", seed=0).layout
    assert "encoder.rel_embeddings" in layout.shared
    assert "encoder.rel_embeddings" not in (*layout.stem, *layout.tail)


def test_a_dropout_used_before_and_after_the_blocks_does_not_train() -> None:
    """T5 has one: in training mode it would drop what enters the frozen blocks."""
    backbone = tiny_backbone("t5", seed=0)
    backbone.train_from(2)
    assert not backbone.network.get_submodule("encoder.dropout").training


def test_exceptions_name_only_fields_of_a_layout() -> None:
    fields = set(vars(find_layout(Network())))
    for family, exception in EXCEPTIONS.items():
        assert set(exception) <= fields, family


def test_weights_do_not_influence_the_layout() -> None:
    first, second = Network(), Network()
    with torch.no_grad():
        first.embed.weight.fill_(1e6)
    assert find_layout(first) == find_layout(second)
