"""The state of PyTorch's random generators, taken and put back, so that a step can be repeated to the bit."""

from collections.abc import Mapping

import torch
from torch import Tensor

from luthier.training.processes import Processes


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


def gathered_states(device: str, processes: Processes) -> dict[str, Tensor]:
    """The generators of all processes, as one state keeps them: the main process's under their own names."""
    states = {}
    for kind, state in generator_states(device).items():
        for rank, value in enumerate(processes.gather(state)):
            states[_name_of(kind, rank)] = value
    return states


def own_states(states: Mapping[str, Tensor], device: str, processes: Processes) -> dict[str, Tensor]:
    """What of gathered states belongs to this process; without those of a process that was not there, it keeps its own."""
    own = generator_states(device)
    return {kind: states.get(_name_of(kind, processes.rank), state) for kind, state in own.items()}


def _name_of(device: str, rank: int) -> str:
    kind = device.partition(":")[0]
    return f"{kind}/{rank}" if rank else kind
