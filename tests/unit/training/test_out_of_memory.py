"""Memory that is short in the middle of a training, or of an evaluation: the same steps, the same losses, smaller pieces.

Errors are thrown where the allocators throw them: inside forward and backward passes. What can be promised: without dropout,
every loss equals that of the undisturbed training to 1e-5. With dropout the masks depend on how a batch is cut, so losses equal
those of a training that was cut like this from the start.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from luthier.core.process import StopRequest
from luthier.core.progress import Quiet
from luthier.errors import ResourceError
from luthier.features.passes import PassSettings, compute_activations, to_device
from luthier.tasks.protocol import LossSum
from luthier.training.data import TrainingRows
from luthier.training.dropout import set_dropout
from luthier.training.fit_settings import FitSettings
from luthier.training.loop import Objective, Supervision, fit, predict_rows
from luthier.training.model import TunedModel
from luthier.training.worst import longest_rows, try_worst

Make = Callable[..., TunedModel]
ERRORS: list[BaseException] = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"
    ),
    MemoryError("Unable to allocate 3.2 GiB for an array"),
]


def cross_entropy(outputs: Tensor, targets: Tensor) -> LossSum:
    return LossSum(sum=functional.cross_entropy(outputs, targets, reduction="sum"), weight=float(len(targets)))


class Short(torch.autograd.Function):
    """Passes a tensor on; its backward pass may find memory short."""

    @staticmethod
    def forward(context: Any, value: Tensor, fails: Callable[[str, int], None]) -> Tensor:
        context.fails, context.size = fails, len(value)
        return value.view_as(value)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        context.fails("backward", context.size)
        return gradient, None


@contextmanager
def short_memory(model: TunedModel, fails: Callable[[str, int], None], *, scoring: bool = False) -> Iterator[None]:
    """Inside the block, `fails(where, rows)` is called in each training pass (or each pass) through the last block."""

    def forward(module: Any, given: Any, output: Any) -> Any:
        hidden = output if isinstance(output, Tensor) else output[0]
        if scoring or torch.is_grad_enabled():
            fails("forward", len(hidden))
        passed = Short.apply(hidden, fails) if hidden.requires_grad else hidden
        return passed if isinstance(output, Tensor) else (passed, *output[1:])

    handle = model.backbone.block(-1).register_forward_hook(forward)
    try:
        yield
    finally:
        handle.remove()


def above(limit: int, error: BaseException, where: str) -> Callable[[str, int], None]:
    """Memory for `limit` rows at most."""

    def fails(place: str, rows: int) -> None:
        if place == where and rows > limit:
            raise error

    return fails


def at_random(error: BaseException, *, seed: int, chance: float) -> Callable[[str, int], None]:
    """Memory that is short now and then, for more than two rows."""
    generator = np.random.default_rng(seed)

    def fails(place: str, rows: int) -> None:
        if rows > 2 and generator.random() < chance:
            raise error

    return fails


def plain_model(make_model: Make) -> TunedModel:
    model = make_model(dropout=0.0)
    set_dropout(model.backbone, 0.0)
    return model


def steps_of(events: list[Any]) -> list[Any]:
    return [event for event in events if event["event"] == "step"]


@pytest.fixture
def stored(part: TrainingRows, make_model: Make, tmp_path: Path) -> TrainingRows:
    """The part, with what enters block 1 from a store."""
    backbone = make_model().backbone
    backbone.rehearse(to_device(part.inputs.batch(np.arange(2)), dtype=torch.float32, device="cpu"))
    pass_settings = PassSettings(identity={"test": 1}, root=tmp_path, precision="float32", store_type="float32")
    rows = {1: part.rows}
    stores = compute_activations(backbone, part.inputs, pass_settings, boundary_rows=rows, observer=Quiet())
    return replace(part, store=stores[1])


def train(model: TunedModel, rows: TrainingRows, settings: FitSettings) -> list[Any]:
    events: list[Any] = []
    if rows.store is not None:
        model.backbone.rehearse(to_device(rows.inputs.batch(np.arange(2)), dtype=torch.float32, device="cpu"))
    objective = Objective(loss=cross_entropy, score=lambda outputs: {"accuracy": 0.5}, primary="accuracy")
    supervision = Supervision(observer=Quiet(), record=events.append, stop=StopRequest())
    fit(model, lambda boundary: (rows, rows), settings, objective=objective, supervision=supervision)
    return events


def compare(disturbed: list[Any], reference: list[Any]) -> None:
    found, expected = steps_of(disturbed), steps_of(reference)
    assert [event["step"] for event in found] == [event["step"] for event in expected] == list(range(1, 10))
    assert [event["learning_rate"] for event in found] == [event["learning_rate"] for event in expected]
    assert [event["loss"] for event in found] == pytest.approx([event["loss"] for event in expected], abs=1e-5)


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize("error", ERRORS, ids=["cuda", "cpu", "numpy"])
def test_every_loss_equals_that_of_the_undisturbed_training(
    error: BaseException, where: str, make_model: Make, part: TrainingRows, settings: FitSettings
) -> None:
    settings, model = replace(settings, num_epochs=3), plain_model(make_model)
    with short_memory(model, above(4, error, where)):
        disturbed = train(model, part, settings)
    compare(disturbed, train(plain_model(make_model), part, settings))
    problems = [event["problem"] for event in disturbed if event["event"] == "memory"]
    assert "micro-batches of 4; the batch stays 16" in problems[-1]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_may_be_short_at_any_moment_with_the_store_and_without(
    seed: int, make_model: Make, part: TrainingRows, stored: TrainingRows, settings: FitSettings
) -> None:
    settings = replace(settings, num_epochs=3)
    reference = train(plain_model(make_model), part, settings)
    for rows in (part, stored):
        model = plain_model(make_model)
        with short_memory(model, at_random(ERRORS[seed], seed=seed, chance=0.15)):
            disturbed = train(model, rows, settings)
        assert [event for event in disturbed if event["event"] == "memory"]
        compare(disturbed, reference)


def test_with_dropout_it_is_the_training_in_smaller_pieces_to_the_bit(
    make_model: Make, part: TrainingRows, settings: FitSettings
) -> None:
    """The step is done again from the same random state, so masks are those of a training that began in pieces of this size."""
    settings, model = replace(settings, num_epochs=3), make_model(dropout=0.2)
    with short_memory(model, above(8, ERRORS[0], "backward")):
        disturbed = train(model, part, settings)
    reference = train(make_model(dropout=0.2), part, replace(settings, micro_batch=8))
    assert [event["loss"] for event in steps_of(disturbed)] == [event["loss"] for event in steps_of(reference)]


def test_an_evaluation_is_cut_where_it_does_not_fit(make_model: Make, part: TrainingRows, settings: FitSettings) -> None:
    model = make_model()
    expected = predict_rows(model, part, settings)
    with short_memory(model, above(3, ERRORS[1], "forward"), scoring=True):
        found = predict_rows(model, part, settings)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_row_that_does_not_fit_ends_the_run_with_a_remedy(
    make_model: Make, part: TrainingRows, settings: FitSettings
) -> None:
    model = make_model()
    with short_memory(model, above(0, ERRORS[1], "forward"), scoring=True):
        with pytest.raises(ResourceError) as training:
            train(model, part, settings)
        with pytest.raises(ResourceError) as scoring:
            predict_rows(model, part, settings)
    assert "single example" in training.value.problem
    assert "score one row" in scoring.value.problem
    assert "--max-length" in training.value.remedy


def test_other_errors_are_not_taken_for_short_memory(make_model: Make, part: TrainingRows, settings: FitSettings) -> None:
    model = make_model()
    with (
        short_memory(model, above(8, RuntimeError("shapes do not fit"), "forward")),
        pytest.raises(RuntimeError, match="shapes"),
    ):
        train(model, part, settings)


def test_the_longest_rows_are_tried_before_the_first_step(make_model: Make, part: TrainingRows, settings: FitSettings) -> None:
    """Memory for four rows: the training begins in pieces of four, and everything is as it was."""
    model, events, sizes = make_model(), [], []
    before = {name: value.clone() for name, value in model.state_dict().items()}

    def fails(place: str, rows: int) -> None:
        sizes.append(rows)
        if rows > 4:
            raise ERRORS[1]

    supervision = Supervision(observer=Quiet(), record=events.append, stop=StopRequest())
    with model.tuning(1) as trainable, short_memory(model, fails):
        found = try_worst(model, trainable, (part, part), settings, loss=cross_entropy, supervision=supervision)
    assert (found.micro_batch, found.batch_size) == (4, 16)
    assert [event["step"] for event in events] == [0, 0]
    assert sizes[0] == 16
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    longest = part.lengths[longest_rows(part, 16)]
    assert longest.min() >= np.sort(part.lengths)[-16]


def test_what_fits_changes_nothing(make_model: Make, part: TrainingRows, settings: FitSettings) -> None:
    model = make_model()
    supervision = Supervision(observer=Quiet(), record=lambda event: None, stop=StopRequest())
    with model.tuning(1) as trainable:
        assert try_worst(model, trainable, (part, part), settings, loss=cross_entropy, supervision=supervision) == settings


LIMITED = """
import resource, sys
import numpy as np, torch
torch.set_num_threads(1)
from dataclasses import replace
from luthier.core.process import StopRequest, resident_memory_bytes
from luthier.core.progress import Quiet
from luthier.models.heads import LinearHead
from luthier.tasks.inputs import TokenInputs
from luthier.tasks.protocol import LossSum
from luthier.testing.backbones import tiny_backbone
from luthier.testing.fitting import SHORT_FIT
from luthier.training.data import TrainingRows
from luthier.training.loop import Objective, Supervision, fit
from luthier.training.model import TunedModel
from luthier.training.worst import longest_rows, try_worst

def cross_entropy(outputs, targets):
    return LossSum(sum=torch.nn.functional.cross_entropy(outputs, targets, reduction="sum"), weight=float(len(targets)))

lengths = np.full(512, 38)
inputs = TokenInputs.build(np.random.default_rng(0).integers(3, 99, int(lengths.sum())), np.r_[0, lengths.cumsum()], pad_id=0)
rows = TrainingRows(inputs=inputs, rows=np.arange(512), targets=np.arange(512) % 2)
backbone = tiny_backbone("bert", seed=0)
model = TunedModel(backbone, LinearHead(backbone.width, 2, dropout=0.0, seed=0))
settings = replace(SHORT_FIT, boundary=0, num_epochs=1, batch_size=512, micro_batch=512)
few = replace(rows, rows=np.arange(8), targets=np.arange(8) % 2)
events = []
objective = Objective(loss=cross_entropy, score=lambda outputs: {"accuracy": 0.5}, primary="accuracy")
supervision = Supervision(observer=Quiet(), record=events.append, stop=StopRequest())
small = replace(settings, batch_size=8, micro_batch=8)
fit(model, lambda boundary: (few, few), small, objective=objective, supervision=supervision)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (40 << 20), used + (40 << 20)))
events.clear()
fit(model, lambda boundary: (rows, few), settings, objective=objective, supervision=supervision)
print([event["problem"] for event in events if event["event"] == "memory"])
print(sum(event["event"] == "step" for event in events))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space are kept on Linux")
def test_a_real_limit_of_memory_is_survived() -> None:
    """40 MiB for a batch that needs some hundred: no error is thrown by hand."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    problems, steps = done.stdout.splitlines()[-2:]
    assert "Memory was short" in problems
    assert steps == "1"
