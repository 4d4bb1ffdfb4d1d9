"""Dropout: the rate inside a network set to one's own.

Use when: training loss falls far below validation loss. Cost: none, but slower convergence.
Suggested values: 0.1 (what most language models have) to 0.3; 0 for few steps on frozen features.
Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting".
"""

from torch import nn


def set_dropout(network: nn.Module, rate: float) -> int:
    """Give every dropout layer of a network this rate; returns how many there are. Frozen parts stay in evaluation mode.

    Example:
        >>> network = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1))
        >>> set_dropout(network, 0.3), network[1].p
        (1, 0.3)
    """
    layers = [module for module in network.modules() if isinstance(module, nn.modules.dropout._DropoutNd)]
    for layer in layers:
        layer.p = rate
    return len(layers)
