"""Memory that is short: how that shows, and how it is got back."""

import gc

import torch

# What PyTorch's allocators for the CPU and NumPy say; the one for CUDA raises a class of its own.
SAYINGS = ("can't allocate memory", "not enough memory", "Cannot allocate memory", "Unable to allocate")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory was short, on whatever device.

    Example:
        >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"))
        True
        >>> is_out_of_memory(RuntimeError("shapes do not fit"))
        False
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(saying in str(error) for saying in SAYINGS)


def free_memory(device: str) -> None:
    """Let go of what a failed step has left behind."""
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
