"""A backbone runs whole, or from a block on; freezes; pools; and may be any network at all."""

import copy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from luthier.errors import ModelError
from luthier.models.backbone import Backbone, State, wrap_backbone
from luthier.models.heads import LinearHead
from luthier.models.layout import Layout
from luthier.models.processors import load_processor
from luthier.package.folder import ModelDescription, load_folder, save_model
from luthier.pipeline.before import replay_fault
from luthier.tasks.protocol import TaskState
from luthier.testing.backbones import example_inputs, tiny_backbone, tiny_bert
from luthier.testing.folders import tiny_text_model
from luthier.testing.inputs import family_inputs
from luthier.training.model import TunedModel

WIDTH = 6


class Toy(nn.Module):
    """No Hugging Face class: an embedding, four residual blocks, a norm; returns bare hidden states."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(99, WIDTH)
        self.blocks = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(4)])
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.embed(input_ids)
        for block in self.blocks:
            hidden = hidden + torch.tanh(block(hidden)) * attention_mask[:, :, None]
        return self.norm(hidden)


class PureToy(Toy):
    """The same with blocks that can be skipped: each block's output is all that the next one needs."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.embed(input_ids)
        for block in self.blocks:
            hidden = block(hidden)
        return self.norm(hidden)


class SideToy(Toy):
    """Skipping is wrong here: the last block adds what the first one made, far from where it was made."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = first = self.blocks[0](self.embed(input_ids))
        for block in self.blocks[1:]:
            hidden = block(torch.tanh(hidden))
        return self.norm(hidden + first)


class DictToy(PureToy):
    """Its blocks return neither a tensor nor a tuple."""

    class Block(nn.Linear):
        def forward(self, hidden: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
            return {"hidden": super().forward(hidden)}

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([self.Block(WIDTH, WIDTH) for _ in range(4)])

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.embed(input_ids)
        for block in self.blocks:
            hidden = block(hidden)["hidden"]
        return self.norm(hidden)


class WideningToy(PureToy):
    """What enters block 2 does not fit into the sum before block 0."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.ones(WIDTH))
        sizes = (WIDTH, 2 * WIDTH, 2 * WIDTH, 2 * WIDTH)
        self.blocks = nn.ModuleList([nn.Linear(size, 2 * WIDTH) for size in sizes])
        self.norm = nn.LayerNorm(2 * WIDTH)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.embed(input_ids) + self.offset
        for block in self.blocks:
            hidden = block(hidden)
        return self.norm(hidden)


def build_toy() -> nn.Module:
    """Named as a builder below."""
    return PureToy()


def seeded(kind: type[nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind()


def inputs() -> dict[str, Tensor]:
    return example_inputs("bert", seed=0)


class TestPooling:
    hidden = torch.arange(24.0).reshape(2, 3, 4)
    mask = torch.tensor([[True, True, True], [True, False, False]])

    def pooled(self, pooling: str, mask: Tensor | None) -> Tensor:
        backbone = wrap_backbone(seeded(PureToy), width=4)
        backbone.layout = Layout(**{**vars(backbone.layout), "pooling": pooling})
        return backbone.pool(State(hidden=self.hidden, mask=mask, pooled=None))

    def test_mean_is_over_real_tokens(self) -> None:
        expected = torch.stack([self.hidden[0].mean(0), self.hidden[1, 0]])
        torch.testing.assert_close(self.pooled("mean", self.mask), expected)
        torch.testing.assert_close(self.pooled("mean", None), self.hidden.mean(1))

    def test_last_is_the_last_real_token(self) -> None:
        assert torch.equal(self.pooled("last", self.mask), torch.stack([self.hidden[0, 2], self.hidden[1, 0]]))
        assert torch.equal(self.pooled("last", None), self.hidden[:, -1])

    def test_first_is_the_first_token(self) -> None:
        assert torch.equal(self.pooled("first", self.mask), self.hidden[:, 0])

    def test_maps_are_averaged_over_their_places(self) -> None:
        maps = torch.randn(2, 4, 3, 5)
        backbone = tiny_backbone("convnext", seed=0)
        torch.testing.assert_close(backbone.pool(State(hidden=maps, mask=None, pooled=None)), maps.mean((2, 3)))

    def test_the_networks_own_pooling_wins_where_the_layout_says_so(self) -> None:
        backbone = tiny_backbone("resnet", seed=0)
        images = example_inputs("resnet", seed=0)
        with torch.no_grad():
            expected = backbone.network(**images).pooler_output.flatten(1)
            assert torch.equal(backbone.pool(backbone(images)), expected)


class TestStartingInTheMiddle:
    def test_it_needs_a_rehearsal_and_a_block_that_exists(self) -> None:
        backbone = tiny_bert(seed=0)
        with pytest.raises(ModelError, match="before a rehearsal"), backbone.starting_at(1):
            pass
        backbone.rehearse(inputs())
        for boundary in (0, -1, 4, 99):
            with pytest.raises(ModelError, match=f"Cannot start at block {boundary} of 3"), backbone.starting_at(boundary):
                pass

    def test_stored_activations_are_neither_forgotten_nor_ignored(self) -> None:
        backbone = tiny_bert(seed=0)
        backbone.rehearse(inputs())
        with pytest.raises(ModelError, match="were given"):
            backbone(inputs(), torch.zeros(3, 11, 16))
        with pytest.raises(ModelError, match="were not given"), backbone.starting_at(1):
            backbone(inputs())

    def test_an_error_inside_leaves_the_network_whole(self) -> None:
        backbone = tiny_bert(seed=0)
        before = backbone.pool(backbone(inputs()))
        backbone.rehearse(inputs())
        with pytest.raises(RuntimeError), backbone.starting_at(1):
            backbone(inputs(), torch.zeros(3, 11, 15))
        assert torch.equal(backbone.pool(backbone(inputs())), before)

    def test_activations_of_fewer_bits_are_taken(self) -> None:
        backbone = tiny_bert(seed=0)
        backbone.rehearse(inputs())
        with torch.no_grad():
            with backbone.capturing([2]) as captured:
                expected = backbone.pool(backbone(inputs()))
            with backbone.starting_at(2):
                found = backbone.pool(backbone(inputs(), captured[2].bfloat16()))
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)

    def test_a_rehearsal_changes_no_mode_and_no_weight(self) -> None:
        backbone = tiny_backbone("resnet", seed=0)
        backbone.network.train()
        backbone.training = True
        before = copy.deepcopy(backbone.state_dict())
        backbone.rehearse(example_inputs("resnet", seed=0))
        assert backbone.training
        assert all(torch.equal(before[name], value) for name, value in backbone.state_dict().items())

    def test_the_form_of_tokens_and_of_maps_is_known_afterwards(self) -> None:
        bert, resnet = tiny_bert(seed=0), tiny_backbone("resnet", seed=0)
        assert bert.rehearse(inputs()).shapes == [(11, 16)] * 3
        assert bert.rehearse(inputs()).padded
        rehearsal = resnet.rehearse(example_inputs("resnet", seed=0))
        assert not rehearsal.padded
        assert all(len(shape) == 3 for shape in rehearsal.shapes)


class TestFreezing:
    def test_frozen_blocks_draw_no_random_numbers(self) -> None:
        """So that dropout falls on the same places whether frozen blocks run or not."""
        backbone = tiny_bert(seed=0)
        backbone.train_from(2)
        backbone.requires_grad_(False)
        state = torch.get_rng_state()
        with torch.no_grad(), backbone.capturing([2]) as captured:
            torch.manual_seed(1)
            backbone(inputs())
            after_whole = torch.get_rng_state()
            backbone.rehearse(inputs())
            backbone.train_from(2)
            torch.manual_seed(1)
            stored = captured[2]
            with backbone.starting_at(2):
                backbone(inputs(), stored)
        assert torch.equal(torch.get_rng_state(), after_whole)
        torch.set_rng_state(state)

    def test_dropout_is_on_where_it_trains(self) -> None:
        backbone = tiny_bert(seed=0)
        backbone.train_from(2)
        torch.manual_seed(0)
        assert not torch.equal(backbone.pool(backbone(inputs())), backbone.pool(backbone(inputs())))
        backbone.train_from(2, mode=False)
        assert torch.equal(backbone.pool(backbone(inputs())), backbone.pool(backbone(inputs())))

    def test_the_tail_trains_with_the_blocks_and_the_stem_does_not(self) -> None:
        names = {name for name, _ in tiny_backbone("llama", seed=0).parameters_from(2)}
        assert "norm.weight" in names
        assert not any(name.startswith(("embed_tokens", "layers.0", "layers.1")) for name in names)

    def test_negative_numbers_count_blocks_from_the_top(self) -> None:
        backbone = tiny_bert(seed=0)
        assert backbone.block(-1) is backbone.block(2)


class TestAnyNetwork:
    def test_a_bare_module_is_wrapped_run_and_started_in_the_middle(self) -> None:
        backbone = wrap_backbone(seeded(PureToy).eval(), width=WIDTH)
        assert backbone.layout.blocks == ("blocks.0", "blocks.1", "blocks.2", "blocks.3")
        backbone.rehearse(inputs())
        with torch.no_grad():
            with backbone.capturing([3]) as captured:
                expected = backbone.pool(backbone(inputs()))
            with backbone.starting_at(3):
                assert torch.equal(backbone.pool(backbone(inputs(), captured[3])), expected)

    def test_blocks_that_can_be_skipped_are_trusted(self) -> None:
        assert replay_fault(chosen(wrap_backbone(seeded(PureToy), width=WIDTH)), [1, 2, 3]) == ""

    @pytest.mark.parametrize("kind", [SideToy, Toy])
    def test_blocks_that_cannot_be_skipped_are_found_out(self, kind: type[nn.Module]) -> None:
        fault = replay_fault(chosen(wrap_backbone(seeded(kind), width=WIDTH)), [2])
        assert fault == "this network computes something else when it starts at block 2"

    def test_a_network_that_breaks_when_blocks_are_skipped_is_found_out(self) -> None:
        for kind, width in ((WideningToy, 2 * WIDTH), (DictToy, WIDTH)):
            fault = replay_fault(chosen(wrap_backbone(seeded(kind), width=width)), [2])
            assert fault.startswith("this network cannot start at block 2 (")

    def test_it_is_saved_with_its_builder_and_loaded_only_where_that_is_allowed(self, tmp_path: Path) -> None:
        package = __name__.split(".")[0]
        layout = Layout(stem=("embed",), blocks=("blocks.0", "blocks.1", "blocks.2", "blocks.3"), pooling="last")
        backbone = wrap_backbone(seeded(PureToy).eval(), width=WIDTH, layout=layout, builder=f"{__name__}:build_toy")
        model = save(backbone, tmp_path)
        with pytest.raises(ModelError, match="nothing of it is run") as caught:
            load_folder(tmp_path / "model")
        assert f'allow=["{package}"]' in caught.value.remedy
        loaded, _, _ = load_folder(tmp_path / "model", allow=[package])
        assert torch.equal(loaded(inputs()), model(inputs()))
        assert loaded.backbone.layout == layout

    def test_without_a_builder_it_cannot_be_saved(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r"PureToy .* be saved: nothing says how") as caught:
            save(wrap_backbone(seeded(PureToy), width=WIDTH), tmp_path)
        assert "builder=" in caught.value.remedy


def save(backbone: Backbone, folder: Path) -> TunedModel:
    """Save the backbone with a head and the tokenizer of a tiny model."""
    head = LinearHead(WIDTH, 2, dropout=0.0, seed=0)
    model = TunedModel(backbone, head)
    description = ModelDescription(
        modality="text",
        state=TaskState(task="text-classification", labels=("a", "b")),
        head=head.settings(),
        pooling=backbone.layout.pooling,
        width=WIDTH,
        precision="float32",
    )
    save_model(folder / "model", model, load_processor(tiny_text_model(folder / "tiny"), "text"), description)
    return model


def chosen(backbone: Backbone) -> SimpleNamespace:
    """What `replay_fault` looks at of a `Chosen`: the network, rehearsed, and encoded rows."""
    rows = family_inputs("bert", num_rows=5, seed=0)
    arrays = rows.batch(np.arange(2))
    backbone.eval().rehearse({name: torch.from_numpy(array) for name, array in arrays.items()})
    return SimpleNamespace(backbone=backbone, inputs=rows)
