"""Blocks that begin to train one after the other: when, what moves meanwhile, and that store and interruption change no bit."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch

from luthier.core.progress import Quiet
from luthier.features.passes import PassSettings, compute_features, to_device
from luthier.testing.backbones import tiny_backbone
from luthier.training.data import TrainingRows
from luthier.training.fit_settings import FitSettings
from luthier.training.methods import build_rung
from luthier.training.methods.rung import Unfreezing
from luthier.training.model import TunedModel

from .interrupting import Event, Training, kill_at, stop_at

Make = Callable[..., TunedModel]
EACH_EPOCH = Unfreezing(boundaries=(2, 1, 0), epochs=(1, 2))
ON_STALL = Unfreezing(boundaries=(2, 1, 0))
SILENT = {"learning_rate": 1e-12, "head_learning_rate": 1e-12}  # nothing gets better


@pytest.fixture
def build(make_model: Make, part: TrainingRows, settings: FitSettings, tmp_path: Path) -> Callable[..., Training]:
    numbers = count()

    def make() -> TunedModel:
        model = make_model()
        model.backbone.rehearse(to_device(part.inputs.batch(np.arange(2)), dtype=torch.float32, device="cpu"))
        return model

    def build(unfreezing: Unfreezing = EACH_EPOCH, **change: object) -> Training:
        asked = replace(settings, **({"boundary": 0, "num_epochs": 4, "unfreezing": unfreezing} | change))
        return Training(tmp_path / f"run-{next(numbers)}", make_model=make, part=part, settings=asked)

    return build


def unfroze(training: Training) -> list[tuple[int, int]]:
    return [(event["step"], event["boundary"]) for event in training.events() if event["event"] == "unfroze"]


def test_one_more_block_after_each_epoch(build: Callable[..., Training]) -> None:
    training = build()
    done = training.go()
    assert unfroze(training) == [(3, 1), (6, 0)]
    assert done.result.unfroze == [(1.0, 1), (2.0, 0)]
    assert [event["step"] for event in training.events() if event["event"] == "evaluation"] == [3, 6, 9, 12]
    assert "step 3: now the last 2 of 3 blocks train (epoch 1)" in training.notes.said


def test_what_is_still_frozen_does_not_move_and_has_no_state(build: Callable[..., Training]) -> None:
    training, model = build(seed=3), build().make_model()
    training.make_model = lambda: model
    names = {boundary: {name for name, _ in model.backbone.parameters_from(boundary)} for boundary in (2, 1, 0)}
    before = {name: value.detach().clone() for name, value in model.backbone.network.named_parameters()}
    moved: dict[int, set[str]] = {}

    def look(event: Event, stop: object) -> None:
        if event["event"] == "step":
            now = model.backbone.network.named_parameters()
            moved[event["step"]] = {name for name, value in now if not torch.equal(before[name], value)}

    training.go(look)
    for step, boundary in ((3, 2), (6, 1), (9, 0)):
        assert moved[step] <= names[boundary]
        assert {name for name in names[boundary] if name.endswith("dense.weight")} <= moved[step]
    assert "embeddings.word_embeddings.weight" in moved[9] - moved[6]


def test_running_out_of_patience_unfreezes_the_next_and_ends_only_the_last(build: Callable[..., Training]) -> None:
    training = build(ON_STALL, patience=2, **SILENT)
    done = training.go()
    # The first evaluation is the best; two without a gain each time.
    assert unfroze(training) == [(9, 1)]
    assert not done.result.stopped_early
    longer = build(ON_STALL, patience=1, num_epochs=6, **SILENT)
    assert longer.go().result.stopped_early
    assert unfroze(longer) == [(6, 1), (9, 0)]
    assert "(validation does not get better)" in longer.notes.said[0]


def test_a_phase_that_stalls_ends_before_its_epoch(build: Callable[..., Training]) -> None:
    slow = Unfreezing(boundaries=(2, 1, 0), epochs=(3, 4))
    training = build(slow, patience=1, **SILENT)
    training.go()
    assert unfroze(training) == [(6, 1), (9, 0)]


def test_as_it_happened_a_stall_is_repeated_without_validation(build: Callable[..., Training]) -> None:
    repeated = ON_STALL.as_it_happened([(2.0, 1), (3.0, 0)])
    assert not repeated.on_stall
    training = build(repeated, patience=1, **SILENT)
    training.go()
    assert unfroze(training)[0] == (6, 1)


@pytest.mark.parametrize("unfreezing", [EACH_EPOCH, ON_STALL], ids=["each epoch", "on stall"])
def test_interrupted_before_at_and_after_an_unfreezing(unfreezing: Unfreezing, build: Callable[..., Training]) -> None:
    change = {"patience": 1, "ema_decay": 0.8} | ({} if unfreezing is EACH_EPOCH else SILENT)
    straight = build(unfreezing, **change).go()
    step = round(straight.result.unfroze[0][0] * 3)
    for ends in ([stop_at(step)], [kill_at(step, "evaluation")], [kill_at(step, "unfroze")], [stop_at(step, "unfroze")]):
        build(unfreezing, **change).interrupted(*ends, kill_at(step + 1), stop_at(step + 2)).assert_equals(straight)


def test_each_phase_reads_the_store_of_its_boundary(
    build: Callable[..., Training], part: TrainingRows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = tiny_backbone("bert", seed=0)
    backbone.rehearse(to_device(part.inputs.batch(np.arange(2)), dtype=torch.float32, device="cpu"))
    settings = PassSettings(identity={}, root=tmp_path / "store", precision="float32", store_type="float32")
    features = compute_features(
        backbone, part.inputs, settings, boundary_rows=dict.fromkeys((1, 2), part.rows), observer=Quiet()
    )
    started: list[int] = []
    stored = build(seed=5)
    original = stored.make_model

    def make() -> TunedModel:
        model = original()
        real = model.backbone.starting_at
        model.backbone.starting_at = lambda boundary: (started.append(boundary), real(boundary))[1]  # type: ignore[method-assign]
        return model

    stored.make_model = make
    stored.parts = lambda boundary: replace(part, store=features.boundaries.get(boundary))
    with_store, without = stored.go(), build(seed=5).go()
    assert started == [2, 1]
    np.testing.assert_allclose(with_store.result.losses, without.result.losses, atol=1e-6)
    assert unfroze(stored) == [(3, 1), (6, 0)]
    again = build(seed=5)
    again.make_model, again.parts = original, stored.parts
    again.interrupted(kill_at(2), stop_at(4)).assert_equals(with_store)


@pytest.mark.parametrize(
    ("method", "epochs", "num_epochs"),
    [("gradual", (1, 2, 3, 4, 5), 6), ("gradual:0.5", (0.5, 1.0, 1.5, 2.0, 2.5), 3), ("gradual:stall", (), 10)],
)
def test_the_method_makes_the_phases(method: str, epochs: tuple[float, ...], num_epochs: float) -> None:
    rung = build_rung(method, num_blocks=6)
    assert rung.unfreezing is not None
    assert rung.boundaries == (5, 4, 3, 2, 1, 0)
    assert rung.unfreezing.epochs == epochs
    assert rung.num_epochs == num_epochs
