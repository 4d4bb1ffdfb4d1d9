"""What every backbone must be."""

from collections.abc import Mapping
from itertools import pairwise
from typing import ClassVar

import pytest
import torch

from luthier.errors import ModelError
from luthier.models.backbone import Backbone
from luthier.testing.backbones import example_inputs, tiny_backbone


class BackboneConformance:
    """A network whose blocks can be skipped, stored and frozen.

    Attributes:
        family: A name in `luthier.testing.backbones.FAMILIES`; or override `backbone` and `inputs`.
    """

    family: ClassVar[str] = ""

    def backbone(self) -> Backbone:
        """The network, always the same."""
        return tiny_backbone(self.family, seed=0)

    def inputs(self) -> Mapping[str, torch.Tensor]:
        """A batch of three rows."""
        return example_inputs(self.family, seed=0)

    def test_every_module_with_weights_has_a_place(self) -> None:
        """Stem, blocks, tail and shared modules together hold every weight, and overlap nowhere."""
        backbone = self.backbone()
        layout = backbone.layout
        places = [*layout.stem, *layout.blocks, *layout.tail, *layout.shared]
        assert len(set(places)) == len(places)
        alone = {"shared.weight", "masked_spec_embed", "cls_token"}  # aliases, and parameters of the network itself
        lost = [
            name
            for name, _ in backbone.network.named_parameters()
            if not name.startswith(tuple(f"{place}." for place in places)) and name not in alone
        ]
        assert lost == []

    def test_a_run_can_start_at_every_block(self) -> None:
        """Pooled features are the same whether the first blocks are run or their output is put in."""
        backbone, inputs = self.backbone(), self.inputs()
        backbone.rehearse(inputs)
        boundaries = range(1, backbone.num_blocks)
        with torch.no_grad():
            with backbone.capturing(boundaries) as captured:
                expected = backbone.pool(backbone(inputs))
            captured = {boundary: tensor.clone() for boundary, tensor in captured.items()}
            for boundary in boundaries:
                with backbone.starting_at(boundary):
                    found = backbone.pool(backbone(inputs, captured[boundary]))
                torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(backbone.pool(backbone(inputs)), expected, rtol=0, atol=0)

    def test_a_run_can_end_at_every_block(self) -> None:
        """What enters a block is the same whether the run goes on or not, and the block is not computed."""
        backbone, inputs = self.backbone(), self.inputs()
        boundaries = range(1, backbone.num_blocks)
        with torch.no_grad():
            with backbone.capturing(boundaries) as expected:
                backbone(inputs)
            for boundary in boundaries:
                ran: list[bool] = []
                handle = backbone.block(boundary).register_forward_hook(lambda *_, ran=ran: ran.append(True))
                found = backbone.activations(inputs, [boundary])
                handle.remove()
                torch.testing.assert_close(found[boundary], expected[boundary], rtol=0, atol=0)
                assert ran == []

    def test_pooled_features_have_the_width(self) -> None:
        """One finite vector for each row."""
        backbone = self.backbone()
        pooled = backbone.pool(backbone(self.inputs()))
        assert pooled.shape == (3, backbone.width)
        assert torch.isfinite(pooled).all()

    def test_a_row_does_not_feel_its_neighbours(self) -> None:
        """Alone, or padded beside a longer row: the same features."""
        backbone, inputs = self.backbone(), self.inputs()
        mask = inputs.get("attention_mask")
        with torch.no_grad():
            together = backbone.pool(backbone(inputs))
            for row in range(len(together)):
                length = None if mask is None else int(mask[row].sum())
                alone = {name: value[row : row + 1, :length] for name, value in inputs.items()}
                torch.testing.assert_close(backbone.pool(backbone(alone))[0], together[row], rtol=1e-4, atol=1e-4)

    def test_what_trains_shrinks_with_the_boundary(self) -> None:
        """Each higher boundary trains less; boundary 0 trains everything."""
        backbone = self.backbone()
        names = [{name for name, _ in backbone.parameters_from(boundary)} for boundary in range(backbone.num_blocks)]
        assert names[0] == {name for name, item in backbone.network.named_parameters() if item.requires_grad}
        assert all(low > high for low, high in pairwise(names))

    def test_only_the_top_is_in_training_mode(self) -> None:
        """Dropout is on from the boundary on; batch norms never leave evaluation mode."""
        backbone = self.backbone()
        boundary = backbone.num_blocks - 1
        backbone.train_from(boundary)
        frozen = [*backbone.layout.stem, *backbone.layout.blocks[:boundary]]
        for name in frozen:
            assert not any(module.training for module in backbone.network.get_submodule(name).modules())
        norms = [module for module in backbone.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)]
        assert not any(norm.training for norm in norms)
        top = [module for module in backbone.block(boundary).modules() if module not in norms]
        assert all(module.training for module in top)

    def test_starting_in_the_middle_leaves_no_trace(self) -> None:
        """Afterwards every module has its own `forward` again, and stored activations are refused."""
        backbone, inputs = self.backbone(), self.inputs()
        backbone.rehearse(inputs)
        with backbone.starting_at(1):
            pass
        assert not any("forward" in vars(module) for module in backbone.network.modules())
        with pytest.raises(ModelError, match="starts at block 0"):
            backbone(inputs, torch.zeros(3, 1))
