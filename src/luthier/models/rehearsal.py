"""What one small pass shows of a network: the forms that stand-ins for skipped modules must give back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What one small pass has shown of a network.

    Attributes:
        outputs: For each module that can be skipped, the form of its output: None for a tensor, else one entry per place of
            the tuple, `...` where there is a tensor and the constant otherwise.
        shapes: What enters each block for one example: (T, D) for tokens, (C, H, W) for maps.
        last_shape: The same of the last hidden states.
        padded: Whether T is as long as the input of each example (else it is the same for all).
    """

    outputs: Mapping[str, tuple[Any, ...] | None]
    shapes: Sequence[tuple[int, ...]]
    last_shape: tuple[int, ...]
    padded: bool


def form_of(output: Any) -> tuple[Any, ...] | None:
    """The form of a module's output, as `Rehearsal.outputs` keeps it."""
    if isinstance(output, Tensor):
        return None
    if not isinstance(output, tuple | list):
        return ()  # nothing that a stand-in could give back: runs from the middle fail, and are found out when they are tried
    return tuple(... if isinstance(place, Tensor) else place for place in output)


def position_bias_of(block: nn.Module, hidden: Tensor) -> Tensor:
    """T5's relative position bias [1, heads, T, T], which the first block makes for all of them."""
    attention: Any = block.get_submodule("layer.0.SelfAttention")
    return attention.compute_bias(hidden.shape[1], hidden.shape[1], device=hidden.device)  # type: ignore[no-any-return]
