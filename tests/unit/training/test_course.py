"""A training that stops at any step and goes on is the training that never stopped: weights, losses, scores, journal."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from luthier.core.process import StopRequest
from luthier.core.progress import Quiet
from luthier.errors import DivergedError, Stopped
from luthier.features import passes
from luthier.features.passes import PassSettings, compute_features, to_device
from luthier.models.heads import LinearHead
from luthier.tasks.protocol import LossSum
from luthier.testing.backbones import tiny_backbone
from luthier.testing.inputs import family_inputs
from luthier.training.data import TrainingRows
from luthier.training.fit_settings import FitSettings
from luthier.training.methods.rung import AdapterSettings
from luthier.training.mixing.mixture import MixingSettings
from luthier.training.model import TunedModel
from luthier.training.regularization import Penalties

from .interrupting import NAME, Event, Trained, Training, cross_entropy, kill_at, stop_at

Make = Callable[..., TunedModel]
NUM_STEPS = 6  # two epochs of three, an evaluation after each


@pytest.fixture
def build(make_model: Make, part: TrainingRows, settings: FitSettings, tmp_path: Path) -> Callable[..., Training]:
    """Trainings of one kind, each in a folder of its own."""
    numbers = count()

    def build(**other: object) -> Training:
        given = {"make_model": make_model, "part": part, **other}
        return Training(tmp_path / f"run-{next(numbers)}", settings=replace(settings, **given.pop("change", {})), **given)

    return build


def every_way(build: Callable[..., Training], **kind: object) -> None:
    """Stop after each step, and be killed after each step: always the same end as without."""
    straight = build(**kind).go()
    for step in range(1, straight.result.steps + 1):
        for way in (stop_at, kill_at):
            build(**kind).interrupted(way(step)).assert_equals(straight)


def some_ways(build: Callable[..., Training], **kind: object) -> None:
    """Killed in the first epoch, stopped in the second."""
    straight = build(**kind).go()
    build(**kind).interrupted(kill_at(2), stop_at(straight.result.steps - 1)).assert_equals(straight)


def test_with_the_head_alone(build: Callable[..., Training]) -> None:
    some_ways(build, change={"boundary": 3})


@pytest.mark.parametrize("boundary", [0, 2], ids=["full", "top-blocks"])
def test_at_every_step(boundary: int, build: Callable[..., Training]) -> None:
    every_way(build, change={"boundary": boundary})


@pytest.mark.parametrize(
    "change",
    [
        {"ema_decay": 0.9},
        {"schedule": "plateau:1", "evaluations_per_epoch": 3},
        {"patience": 1, "evaluations_per_epoch": 3, "learning_rate": 1e-9, "head_learning_rate": 1e-9},
        {"micro_batch": 5},
        {"block_decay": 0.5, "penalties": Penalties(l1=0.01, l2=0.01, towards_pretrained=0.1)},
        {"recompute": "on"},
        {"precision": "bfloat16"},
        {"soup": 3, "evaluations_per_epoch": 3},
        {"penalties": Penalties(ewc=1e3)},
        {"mixing": MixingSettings(mixup=0.5), "sampling": "balanced"},
        {"moves": AdapterSettings(kind="lora", rank=2, dropout=0.1)},
        {"moves": AdapterSettings(kind="dora", rank=2), "boundary": 0},
    ],
    ids=[
        "average",
        "plateau",
        "early stopping",
        "micro-batches",
        "penalties",
        "recomputed blocks",
        "bfloat16",
        "soup",
        "importance",
        "mixtures",
        "lora",
        "dora",
    ],
)
def test_with_all_that_a_state_must_hold(change: dict[str, object], build: Callable[..., Training]) -> None:
    some_ways(build, change=change)


def test_after_several_interruptions(build: Callable[..., Training]) -> None:
    straight = build().go()
    ends = [kill_at(1), kill_at(2), stop_at(3), kill_at(3, "evaluation"), stop_at(5), kill_at(6)]
    build().interrupted(*ends).assert_equals(straight)


@pytest.mark.parametrize("way", [stop_at, kill_at])
def test_at_an_evaluation(way: Callable[..., object], build: Callable[..., Training]) -> None:
    straight = build().go()
    for step in (3, 6):
        build().interrupted(way(step, "evaluation")).assert_equals(straight)


def test_in_the_middle_of_an_evaluation(build: Callable[..., Training], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "ROWS_PER_BATCH", 8)
    straight, asked = build().go(), StopRequest()
    training, model = build(), build().make_model()
    batches = count(1)

    def forward(module: object, args: object) -> None:
        if not model.training and not model.backbone.block(2).training and next(batches) == 3:
            asked.signal_name = "SIGINT"

    model.register_forward_pre_hook(forward)
    training.make_model = lambda: model

    def share(event: Event, stop: StopRequest) -> None:
        model.register_forward_hook(lambda *_: setattr(stop, "signal_name", asked.signal_name))

    with pytest.raises(Stopped, match="step 3"):
        training.go(share)
    assert next(batches) == 4
    assert [event["event"] for event in training.events()].count("evaluation") == 0
    training.make_model = build().make_model
    training.go().assert_equals(straight)


def test_a_skipped_step_is_skipped_again(build: Callable[..., Training]) -> None:
    def loss(outputs: Tensor, targets: Tensor) -> LossSum:
        part = cross_entropy(outputs, targets)
        is_bad = int(targets.sum()) % 2 == 0  # some of the batches, whichever process meets them
        return LossSum(sum=part.sum * float("nan") if is_bad else part.sum, weight=part.weight)

    kind = {"loss": loss, "change": {"on_divergence": "skip"}}
    training = build(**kind)
    straight = training.go()
    skipped = [event["step"] for event in training.events() if event["event"] == "skipped_step"]
    assert 0 < len(skipped) < NUM_STEPS
    build(**kind).interrupted(kill_at(skipped[0]), stop_at(skipped[0])).assert_equals(straight)


def stored_part(part: TrainingRows, root: Path, boundary: int) -> TrainingRows:
    backbone = tiny_backbone("bert", seed=0)
    backbone.rehearse(to_device(part.inputs.batch(np.arange(2)), dtype=torch.float32, device="cpu"))
    settings = PassSettings(identity={}, root=root, precision="float32", store_type="float32")
    features = compute_features(backbone, part.inputs, settings, boundary_rows={boundary: part.rows}, observer=Quiet())
    return replace(part, store=features.boundaries[boundary])


def test_with_the_store(build: Callable[..., Training], part: TrainingRows, make_model: Make, tmp_path: Path) -> None:
    stored = stored_part(part, tmp_path / "store", 1)

    def make() -> TunedModel:
        model = make_model()
        model.backbone.rehearse(to_device(part.inputs.batch(np.arange(2)), dtype=torch.float32, device="cpu"))
        return model

    some_ways(build, part=stored, make_model=make)


def test_weights_in_another_order_of_memory(build: Callable[..., Training]) -> None:
    """Convolutions train with channels last; a fused optimizer takes weights and state for equal in memory."""
    inputs = family_inputs("mobilenet_v2", num_rows=12, seed=0)
    rows = TrainingRows(inputs=inputs, rows=np.arange(12), targets=np.arange(12) % 2, is_padded=False)

    def make() -> TunedModel:
        backbone = tiny_backbone("mobilenet_v2", seed=0)
        return TunedModel(backbone, LinearHead(backbone.width, 2, dropout=0.0, seed=0)).to(memory_format=torch.channels_last)

    kind = {"part": rows, "make_model": make, "change": {"boundary": 0, "batch_size": 6, "micro_batch": 6}}
    straight = build(**kind).go()
    build(**kind).interrupted(stop_at(2), kill_at(3)).assert_equals(straight)


def test_the_cost_is_that_of_all_processes_and_the_steps_are_told_once(build: Callable[..., Training]) -> None:
    training = build()
    with pytest.raises(Stopped):
        training.go(stop_at(5))
    saved = training.shelf().checkpoints(NAME).newest()
    assert saved is not None
    done = training.go()
    assert done.result.cost.cpu_seconds > saved.state["cost"]["cpu_seconds"] > 0
    steps = [event["step"] for event in training.events() if event["event"] == "step"]
    assert steps == list(range(1, NUM_STEPS + 1))
    assert "goes on from step 5 of 6" in training.notes.said


@pytest.mark.parametrize("where", ["loss", "gradient", "weight", "data"])
@pytest.mark.parametrize("policy", ["stop", "skip"])
def test_a_nan_never_becomes_the_best(where: str, policy: str, build: Callable[..., Training]) -> None:
    """Wherever it comes from: the step that meets it ends the training or changes nothing; what is kept is finite."""
    model, calls, at = build().make_model(), count(1), 4

    def spoil(module: object, args: tuple[Tensor]) -> tuple[Tensor]:
        return (args[0] * float("nan"),) if model.head.training and where == "data" and next(calls) == at else args

    model.head.register_forward_pre_hook(spoil)

    def loss(outputs: Tensor, targets: Tensor) -> LossSum:
        part, is_now = cross_entropy(outputs, targets), where != "data" and next(calls) == at
        if is_now and where == "weight":
            next(model.head.parameters()).data[0] = float("nan")
        if is_now and where == "gradient":
            outputs.register_hook(lambda gradient: gradient * float("nan"))
        if is_now and where == "loss":
            return LossSum(sum=part.sum * float("nan"), weight=part.weight)
        return part

    training = build(loss=loss, make_model=lambda: model, change={"on_divergence": policy, "num_epochs": 5})
    # A weight that is no number spoils every later step; anything else spoils one.
    if policy == "skip" and where != "weight":
        done = training.go()
        assert [event["step"] for event in training.events() if event["event"] == "skipped_step"] == [at]
        assert all(torch.isfinite(value).all() for value in done.weights.values())
        assert np.isfinite(done.result.outputs).all()
        return
    with pytest.raises(DivergedError, match=r"(after|at) step"):
        training.go()
    if where != "weight" and policy == "stop":
        assert [event["step"] for event in training.events() if event["event"] == "step"] == list(range(1, at))
    saved = training.shelf().checkpoints(NAME).newest()
    if saved is not None:
        assert all(torch.isfinite(value).all() for value in saved.tensors["best"].values())


def test_other_trained(build: Callable[..., Training]) -> None:
    """The comparison above is no tautology: another seed ends elsewhere."""
    with pytest.raises(AssertionError):
        build(change={"seed": 1}).go().assert_equals(build().go())


def test_saving_costs_no_bits(build: Callable[..., Training]) -> None:
    runs: list[Trained] = [build(seconds=seconds).go() for seconds in (0.0, 1e9, None)]
    runs[0].assert_equals(runs[1])
    runs[0].assert_equals(runs[2])
