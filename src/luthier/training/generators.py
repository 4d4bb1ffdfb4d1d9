"""The state of PyTorch's random generators, taken and put back, so that a step can be repeated to the bit."""

import torch
from torch import Tensor


def generator_states(device: str) -> dict[str, Tensor]:
    """The generators that dropout draws from on a device, as byte tensors.

    Example:
        >>> states = generator_states("cpu")
        >>> first = torch.rand(1)
        >>> restore_generators(states)
        >>> bool(first == torch.rand(1))
        True
    """
    states = {"cpu": torch.get_rng_state()}
    if device.startswith("cuda"):
        states[device] = torch.cuda.get_rng_state(device)
    return states


def restore_generators(states: dict[str, Tensor]) -> None:
    """Put states taken earlier back."""
    for device, state in states.items():
        if device == "cpu":
            torch.set_rng_state(state)
        else:
            torch.cuda.set_rng_state(state, device)
