"""A backbone with a head: what is trained, saved and asked."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from luthier.models.backbone import Backbone, ModelInputs
from luthier.models.heads import pool_for
from luthier.training.adapters import Adapter
from luthier.training.methods.rung import AdapterSettings, Moves
from luthier.training.moving import moving_parameters


class TunedModel(nn.Module):
    """A backbone and a head on its pooled output.

    Args:
        backbone: The pre-trained network.
        head: Takes [B, D] and gives the task's outputs; one with a `pooling` of its own makes that vector itself, and one that
            `reads_states` takes the backbone's `State`.

    Attributes:
        boundary: First block that trains, inside `tuning`.
        touched: Names of the parameters of backbone and head that have been free to move so far.
        adapter: What is in the backbone's network now; None if it is the plain one.
    """

    def __init__(self, backbone: Backbone, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.boundary = 0
        self.adapter: Adapter | None = None
        self.touched: set[str] = {f"head.{name}" for name in head.state_dict()}
        self._pretrained: dict[str, Tensor] = {}
        self._free: dict[str, nn.Parameter] = {}
        self.eval()

    def forward(self, inputs: ModelInputs, stored: Tensor | None = None) -> Tensor:
        """Outputs of the head; `stored` as in `Backbone.forward`."""
        return self.head(self.pooled(inputs, stored))  # type: ignore[no-any-return]

    def pooled(self, inputs: ModelInputs, stored: Tensor | None = None) -> Any:
        """What the head stands on: [B, D], or the state."""
        return pool_for(self.head, self.backbone, self.backbone(inputs, stored))

    @contextmanager
    def tuning(self, boundary: int, moves: Moves = "all") -> Iterator[dict[str, nn.Parameter]]:
        """Free what trains and freeze everything else; yields what trains, by name. Afterwards everything is frozen.

        An adapter is put in, and is still there afterwards: `restore` takes it out.

        Args:
            boundary: First block that trains.
            moves: What of the blocks from there on trains.
        """
        self._place_adapter(boundary, moves)
        self.requires_grad_(False)
        moving = moving_parameters(self.backbone, boundary, moves)
        trainable = {f"backbone.network.{name}": parameter for name, parameter in moving}
        trainable |= {f"head.{name}": parameter for name, parameter in self.head.named_parameters()}
        for name, parameter in trainable.items():
            if name not in self.touched:
                self._remember(name, parameter)
        trainable |= self._adapter_parameters()
        for parameter in trainable.values():
            parameter.requires_grad_(parameter.is_floating_point())
        self.boundary, self._free = boundary, trainable
        try:
            yield trainable
        finally:
            self._free = {}
            self.requires_grad_(False)
            self.eval_mode()

    def freeze_below(self, boundary: int) -> None:
        """Inside `tuning`, keep what lies below a block frozen for now; everything else that is to train does."""
        below = {f"backbone.network.{name}" for name, _ in self.backbone.network.named_parameters()}
        below -= {f"backbone.network.{name}" for name, _ in self.backbone.parameters_from(boundary)}
        for name, parameter in self._free.items():
            parameter.requires_grad_(parameter.is_floating_point() and name not in below)
        self.boundary = boundary

    def _remember(self, name: str, parameter: nn.Parameter) -> None:
        """Keep a weight as it is before it moves for the first time."""
        self._pretrained[name] = parameter.detach().clone()
        self.touched.add(name)

    @property
    def pretrained(self) -> Mapping[str, Tensor]:
        """The pre-trained values of the backbone's weights that have been free to move, by name."""
        return {name: value for name, value in self._pretrained.items() if name.startswith("backbone.")}

    def changed(self) -> dict[str, Tensor]:
        """A copy of all weights that may differ from the pre-trained model: the head, blocks trained so far, the adapter."""
        names = self.touched | self._adapter_parameters().keys()
        return {name: value.detach().clone() for name, value in self.state_dict().items() if name in names}

    def restore(self, weights: Mapping[str, Tensor], *, boundary: int = 0, moves: Moves = "all") -> None:
        """Put back weights taken at some moment: those named as given, everything else trained since as pre-trained.

        Args:
            weights: By name, as `changed` gave them.
            boundary, moves: Under which they were trained; an adapter that does not belong to them is taken out.
        """
        self._place_adapter(0, "all")
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if name in weights and name not in self.touched:  # trained by a process that this one goes on from
                    self._remember(name, parameter)
                if name in self.touched:
                    parameter.copy_(weights[name] if name in weights else self._pretrained[name])
            self._place_adapter(boundary, moves)
            for name, parameter in self._adapter_parameters().items():
                parameter.copy_(weights[name])

    def _place_adapter(self, boundary: int, moves: Moves) -> None:
        """Put an adapter in, take one out, or leave the one that is there as it is."""
        wanted = moves if isinstance(moves, AdapterSettings) else None
        if self.adapter is not None and (self.adapter.settings, self.adapter.boundary) != (wanted, boundary):
            self.adapter.remove()
            self.adapter = None
        if self.adapter is None and wanted is not None:
            self.adapter = Adapter(self.backbone, boundary, wanted)
            self.requires_grad_(False)

    def _adapter_parameters(self) -> dict[str, nn.Parameter]:
        found = {} if self.adapter is None else self.adapter.parameters()
        return {f"backbone.network.{name}": parameter for name, parameter in found.items()}

    def training_mode(self) -> None:
        """Dropout on in blocks that train or hold an adapter; what is frozen and batch norms stay in evaluation mode."""
        self.backbone.train_from(self.boundary)
        if self.adapter is not None:  # which has nothing in the stem, so that it is frozen even where every block trains
            for name in self.backbone.layout.stem:
                self.backbone.network.get_submodule(name).eval()
        self.head.train()

    def eval_mode(self) -> None:
        """Everything in evaluation mode."""
        self.eval()
