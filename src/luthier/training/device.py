"""Where training runs and in which precision; each choice with its reason."""

import os
from contextlib import nullcontext
from typing import Any

import torch

from luthier.core.decision import Decision
from luthier.core.machine import usable_cores
from luthier.core.seat import ONLY_SEAT, Seat
from luthier.errors import SpecError


def choose_device(name: str, *, seat: Seat = ONLY_SEAT) -> Decision[str]:
    """The device asked for, or the best there is; of several processes on one machine each gets its own CUDA device.

    Raises:
        SpecError: the device is not there.
    """
    if seat.count > 1 and torch.cuda.is_available() and name.split(":")[0] in ("auto", "cuda"):
        return _own_cuda_device(seat)
    if name == "auto":
        if torch.cuda.is_available():
            return Decision(name="device", value="cuda", reason=f"{torch.cuda.get_device_name()} is there", override="--device")
        if torch.backends.mps.is_available():
            return Decision(name="device", value="mps", reason="Apple's accelerator is there", override="--device")
        return Decision(name="device", value="cpu", reason="no accelerator was found", override="--device")
    kind = name.split(":")[0]
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(kind, False):
        there = ", ".join(device for device, is_there in available.items() if is_there)
        raise SpecError(f"Device '{name}' is not there; this machine has {there}.", remedy="--device auto")
    return Decision(name="device", value=name, reason="as asked")


def _own_cuda_device(seat: Seat) -> Decision[str]:
    if seat.local_count > torch.cuda.device_count():
        raise SpecError(
            f"{seat.local_count} processes on this machine share {torch.cuda.device_count()} CUDA devices; each needs its own.",
            remedy=f"torchrun --nproc-per-node {torch.cuda.device_count()}",
        )
    return Decision(name="device", value=f"cuda:{seat.local_rank}", reason="each process has a graphics processor of its own")


def choose_precision(name: str, *, device: str) -> Decision[str]:
    """bfloat16 where the hardware computes in it, else float32."""
    if name != "auto":
        return Decision(name="precision", value=name, reason="as asked")
    if device.startswith("cuda"):
        has, what = torch.cuda.is_bf16_supported(including_emulation=False), "the graphics processor"
    elif device == "cpu":
        has, what = cpu_has_bfloat16(), "the processor"
    else:
        has, what = False, device
    value = "bfloat16" if has else "float32"
    reason = f"{what} {'computes in bfloat16' if has else 'has no bfloat16 instructions'}"
    return Decision(name="precision", value=value, reason=reason, override="--precision")


def cpu_has_bfloat16() -> bool:
    """Whether the processor has AVX-512 BF16 or AMX, so that bfloat16 is faster than float32."""
    capabilities: Any = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    if capabilities:
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("arm_bf16"))
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="ignore") as file:
            flags = file.read()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def choose_threads(number: int | None, *, seat: Seat = ONLY_SEAT) -> Decision[int]:
    """The threads that this machine's processes share: those asked for, or one for each core; OMP_NUM_THREADS is for each."""
    shared = f", shared by the {seat.local_count} processes on this machine" if seat.count > 1 else ""
    if number is not None:
        return Decision(name="threads", value=number, reason=f"as asked{shared}")
    # torchrun sets one thread where nobody has said anything: of several processes that number says nothing.
    least = 1 if seat.count > 1 else 0
    if (said := os.environ.get("OMP_NUM_THREADS", "")).isdigit() and int(said) > least:
        value = int(said) * seat.local_count
        return Decision(name="threads", value=value, reason=f"OMP_NUM_THREADS says so{shared}", override="--threads")
    reason = f"the cores this process may use{shared}"
    return Decision(name="threads", value=usable_cores(), reason=reason, override="--threads")


def autocast(device: str, precision: str) -> Any:
    """The context training runs in: bfloat16 matrix products over float32 weights, or plain float32."""
    if precision != "bfloat16":
        return nullcontext()
    return torch.autocast(device_type=device.split(":")[0], dtype=torch.bfloat16)
