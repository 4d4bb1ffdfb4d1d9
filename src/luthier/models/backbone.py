"""A pre-trained network as a row of blocks that can be run from the start, or from any block on.

How a run starts in the middle: the modules before block k (the stem and blocks 0 to k-1) are replaced by stand-ins that
compute nothing, and a hook on block k puts in the stored hidden states. The network's own `forward` still runs, so that
masks, positions and whatever else the later blocks receive are made by the family's own code.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from inspect import signature
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from luthier.errors import ModelError
from luthier.models.layout import Layout, find_layout
from luthier.models.pooling import pool_states
from luthier.models.processors import Processor
from luthier.models.rehearsal import Rehearsal, form_of, keeper, stand_in

ModelInputs = Mapping[str, Tensor]
TOKEN_TYPES = "token_type_ids"


@dataclass(frozen=True, kw_only=True)
class State:
    """What a backbone computed.

    Attributes:
        hidden: Last hidden states: [B, T, D], or feature maps [B, D, H, W]; of a network with its own head logits [B, T, V].
        mask: Which of T are real (None for maps and for models without padding).
        pooled: The network's own pooled output [B, D], where it has one.
        levels: The maps at the layout's `levels`, from large to small.
    """

    hidden: Float[Tensor, "B ..."]
    mask: Bool[Tensor, "B T"] | None
    pooled: Float[Tensor, "B D"] | None
    levels: tuple[Float[Tensor, "B C H W"], ...] = ()


class Backbone(nn.Module):
    """A network with a known layout.

    Args:
        network: The module; called with the model inputs as keywords.
        layout: Where its blocks are.
        width: Size of the pooled vector.
        model_type: The family's name.
        builder: `module:function` that makes the network again, where no Hugging Face class does.
        processor: What prepares its input; None: that of the model folder it comes from, or that is named beside it.

    Example:
        >>> from luthier.testing.backbones import tiny_bert
        >>> backbone = tiny_bert(seed=0)
        >>> ids = torch.tensor([[2, 5, 6, 3]])
        >>> state = backbone({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
        >>> tuple(backbone.pool(state).shape)
        (1, 16)
    """

    def __init__(
        self,
        network: nn.Module,
        layout: Layout,
        *,
        width: int,
        model_type: str = "",
        builder: str = "",
        processor: Processor | None = None,
    ) -> None:
        super().__init__()
        self.builder, self.processor = builder, processor
        self.builder_settings: Mapping[str, Any] = {}  # what the builder is called with, as keywords; JSON types
        self.network, self.layout, self.width, self.model_type = network, layout, width, model_type
        self.rehearsal: Rehearsal | None = None
        self.fixed = _fixed_parameters(network)
        self._start = 0
        self._stored: Tensor | None = None
        self.eval()

    @property
    def num_blocks(self) -> int:
        """Number of blocks."""
        return len(self.layout.blocks)

    @property
    def has_maps(self) -> bool:
        """Whether the hidden states are feature maps [B, C, H, W]; known after `rehearse`."""
        return self.rehearsal is not None and len(self.rehearsal.shapes[0]) == 3

    def block(self, index: int) -> nn.Module:
        """One block; negative numbers count from the top."""
        return self.network.get_submodule(self.layout.blocks[index])

    def forward(self, inputs: ModelInputs, stored: Tensor | None = None) -> State:
        """Run the network, or what is left of it after `starting_at`.

        Args:
            inputs: What the network takes, by name; `attention_mask` says which tokens are real.
            stored: Inside `starting_at(k)`: the hidden states that enter block k; where k is the number of blocks, those that
                leave the last one, or the pooled vector.
        """
        if (stored is None) != (self._start == 0):
            raise ModelError(
                f"The backbone starts at block {self._start}; stored activations were {'not ' * (stored is None)}given.",
                remedy="with backbone.starting_at(k): backbone(inputs, stored)",
            )
        self._stored = None if stored is None else self._in_precision_of_weights(stored)
        if self._stored is not None and self._start == self.num_blocks:
            return self._state_of(inputs, self._stored)
        try:
            with self.capturing([level for level in self.layout.levels if level < self.num_blocks]) as captured:
                output = self.network(**self._taken(inputs))
        finally:
            self._stored = None
        hidden = next((getattr(output, name) for name in ("logits", "last_hidden_state") if hasattr(output, name)), output)
        pooled = getattr(output, "pooler_output", None)
        return State(
            hidden=hidden,
            mask=self._mask_of(inputs, hidden),
            pooled=None if pooled is None or self.layout.pooling != "model" else pooled.flatten(1),
            levels=tuple(captured.get(boundary, hidden) for boundary in self.layout.levels),
        )

    def _taken(self, inputs: ModelInputs) -> Mapping[str, Any]:
        """What the network is called with: without the kind of each token where it knows no such thing; nothing is cached."""
        known = signature(self.network.forward).parameters
        taken: dict[str, Any] = {name: value for name, value in inputs.items() if name != TOKEN_TYPES or name in known}
        if "use_cache" in known:
            taken["use_cache"] = False
        if self._stored is not None and self._is_handover(self._start):
            taken["encoder_outputs"] = (self._stored,)
        return taken

    def _is_handover(self, boundary: int) -> bool:
        """Whether a run from this block on starts from what the encoder gives to the decoder."""
        return bool(self.layout.encoder) and boundary == self.layout.last_start

    def start_of(self, boundary: int) -> int:
        """The block that a run from the store begins at if everything below `boundary` is frozen.

        Example:
            >>> from luthier.testing.backbones import tiny_bert
            >>> tiny_bert(seed=0).start_of(1)
            1
        """
        last = self.layout.last_start
        return boundary if last is None else min(boundary, last)

    def _state_of(self, inputs: ModelInputs, stored: Tensor) -> State:
        """What the whole network gave, from what was stored of it: a pooled vector [B, D], or hidden states."""
        if stored.ndim == 2:
            return State(hidden=stored, mask=None, pooled=stored)
        return State(hidden=stored, mask=self._mask_of(inputs, stored), pooled=None)

    def _in_precision_of_weights(self, stored: Tensor) -> Tensor:
        """Activations may be stored in fewer bits than the weights have; mixed precision takes them as they are."""
        if torch.is_autocast_enabled(stored.device.type):
            return stored
        return stored.to(next(self.network.parameters()).dtype)

    def _mask_of(self, inputs: ModelInputs, hidden: Tensor) -> Tensor | None:
        mask = inputs.get("decoder_attention_mask" if self.layout.encoder else "attention_mask")
        if mask is None or mask.ndim != 2 or hidden.ndim != 3:
            return None
        if mask.shape[1] == hidden.shape[1]:
            return mask.bool()
        lengths = self.output_lengths(mask.sum(1))
        return torch.arange(hidden.shape[1], device=mask.device)[None, :] < lengths[:, None]

    def output_lengths(self, lengths: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """How many hidden states an input of each length has (fewer than samples for audio; else the same)."""
        shorten = getattr(self.network, "_get_feat_extract_output_lengths", None)
        return lengths if shorten is None else shorten(lengths)

    def pool(self, state: State) -> Float[Tensor, "B D"]:
        """One vector for each example, by the layout's pooling.

        Raises:
            ModelError: maps, which have no order, were to be pooled by it.
        """
        return pool_states(state.hidden, state.mask, self.layout.pooling) if state.pooled is None else state.pooled

    @contextmanager
    def capturing(self, boundaries: Sequence[int]) -> Iterator[dict[int, Tensor]]:
        """Keep what enters the blocks named; read the dictionary after each call of `forward`."""
        captured: dict[int, Tensor] = {}
        handles = []
        for boundary in boundaries:
            place = self.network.get_submodule(self.layout.encoder) if self._is_handover(boundary) else self.block(boundary)
            handles.append(keeper(place, captured, boundary, leaving=self._is_handover(boundary)))
        try:
            yield captured
        finally:
            for handle in handles:
                handle.remove()

    def activations(self, inputs: ModelInputs, boundaries: Sequence[int]) -> dict[int, Tensor]:
        """What enters some blocks; the last block named and everything after it is not computed.

        Example:
            >>> from luthier.testing.backbones import tiny_bert
            >>> ids = torch.tensor([[2, 5, 6, 3]])
            >>> tuple(tiny_bert(seed=0).activations({"input_ids": ids}, [1])[1].shape)
            (1, 4, 16)
        """

        def leave(module: nn.Module, args: Any) -> None:
            raise _Reached

        with self.capturing(boundaries) as captured:
            handle = self.block(max(boundaries)).register_forward_pre_hook(leave)
            try:
                self(inputs)
            except _Reached:
                pass
            finally:
                handle.remove()
        return captured

    def rehearse(self, inputs: ModelInputs) -> Rehearsal:
        """Run one small batch and note the form of what each skippable module returns; needed before `starting_at`."""
        outputs: dict[str, tuple[Any, ...] | None] = {}
        handles = []
        for name in [*self.layout.stem, *self.layout.blocks]:

            def note(module: nn.Module, args: Any, output: Any, name: str = name) -> None:
                outputs[name] = form_of(output)

            handles.append(self.network.get_submodule(name).register_forward_hook(note))
        training = self.training
        self.eval()
        try:
            with torch.no_grad(), self.capturing(range(self.num_blocks)) as captured:
                last = self(inputs).hidden
        finally:
            self.train(training)
            for handle in handles:
                handle.remove()
        shapes = [tuple(captured[index].shape[1:]) for index in range(self.num_blocks)]
        last_shape, padded = tuple(last.shape[1:]), "attention_mask" in inputs
        self.rehearsal = Rehearsal(outputs=outputs, shapes=shapes, last_shape=last_shape, padded=padded)
        return self.rehearsal

    @contextmanager
    def starting_at(self, boundary: int) -> Iterator[None]:
        """Inside the block, `forward(inputs, stored)` computes only block `boundary` and what comes after it, if anything.

        Raises:
            ModelError: `rehearse` has not been called, or the boundary is not between 1 and the number of blocks.
        """
        if self.rehearsal is None or not 1 <= boundary <= self.num_blocks:
            raise ModelError(
                f"Cannot start at block {boundary} of {self.num_blocks}"
                + (" before a rehearsal." if self.rehearsal is None else "."),
                remedy="backbone.rehearse(inputs), then a boundary from 1 to the number of blocks",
            )
        if boundary == self.num_blocks or self._is_handover(boundary):
            self._start = boundary
            try:
                yield
            finally:
                self._start = 0
            return
        skipped = [name for name in [*self.layout.stem, *self.layout.blocks[:boundary]] if name in self.rehearsal.outputs]
        modules = {name: self.network.get_submodule(name) for name in skipped}
        for name, module in modules.items():
            module.forward = self._stand_in(name)

        def put_in(module: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
            return ((self._stored, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": self._stored})

        handle = self.block(boundary).register_forward_pre_hook(put_in, with_kwargs=True)
        self._start = boundary
        try:
            yield
        finally:
            self._start = 0
            handle.remove()
            for module in modules.values():
                del module.forward

    @contextmanager
    def recomputing(self, boundary: int | None) -> Iterator[None]:
        """Inside the block, blocks from `boundary` on keep only what enters them, and are computed again for the gradient.

        Memory for activations falls to about one block's and the states between blocks; a step takes about a third longer.
        With None nothing changes.

        Source: Chen et al. 2016, "Training deep nets with sublinear memory cost".
        """
        blocks = [] if boundary is None else [self.block(index) for index in range(max(0, boundary), self.num_blocks)]
        for block in blocks:
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)
        try:
            yield
        finally:
            for block in blocks:
                del block.forward

    def _stand_in(self, name: str) -> Any:
        """A `forward` for a module that is skipped: returns the stored hidden states in the form the caller expects."""
        assert self.rehearsal is not None
        return stand_in(
            self.network,
            name,
            self.rehearsal.outputs[name],
            layout=self.layout,
            stored=lambda: self._stored,
        )

    def parameters_from(self, boundary: int) -> Iterator[tuple[str, nn.Parameter]]:
        """Names and parameters that train when everything before block `boundary` is frozen: none if no block is left."""
        if boundary <= 0:
            yield from ((name, item) for name, item in self.network.named_parameters() if name not in self.fixed)
        if not 0 < boundary < self.num_blocks:
            return
        prefixes = tuple(f"{name}." for name in self._modules_from(boundary))
        for name, parameter in self.network.named_parameters():
            if name.startswith(prefixes) and name not in self.fixed:
                yield name, parameter

    def _modules_from(self, boundary: int) -> list[str]:
        """The modules that train when everything before block `boundary`, which is not the first, is frozen."""
        last = self.layout.last_start
        middle = self.layout.middle if last is None or boundary < last else ()
        return [*self.layout.blocks[boundary:], *middle, *self.layout.tail]

    def blocks_above(self, name: str) -> int:
        """How many blocks stand above a parameter of the network; the stem lies below all of them, the tail above.

        Example:
            >>> from luthier.testing.backbones import tiny_bert
            >>> backbone = tiny_bert(seed=0)
            >>> backbone.blocks_above("embeddings.LayerNorm.weight") == backbone.num_blocks
            True
        """
        for index, block in enumerate(self.layout.blocks):
            if name.startswith(f"{block}."):
                return self.num_blocks - 1 - index
        if name.startswith(tuple(f"{part}." for part in self.layout.middle)):
            return self.num_blocks - (self.layout.last_start or 0)
        return 0 if name.startswith(tuple(f"{part}." for part in self.layout.tail)) else self.num_blocks

    def train_from(self, boundary: int, mode: bool = True) -> None:
        """Training mode (dropout on) for the blocks from `boundary` on and the tail; everything else in evaluation mode.

        Batch norms stay in evaluation mode everywhere: their running statistics belong to the pre-trained weights, and a
        small batch is a bad estimate of them.
        """
        self.eval()
        if not mode or boundary >= self.num_blocks:
            return
        if boundary <= 0:
            self.network.train()
        else:
            for name in self._modules_from(boundary):
                self.network.get_submodule(name).train()
        for module in self.network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def _fixed_parameters(network: nn.Module) -> frozenset[str]:
    """Parameters that the family itself never trains: tables of positions, which some do not even save."""
    fixed = {name for name, item in network.named_parameters() if not item.requires_grad}
    return frozenset(fixed if any(item.requires_grad for item in network.parameters()) else ())


class _Reached(Exception):
    """Leaves a network's `forward` before a block that nobody needs."""


def wrap_backbone(
    network: nn.Module,
    *,
    width: int,
    layout: Layout | None = None,
    model_type: str = "",
    builder: str = "",
    processor: Processor | None = None,
) -> Backbone:
    """A `Backbone` from any module that holds its blocks in a list.

    Args:
        network: Called with the model inputs as keywords; returns hidden states [B, T, D] or maps [B, D, H, W], bare or as
            `last_hidden_state` of a Hugging Face output.
        width: D.
        layout: Where the blocks are; found by `find_layout` if absent.
        builder: `module:function` that makes the network again; needed to save one that is no Hugging Face class.
        processor: What prepares its input, for a network that comes from no model folder.
    """
    layout = layout or find_layout(network, model_type)
    return Backbone(network, layout, width=width, model_type=model_type, builder=builder, processor=processor)
