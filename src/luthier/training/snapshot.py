"""Trials that leave no trace: whatever a block moves in a model, or draws from a generator, is put back to the bit."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from luthier.training.generators import generator_states, restore_generators
from luthier.training.model import TunedModel


def copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies of tensors, by name."""
    return {name: value.detach().clone() for name, value in tensors.items()}


@torch.no_grad()
def restore(tensors: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Copy values taken by `copies` back."""
    for name, tensor in tensors.items():
        tensor.copy_(values[name])


@contextmanager
def put_back(model: TunedModel, trainable: Mapping[str, nn.Parameter], *, device: str) -> Iterator[dict[str, Tensor]]:
    """However the block ends: what trains, all buffers and all generators are then what they were, and gradients are gone.

    Yields the weights as they are at the beginning.

    Example:
        >>> from luthier.models.heads import LinearHead
        >>> from luthier.testing.backbones import tiny_bert
        >>> model = TunedModel(tiny_bert(seed=0), LinearHead(16, 2, dropout=0.0, seed=0))
        >>> with model.tuning(2) as trainable, put_back(model, trainable, device="cpu"), torch.no_grad():
        ...     _ = model.head.linear.bias.add_(1)
        >>> model.head.linear.bias.tolist()
        [0.0, 0.0]
    """
    weights, buffers = copies(trainable), copies(dict(model.named_buffers()))
    states, of_numpy, of_python = generator_states(device), np.random.get_state(), random.getstate()
    try:
        yield weights
    finally:
        restore(trainable, weights)
        restore(dict(model.named_buffers()), buffers)
        restore_generators(states)
        np.random.set_state(of_numpy)
        random.setstate(of_python)
        for parameter in trainable.values():
            parameter.grad = None
        model.eval_mode()
