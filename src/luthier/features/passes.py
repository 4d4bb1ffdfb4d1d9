"""One pass of the data through a frozen backbone: pooled features, and what enters the blocks that will train.

The pass runs on a copy of the backbone in the pass's precision, in evaluation mode, over length-sorted batches whose
size suits the processor's cache. Inputs that occur several times are computed once.
"""

import copy
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from luthier.core.process import Cost, Stopwatch
from luthier.core.progress import Observer, counted
from luthier.features.store import ActivationStore, StorePlan, StoreType, StoreWriter, cost_of, new_store, open_store
from luthier.models.backbone import Backbone, ModelInputs
from luthier.tasks.inputs import Inputs

TOKENS_PER_BATCH = 1024
ROWS_PER_BATCH = 64
IMAGES_PER_BATCH = 16
PRECISIONS: Mapping[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class PassSettings:
    """How a pass is run, and what its results are called on disk.

    Attributes:
        identity: Hashes of weights and processor, and the like: everything but the inputs that decides the results.
        root: Folder of the stores.
        precision: `float32` or `bfloat16`: of weights and activations.
        store_type: How activations are kept; pooled features are always float32.
        device: Where the pass runs.
    """

    identity: Mapping[str, Any]
    root: Path
    precision: str
    store_type: StoreType
    device: str = "cpu"


@dataclass(frozen=True, kw_only=True)
class Features:
    """What a pass left behind.

    Attributes:
        pooled: [N, D] float32, one row per row of the inputs asked for; of a network with its own head [N, 0].
        pooled_store: What `pooled` was read from; None if there is none.
        boundaries: Store of what enters each block asked for; under the number of blocks, of what leaves the last one.
        reused: Whether everything was found on disk.
        cost: Of the passes that filled the stores, whenever that was: what is found on disk has been paid for once.
    """

    pooled: Float[np.ndarray, "N D"]
    pooled_store: ActivationStore | None
    boundaries: Mapping[int, ActivationStore]
    reused: bool
    cost: Cost


def frozen_copy(backbone: Backbone, *, precision: str, device: str) -> Backbone:
    """A copy of the backbone for passes: evaluation mode, no gradients, the pass's precision, fast memory layout."""
    network = copy.deepcopy(backbone).to(device=device, dtype=PRECISIONS[precision]).eval()
    network.requires_grad_(False)
    if backbone.has_maps:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def to_device(batch: Mapping[str, np.ndarray], *, dtype: torch.dtype, device: str) -> ModelInputs:
    """Arrays as tensors; real numbers in the network's precision. Arrays without memory (all strides 0) stay without."""
    tensors = {}
    for name, array in batch.items():
        if not any(array.strides):
            tensors[name] = torch.zeros((), dtype=dtype, device=device).expand(array.shape)
            continue
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        tensor = tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)
        tensors[name] = tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
    return tensors


def batches_by_length(lengths: Int[np.ndarray, " N"], *, is_media: bool = False) -> Iterator[Int[np.ndarray, " B"]]:
    """Rows from long to short, in batches of about `TOKENS_PER_BATCH` tokens or frames, and of pictures of a fixed number.

    Example:
        >>> [len(batch) for batch in batches_by_length(np.array([512, 600, 3, 2]))]
        [1, 2, 1]
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        most = IMAGES_PER_BATCH if is_media else ROWS_PER_BATCH
        room = max(1, min(most, TOKENS_PER_BATCH // int(lengths[order[start]])))
        yield order[start : start + room]
        start += room


def compute_features(
    backbone: Backbone,
    inputs: Inputs,
    settings: PassSettings,
    *,
    boundary_rows: Mapping[int, Int[np.ndarray, " n"]],
    observer: Observer,
    pools: bool = True,
) -> Features:
    """Pooled features of all rows, and what enters some blocks for some rows, from disk where they have been computed before.

    Args:
        backbone: After `rehearse`.
        boundary_rows: Block -> rows whose activations are kept; the number of blocks stands for the last hidden states.
        pools: Whether there are pooled features: not of a network with its own head.
    """
    plans = _boundary_plans(backbone, inputs, settings, boundary_rows)
    every = list(plans.values())
    if pools:
        pooled_plan, pooled_inverse = _plan(backbone, inputs, settings, boundary=None, rows=np.arange(len(inputs.keys)))
        every.insert(0, pooled_plan)
    stores, reused = _open_or_fill(backbone, inputs, settings, every, observer=observer)
    pooled = (
        stores["pooled"].read(pooled_inverse, padded=False).numpy() if pools else np.zeros((len(inputs.keys), 0), np.float32)
    )
    return Features(
        pooled=pooled,
        pooled_store=stores.get("pooled"),
        boundaries={boundary: stores[plan.name] for boundary, plan in plans.items()},
        reused=reused and bool(every),
        cost=cost_of(stores.values()),
    )


def compute_activations(
    backbone: Backbone,
    inputs: Inputs,
    settings: PassSettings,
    *,
    boundary_rows: Mapping[int, Int[np.ndarray, " n"]],
    observer: Observer,
) -> dict[int, ActivationStore]:
    """Only what enters some blocks: the pass ends where the last of them begins. Arguments as of `compute_features`."""
    plans = _boundary_plans(backbone, inputs, settings, boundary_rows)
    stores, _ = _open_or_fill(backbone, inputs, settings, list(plans.values()), observer=observer)
    return {boundary: stores[plan.name] for boundary, plan in plans.items()}


def _open_or_fill(
    backbone: Backbone, inputs: Inputs, settings: PassSettings, plans: Sequence[StorePlan], *, observer: Observer
) -> tuple[dict[str, ActivationStore], bool]:
    """The store of each plan, by name, and whether all were there; those that are missing are filled in one pass."""
    found = {plan.name: open_store(plan, settings.root) for plan in plans}
    missing = [plan for plan in plans if found[plan.name] is None]
    if missing:
        _fill(backbone, inputs, settings, missing=missing, observer=observer)
        found = {plan.name: open_store(plan, settings.root) for plan in plans}
    return {name: store for name, store in found.items() if store is not None}, not missing


def plan_boundary(
    backbone: Backbone, inputs: Inputs, settings: PassSettings, *, boundary: int, rows: Int[np.ndarray, " n"]
) -> StorePlan:
    """The plan of the store of one boundary, to know its size before anything is computed."""
    return _plan(backbone, inputs, settings, boundary=boundary, rows=rows)[0]


def _boundary_plans(
    backbone: Backbone, inputs: Inputs, settings: PassSettings, boundary_rows: Mapping[int, Int[np.ndarray, " n"]]
) -> dict[int, StorePlan]:
    return {
        boundary: plan_boundary(backbone, inputs, settings, boundary=boundary, rows=rows)
        for boundary, rows in boundary_rows.items()
    }


def _plan(
    backbone: Backbone, inputs: Inputs, settings: PassSettings, *, boundary: int | None, rows: Int[np.ndarray, " n"]
) -> tuple[StorePlan, Int[np.ndarray, " n"]]:
    """The store of the distinct inputs among `rows`, in order of first occurrence; and the place of each row in it."""
    assert backbone.rehearsal is not None
    keys, first, inverse = np.unique(inputs.keys[rows], return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    chosen = rows[first[order]]
    lengths = np.ones(len(chosen), dtype=np.int64)
    shape: tuple[int, ...] = (backbone.width,)
    if boundary is not None:
        shape = [*backbone.rehearsal.shapes, backbone.rehearsal.last_shape][boundary]
        if backbone.rehearsal.padded:
            shape = shape[1:]
            lengths = np.asarray(inputs.lengths[chosen], dtype=np.int64)
    plan = StorePlan(
        name="pooled" if boundary is None else f"block-{boundary}",
        identity={
            **settings.identity,
            "boundary": boundary,
            "inputs": _digest(inputs),
            "precision": settings.precision,
            "pooling": backbone.layout.pooling if boundary is None else "",
            "batches": [TOKENS_PER_BATCH, ROWS_PER_BATCH, IMAGES_PER_BATCH],
            "torch": torch.__version__,
        },
        shape=shape,
        lengths=lengths,
        keys=keys[order],
        dtype="float32" if boundary is None else settings.store_type,
    )
    return plan, place[inverse.reshape(-1)]


def _digest(inputs: Inputs) -> str:
    """A hash of all inputs of a pass: its batches, and so the last bits of its results, depend on all of them."""
    digest = hashlib.sha256(np.ascontiguousarray(inputs.keys).tobytes())
    digest.update(np.ascontiguousarray(inputs.lengths, dtype=np.int64).tobytes())
    return digest.hexdigest()[:20]


def _fill(
    backbone: Backbone, inputs: Inputs, settings: PassSettings, *, missing: Sequence[StorePlan], observer: Observer
) -> None:
    """Run the pass over the distinct inputs that some missing store needs, no further into the network than they need it."""
    watch = Stopwatch()
    runner = frozen_copy(backbone, precision=settings.precision, device=settings.device)
    _, first = np.unique(inputs.keys, return_index=True)
    rows = np.sort(first)
    with ExitStack() as stack:
        writers = {plan.name: StoreWriter(plan, stack.enter_context(new_store(plan, settings.root))) for plan in missing}
        places = {plan.name: {key: row for row, key in enumerate(plan.keys.tolist())} for plan in missing}
        wanted = set().union(*places.values())
        stack.enter_context(torch.inference_mode())
        stack.enter_context(counted(observer, "features", len(rows), "rows"))
        is_media = not (backbone.rehearsal is not None and backbone.rehearsal.padded)
        for batch in batches_by_length(inputs.lengths[rows], is_media=is_media):
            chosen = rows[batch]
            observer.advance(len(chosen))
            # Batches are the same whatever is missing, so that a store is the same to the byte however it came to be filled.
            if wanted.isdisjoint(inputs.keys[chosen].tolist()):
                continue
            arrays = to_device(inputs.batch(chosen), dtype=PRECISIONS[settings.precision], device=settings.device)
            for name, value in _values(runner, arrays, missing).items():
                _write(writers[name], places[name], inputs.keys[chosen], value)
        cost = watch.read()
        for writer in writers.values():
            writer.close(cost)


def _values(runner: Backbone, inputs: ModelInputs, plans: Sequence[StorePlan]) -> dict[str, torch.Tensor]:
    """What a batch gives for each store."""
    boundaries = {plan.name: plan.boundary for plan in plans if plan.boundary is not None}
    entered = [boundary for boundary in boundaries.values() if boundary < runner.num_blocks]
    if len(entered) == len(plans):
        captured = runner.activations(inputs, entered)
        return {name: captured[boundary] for name, boundary in boundaries.items()}
    with runner.capturing(entered) as captured:
        state = runner(inputs)
    captured[runner.num_blocks] = state.hidden
    pooled = {"pooled": runner.pool(state).float()} if len(boundaries) < len(plans) else {}
    return {**pooled, **{name: captured[boundary] for name, boundary in boundaries.items()}}


def _write(writer: StoreWriter, places: Mapping[bytes, int], keys: np.ndarray, values: torch.Tensor) -> None:
    rows = [places.get(key, -1) for key in keys.tolist()]
    wanted = [index for index, row in enumerate(rows) if row >= 0]
    if wanted:
        writer.write(np.array([rows[index] for index in wanted]), values[wanted] if len(wanted) < len(rows) else values)
