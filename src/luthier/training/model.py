"""A backbone with a head: what is trained, saved and asked."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from luthier.models.backbone import Backbone, ModelInputs
from luthier.models.heads import pool_for
from luthier.training.methods.rung import Moves
from luthier.training.moving import moving_parameters


class TunedModel(nn.Module):
    """A backbone and a head on its pooled output.

    Args:
        backbone: The pre-trained network.
        head: Takes [B, D] and gives the task's outputs; one with a `pooling` of its own makes that vector itself.

    Attributes:
        boundary: First block that trains, inside `tuning`.
        touched: Names of parameters that have been free to move so far.
    """

    def __init__(self, backbone: Backbone, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.boundary = 0
        self.touched: set[str] = {f"head.{name}" for name in head.state_dict()}
        self._pretrained: dict[str, Tensor] = {}
        self.eval()

    def forward(self, inputs: ModelInputs, stored: Tensor | None = None) -> Tensor:
        """Outputs of the head; `stored` as in `Backbone.forward`."""
        return self.head(self.pooled(inputs, stored))  # type: ignore[no-any-return]

    def pooled(self, inputs: ModelInputs, stored: Tensor | None = None) -> Tensor:
        """What the head stands on, [B, D]."""
        return pool_for(self.head, self.backbone, self.backbone(inputs, stored))

    @contextmanager
    def tuning(self, boundary: int, moves: Moves = "all") -> Iterator[dict[str, nn.Parameter]]:
        """Free what trains and freeze everything else; yields what trains, by name. Afterwards everything is frozen.

        Args:
            boundary: First block that trains.
            moves: What of the blocks from there on trains.
        """
        self.requires_grad_(False)
        moving = moving_parameters(self.backbone, boundary, moves)
        trainable = {f"backbone.network.{name}": parameter for name, parameter in moving}
        trainable |= {f"head.{name}": parameter for name, parameter in self.head.named_parameters()}
        for name, parameter in trainable.items():
            parameter.requires_grad_(parameter.is_floating_point())
            if name not in self.touched:
                self._remember(name, parameter)
        self.boundary = boundary
        try:
            yield trainable
        finally:
            self.requires_grad_(False)
            self.eval_mode()

    def _remember(self, name: str, parameter: nn.Parameter) -> None:
        """Keep a weight as it is before it moves for the first time."""
        self._pretrained[name] = parameter.detach().clone()
        self.touched.add(name)

    @property
    def pretrained(self) -> Mapping[str, Tensor]:
        """The pre-trained values of the backbone's weights that have been free to move, by name."""
        return {name: value for name, value in self._pretrained.items() if name.startswith("backbone.")}

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Put back weights taken at some moment: those named as given, everything else trained since as pre-trained."""
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if name in weights and name not in self.touched:  # trained by a process that this one goes on from
                    self._remember(name, parameter)
                if name in self.touched:
                    parameter.copy_(weights[name] if name in weights else self._pretrained[name])

    def training_mode(self) -> None:
        """Dropout on in what trains; frozen parts and batch norms stay in evaluation mode."""
        self.backbone.train_from(self.boundary)
        self.head.train()

    def eval_mode(self) -> None:
        """Everything in evaluation mode."""
        self.eval()
