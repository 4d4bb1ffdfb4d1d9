"""Parameter groups and the optimizer."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

NamedParameters = Iterable[tuple[str, nn.Parameter]]


def build_groups(named: NamedParameters, *, learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups at one rate: matrices with weight decay; biases, norms and other vectors without.

    Source: the habit of BERT (Devlin et al. 2019) and of every later fine-tuning recipe.
    """
    parameters = [parameter for _, parameter in named if parameter.requires_grad]
    groups = [
        {"params": [item for item in parameters if item.ndim >= 2], "lr": learning_rate, "weight_decay": weight_decay},
        {"params": [item for item in parameters if item.ndim < 2], "lr": learning_rate, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def build_optimizer(groups: Sequence[dict[str, Any]], *, device: str) -> torch.optim.Optimizer:
    """AdamW in its fused form, which updates all parameters in one pass over memory.

    Source: Loshchilov & Hutter 2019, "Decoupled weight decay regularization".
    """
    is_fused = device.startswith(("cpu", "cuda"))
    optimizer = torch.optim.AdamW(list(groups), betas=(0.9, 0.999), eps=1e-8, fused=is_fused)
    for group in optimizer.param_groups:
        group["peak_learning_rate"] = group["lr"]
    return optimizer


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group to `factor` times its peak rate."""
    for group in optimizer.param_groups:
        group["lr"] = factor * group["peak_learning_rate"]
