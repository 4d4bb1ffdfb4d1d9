"""What every network with its own head must be."""

from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from luthier.models.backbone import Backbone
from luthier.models.heads import OwnHead
from luthier.models.load import load_network
from luthier.testing.language_models import LANGUAGE_FAMILIES, example_language_inputs, tiny_language_backbone
from luthier.training.model import TunedModel


def logits_of(backbone: Backbone, inputs: dict[str, Tensor], stored: Tensor | None = None) -> Tensor:
    """The logits of the places that are real, one after the other."""
    state = backbone(inputs, stored)
    return state.hidden if state.mask is None else state.hidden[state.mask]  # type: ignore[no-any-return]


class LanguageModelConformance:
    """A network with its own, perhaps tied, head whose blocks can be skipped, stored and frozen.

    Attributes:
        family: A name in `luthier.testing.language_models.LANGUAGE_FAMILIES`.
    """

    family: ClassVar[str] = ""

    def backbone(self) -> Backbone:
        """The network, always the same."""
        return tiny_language_backbone(self.family, seed=0)

    def inputs(self) -> dict[str, Tensor]:
        """A batch of three rows."""
        return example_language_inputs(self.family, seed=0)

    def test_it_gives_the_logits_of_its_own_head(self) -> None:
        """Nothing is put between the network and its logits."""
        backbone, inputs = self.backbone(), self.inputs()
        model = TunedModel(backbone, OwnHead())
        with torch.no_grad():
            torch.testing.assert_close(model(inputs), backbone.network(**inputs).logits, rtol=0, atol=0)

    def test_a_run_can_start_at_every_block_that_may_be_stored(self) -> None:
        """The same logits wherever the run begins; an encoder-decoder begins no later than with what its encoder gives."""
        backbone, inputs = self.backbone(), self.inputs()
        backbone.rehearse(inputs)
        starts = sorted({backbone.start_of(boundary) for boundary in range(1, backbone.num_blocks)})
        with torch.no_grad():
            with backbone.capturing(starts) as captured:
                expected = logits_of(backbone, inputs)
            kept = {start: tensor.clone() for start, tensor in captured.items()}
            for start in starts:
                with backbone.starting_at(start):
                    found = logits_of(backbone, inputs, kept[start])
                torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(logits_of(backbone, inputs), expected, rtol=0, atol=0)

    def test_stored_states_are_those_that_a_shorter_run_gives(self) -> None:
        """A pass that stops where nothing more is wanted keeps the same states."""
        backbone, inputs = self.backbone(), self.inputs()
        start = backbone.start_of(backbone.num_blocks - 1)
        with torch.no_grad():
            with backbone.capturing([start]) as captured:
                backbone(inputs)
            torch.testing.assert_close(backbone.activations(inputs, [start])[start], captured[start], rtol=0, atol=0)

    def test_what_trains_shrinks_with_the_boundary(self) -> None:
        """Each higher boundary trains less; a head tied to embeddings trains when they do, and not with the last block."""
        backbone = self.backbone()
        network: Any = backbone.network
        names = [{name for name, _ in backbone.parameters_from(boundary)} for boundary in range(backbone.num_blocks)]
        assert names[0] == {name for name, item in network.named_parameters() if item.requires_grad}
        assert all(low > high for low, high in pairwise(names))
        if network.get_output_embeddings().weight is network.get_input_embeddings().weight:
            tied = next(name for name, item in network.named_parameters() if item is network.get_output_embeddings().weight)
            assert tied in names[0]
            assert tied not in names[-1]

    def test_gradients_reach_what_trains_and_nothing_else(self) -> None:
        """From the store as from the start."""
        backbone, inputs = self.backbone(), self.inputs()
        backbone.rehearse(inputs)
        for boundary in range(1, backbone.num_blocks):
            start = backbone.start_of(boundary)
            with torch.no_grad(), backbone.capturing([start]) as captured:
                backbone(inputs)
            gradients = [self._gradients(backbone, inputs, boundary, None)]
            with backbone.starting_at(start):
                gradients.append(self._gradients(backbone, inputs, boundary, captured[start]))
            wanted = {name for name, _ in backbone.parameters_from(boundary)}
            for found in gradients:
                assert set(found) <= wanted
            for name, value in gradients[0].items():
                torch.testing.assert_close(gradients[1][name], value, rtol=1e-4, atol=1e-5)

    @staticmethod
    def _gradients(backbone: Backbone, inputs: dict[str, Tensor], boundary: int, stored: Tensor | None) -> dict[str, Tensor]:
        network = backbone.network.requires_grad_(False)
        for _, parameter in backbone.parameters_from(boundary):
            parameter.requires_grad_(True)
        network.zero_grad(set_to_none=True)
        logits_of(backbone, inputs, stored).square().mean().backward()  # type: ignore[no-untyped-call]
        return {name: item.grad.clone() for name, item in network.named_parameters() if item.grad is not None}

    def test_a_saved_network_is_loaded_with_its_head(self, tmp_path: Path) -> None:
        """Same logits; weights that were one tensor are one again, and are written once."""
        backbone, inputs = self.backbone(), self.inputs()
        network: Any = backbone.network
        network.save_pretrained(tmp_path, safe_serialization=True)
        kind = LANGUAGE_FAMILIES[self.family][2]
        loaded: Any = load_network(tmp_path, backbone.model_type, kind=kind)
        assert type(loaded) is type(network)
        count = len(list(network.parameters()))
        assert len(list(loaded.parameters())) == count
        with torch.no_grad():
            torch.testing.assert_close(loaded(**inputs).logits, network(**inputs).logits, rtol=1e-6, atol=1e-6)
