"""Passes: batches by length, and arrays that take no memory."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from luthier.features.passes import (
    IMAGES_PER_BATCH,
    ROWS_PER_BATCH,
    TOKENS_PER_BATCH,
    batches_by_length,
    frozen_copy,
    to_device,
)
from luthier.testing.backbones import example_inputs, tiny_backbone


@given(lengths=st.lists(st.integers(1, 2000), max_size=300), is_media=st.booleans())
def test_every_row_is_in_one_batch_and_no_batch_is_too_large(lengths: list[int], is_media: bool) -> None:
    sizes = np.array(lengths, dtype=np.int64)
    batches = list(batches_by_length(sizes, is_media=is_media))
    assert sorted(row for batch in batches for row in batch.tolist()) == list(range(len(lengths)))
    for batch in batches:
        if is_media:
            assert len(batch) <= IMAGES_PER_BATCH
        else:
            assert len(batch) <= ROWS_PER_BATCH
            assert len(batch) == 1 or len(batch) * sizes[batch].max() <= TOKENS_PER_BATCH


@given(lengths=st.lists(st.integers(1, 600), min_size=1, max_size=100))
def test_batches_run_from_long_to_short(lengths: list[int]) -> None:
    order = np.concatenate(list(batches_by_length(np.array(lengths))))
    assert (np.diff(np.array(lengths)[order]) <= 0).all()


def test_zeros_without_memory_stay_without() -> None:
    light = np.broadcast_to(np.zeros((), dtype=np.float32), (64, 3, 224, 224))
    tensor = to_device({"pixel_values": light}, dtype=torch.bfloat16, device="cpu")["pixel_values"]
    assert tensor.shape == (64, 3, 224, 224)
    assert tensor.dtype == torch.bfloat16
    assert tensor.untyped_storage().nbytes() == 2


def test_numbers_take_the_networks_precision_and_ids_keep_theirs() -> None:
    arrays = {"input_ids": np.ones((2, 3), dtype=np.int64), "input_values": np.ones((2, 3), dtype=np.float32)}
    tensors = to_device(arrays, dtype=torch.bfloat16, device="cpu")
    assert tensors["input_ids"].dtype == torch.int64
    assert tensors["input_values"].dtype == torch.bfloat16


def test_the_copy_for_passes_leaves_the_backbone_alone() -> None:
    backbone = tiny_backbone("resnet", seed=0)
    backbone.rehearse(example_inputs("resnet", seed=0))
    copy = frozen_copy(backbone, precision="bfloat16", device="cpu")
    assert {parameter.dtype for parameter in copy.parameters()} == {torch.bfloat16}
    assert not any(parameter.requires_grad for parameter in copy.parameters())
    assert {parameter.dtype for parameter in backbone.parameters()} == {torch.float32}
    assert all(parameter.requires_grad for parameter in backbone.parameters())
