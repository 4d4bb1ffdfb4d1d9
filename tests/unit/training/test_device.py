"""Device, precision and threads, each with its reason."""

import pytest
import torch

from luthier.core.machine import usable_cores
from luthier.errors import SpecError
from luthier.training.device import autocast, choose_device, choose_precision, choose_threads


def test_a_device_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(SpecError, match=r"Device 'tpu' is not there; this machine has .*cpu") as caught:
        choose_device("tpu")
    assert caught.value.remedy == "--device auto"


def test_what_is_asked_for_is_taken() -> None:
    assert choose_device("cpu").value == "cpu"
    assert choose_precision("float32", device="cuda").value == "float32"
    assert choose_threads(3).value == 3
    assert choose_threads(3).reason == "as asked"


def test_auto_gives_a_reason_and_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for decision in (choose_device("auto"), choose_precision("auto", device="cpu"), choose_threads(None)):
        assert decision.reason
        assert decision.override.startswith("--")
    assert choose_threads(None).value == usable_cores()


def test_a_number_of_threads_in_the_environment_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert choose_threads(None).value == 1
    assert "OMP_NUM_THREADS" in choose_threads(None).reason


def test_an_unknown_accelerator_computes_in_float32() -> None:
    assert choose_precision("auto", device="mps").value == "float32"


def test_mixed_precision_is_on_inside_its_context_only() -> None:
    product = torch.ones(2, 2)
    with autocast("cpu", "bfloat16"):
        assert (product @ product).dtype == torch.bfloat16
    with autocast("cpu", "float32"):
        assert (product @ product).dtype == torch.float32
