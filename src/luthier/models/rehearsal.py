"""What one small pass shows of a network: the forms that stand-ins for skipped modules must give back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from luthier.models.layout import Layout


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What one small pass has shown of a network.

    Attributes:
        outputs: For each module that can be skipped, the form of its output: None for a tensor, else one entry per place of
            the tuple, `...` where there is a tensor and the constant otherwise (`Alike` where tensors stand deeper).
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
    return tuple(... if isinstance(place, Tensor) else _kept(place) for place in output)


@dataclass(frozen=True, kw_only=True)
class Alike:
    """Tensors inside of a place of an output, as they are for one example: maps nobody reads, and masks that are all the same.

    Attributes:
        parts: Tensors [1, ...], or whatever else stood there.
    """

    parts: tuple[Any, ...]

    def of_batch(self, like: Tensor) -> tuple[Any, ...]:
        """The same for a batch of hidden states."""
        return tuple(
            part.to(like.device, like.dtype if part.is_floating_point() else None).expand(len(like), *part.shape[1:])
            if isinstance(part, Tensor)
            else part
            for part in self.parts
        )


def _kept(place: Any) -> Any:
    if isinstance(place, tuple | list) and any(isinstance(part, Tensor) for part in place):
        return Alike(parts=tuple(part[:1].detach().clone() if isinstance(part, Tensor) else part for part in place))
    return place


def position_bias_of(block: nn.Module, hidden: Tensor) -> Tensor:
    """T5's relative position bias [1, heads, T, T], which the first block makes for all of them."""
    attention: Any = block.get_submodule("layer.0.SelfAttention")
    return attention.compute_bias(hidden.shape[1], hidden.shape[1], device=hidden.device)  # type: ignore[no-any-return]


def keeper(module: nn.Module, kept: dict[int, Tensor], place: int, *, leaving: bool) -> RemovableHandle:
    """A hook that keeps the hidden states that enter a module, or that leave it, under a number."""

    def entering_states(module: nn.Module, args: Any, kwargs: Any) -> None:
        kept[place] = args[0] if args else kwargs["hidden_states"]

    def leaving_states(module: nn.Module, args: Any, output: Any) -> None:
        kept[place] = output[0]

    if leaving:
        return module.register_forward_hook(leaving_states)
    return module.register_forward_pre_hook(entering_states, with_kwargs=True)


def stand_in(
    network: nn.Module,
    name: str,
    form: tuple[Any, ...] | None,
    *,
    layout: Layout,
    stored: Callable[[], Tensor | None],
) -> Callable[..., Any]:
    """A `forward` for a module that is skipped.

    Args:
        name: Of the module in its network.
        form: Of what it returns; see `Rehearsal.outputs`.
        stored: Gives the hidden states that the run starts from.
    """
    transposed = name in layout.channels_first
    biased = layout.position_bias and name == layout.blocks[0]

    def forward(*args: Any, **kwargs: Any) -> Any:
        states = stored()
        assert states is not None
        hidden = states.transpose(1, 2) if transposed else states
        if form is None:
            return hidden
        places = [hidden if place is ... else place for place in form]
        places = [place.of_batch(hidden) if isinstance(place, Alike) else place for place in places]
        if biased:
            places[1] = position_bias_of(network.get_submodule(name), hidden)
        elif layout.position_bias and name in layout.blocks:
            places[1] = args[2] if len(args) > 2 else kwargs["position_bias"]
        return tuple(places)

    return forward
