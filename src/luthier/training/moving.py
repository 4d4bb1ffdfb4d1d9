"""Which parameters of a backbone move under a method, and whether a model has any."""

from collections.abc import Iterator

from torch import nn

from luthier.errors import SpecError
from luthier.models.backbone import Backbone
from luthier.training.adapters import count_adapter_weights, refuse_without_targets
from luthier.training.methods.rung import AdapterSettings, Moves, Rung


def moving_parameters(backbone: Backbone, boundary: int, moves: Moves) -> Iterator[tuple[str, nn.Parameter]]:
    """Names and parameters of the network itself that train; an adapter moves none of them.

    Example:
        >>> from luthier.testing.backbones import tiny_bert
        >>> {name.rpartition(".")[2] for name, _ in moving_parameters(tiny_bert(seed=0), 1, "biases")}
        {'bias'}
    """
    if moves in ("all", "biases"):
        for name, parameter in backbone.parameters_from(boundary):
            if moves == "all" or name.endswith("bias"):
                yield name, parameter


def count_moving(backbone: Backbone, rung: Rung) -> int:
    """How many weights a method trains, without those of the head."""
    if isinstance(rung.moves, AdapterSettings):
        return count_adapter_weights(backbone, rung.boundary, rung.moves)
    return sum(parameter.numel() for _, parameter in moving_parameters(backbone, rung.boundary, rung.moves))


def refuse_unfit(backbone: Backbone, rung: Rung) -> None:
    """Raise SpecError if a model has nothing that a method could train: better before the pass over the data than after it."""
    if isinstance(rung.moves, AdapterSettings):
        refuse_without_targets(backbone, rung.boundary, rung.moves)
    if rung.moves == "biases" and not count_moving(backbone, rung):
        raise SpecError(
            f"'{rung.name}' trains nothing but biases, and {type(backbone.network).__name__} has none there.",
            remedy=f"--method top-blocks:{max(1, backbone.num_blocks // 3)}, or --method full",
        )
