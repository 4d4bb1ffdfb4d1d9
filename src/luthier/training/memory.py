"""Memory of the device that trains: how much is held and free, how a shortage shows, and how memory is got back."""

import gc

import torch

from luthier.core.process import available_memory_bytes, peak_memory_bytes, resident_memory_bytes, reusable_memory_bytes

# What PyTorch's allocators for the CPU, NumPy and oneDNN (the last) say; the one for CUDA raises a class of its own.
SAYINGS = (
    "can't allocate memory",
    "not enough memory",
    "Cannot allocate memory",
    "Unable to allocate",
    "could not create a primitive",
)


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


def held_bytes(device: str) -> int:
    """What this process holds on the device now; on the CPU without what it has freed and not handed back."""
    if device.startswith("cuda"):
        return torch.cuda.memory_allocated(device)
    return max(0, resident_memory_bytes() - reusable_memory_bytes())


def peak_bytes(device: str) -> int:
    """The most that it has held there so far."""
    return torch.cuda.max_memory_allocated(device) if device.startswith("cuda") else peak_memory_bytes()


def room_bytes(device: str, *, seats: int = 1) -> int:
    """What is free for it there, with what it has freed itself.

    Args:
        seats: Processes that share this machine's memory; each has a graphics card of its own.
    """
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return available_memory_bytes() // seats + reusable_memory_bytes()


def wait_for(device: str) -> None:
    """Wait until a graphics card has done what it was told, so that a clock tells the truth."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
