"""`--micro-batch auto`: the fastest size that fits, no trace of the search for it, and the same size for whoever goes on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from luthier.core.decision import Decision
from luthier.core.process import StopRequest
from luthier.core.progress import Quiet
from luthier.errors import ResourceError
from luthier.tasks.protocol import LossSum
from luthier.training import micro_batch
from luthier.training.data import TrainingRows
from luthier.training.fit_settings import FitSettings
from luthier.training.footprint import measure_footprint
from luthier.training.loop import Supervision
from luthier.training.methods import build_rung
from luthier.training.micro_batch import choose_micro_batch, median_rows
from luthier.training.model import TunedModel
from luthier.training.settings import TrainingSettings
from luthier.training.settle import Opening
from luthier.training.step import Stepper

Make = Callable[..., TunedModel]


def cross_entropy(outputs: Tensor, targets: Tensor) -> LossSum:
    return LossSum(sum=functional.cross_entropy(outputs, targets, reduction="sum"), weight=float(len(targets)))


def choose(model: TunedModel, part: TrainingRows, settings: FitSettings, *, room: int | None = None) -> Decision[int]:
    with model.tuning(settings.boundary) as trainable:
        footprint = measure_footprint(model, trainable, part, settings, loss=cross_entropy)
        footprint = footprint if room is None else replace(footprint, room=footprint.need(room))
        return choose_micro_batch(model, trainable, part, settings, footprint=footprint, loss=cross_entropy)


class Clock:
    """Time that passes by so many seconds for a pass of a size, so that a test knows which is fastest."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: Callable[[int], float]) -> None:
        self.now, self.sizes = 0.0, []
        accumulate = Stepper.accumulate

        def timed(stepper: Stepper, rows: TrainingRows, places: Any, mixture: Any = None) -> tuple[float, float]:
            self.sizes.append(stepper.micro_batch)
            found = accumulate(stepper, rows, places, mixture)
            self.now += seconds(stepper.micro_batch)
            return found

        monkeypatch.setattr(Stepper, "accumulate", timed)
        monkeypatch.setattr(micro_batch.time, "perf_counter", lambda: self.now)


def test_the_fastest_is_found_and_everything_is_as_before(
    make_model: Make, part: TrainingRows, settings: FitSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, {16: 2.0, 8: 1.0, 4: 3.0, 2: 4.0, 1: 5.0}.__getitem__)
    model = make_model(dropout=0.3)
    before, state = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    found = choose(model, part, settings)
    assert (found.name, found.value, found.override) == ("micro_batch", 8, "--micro-batch 8")
    assert found.evidence["examples_per_second"] == {"16": 8.0, "8": 16.0, "4": 5.333, "2": 4.0}
    assert 1 not in clock.sizes  # two in a row were slower: still smaller ones would be, too
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_what_is_predicted_not_to_fit_is_not_tried(
    make_model: Make, part: TrainingRows, settings: FitSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, lambda size: 1.0)
    found = choose(make_model(), part, settings, room=4)
    assert max(clock.sizes) == 4
    assert found.evidence["not_fitting"] == [16, 8]
    assert "8 and more are predicted not to fit" in found.reason


def test_a_size_that_turns_out_not_to_fit_is_left_out(
    make_model: Make, part: TrainingRows, settings: FitSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The prediction had room for it; the allocator has not."""
    model = make_model()

    def short_above(rows: int) -> Any:
        def refuse(module: Any, given: Any, output: Any) -> None:
            if torch.is_grad_enabled() and len(given[0]) > rows:
                raise torch.OutOfMemoryError("CUDA out of memory.")

        return model.backbone.block(-1).register_forward_hook(refuse)

    with model.tuning(settings.boundary) as trainable:
        footprint = replace(measure_footprint(model, trainable, part, settings, loss=cross_entropy), room=1 << 50)
        handle = short_above(4)
        found = choose_micro_batch(model, trainable, part, settings, footprint=footprint, loss=cross_entropy)
        assert set(found.evidence["examples_per_second"]) <= {"4", "2", "1"}
        handle.remove()
        short_above(0)
        with pytest.raises(ResourceError, match="single example"):
            choose_micro_batch(
                model, trainable, part, replace(settings, recompute="off"), footprint=footprint, loss=cross_entropy
            )


def test_the_batch_is_of_median_length(part: TrainingRows) -> None:
    lengths = np.sort(part.lengths)
    assert sorted(part.lengths[median_rows(part, 8)]) == lengths[20:28].tolist()
    assert len(median_rows(part, 99)) == len(lengths)


def test_what_was_found_is_proven_by_the_longest_rows_and_kept(
    make_model: Make, part: TrainingRows, settings: FitSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that goes on, and a refit, use the size that was found; the decision says how to have it again."""
    clock = Clock(monkeypatch, {16: 2.0, 8: 1.0, 4: 3.0, 2: 4.0}.__getitem__)
    rung, file = build_rung("top-blocks:2", num_blocks=3), tmp_path / "checkpoints" / "settled.json"
    opening = Opening(finds_micro_batch=True, file=file)
    supervision = Supervision(observer=Quiet(), record=lambda event: None, stop=StopRequest())
    found = opening.settle(make_model(), rung, (part, part), settings, loss=cross_entropy, supervision=supervision)
    assert (found.micro_batch, found.batch_size) == (8, 16)
    assert clock.sizes[-1] == 8  # the worst batch, without the self-test, too
    again = Opening(finds_micro_batch=True, file=file)
    again.remember()
    assert again.settled["top-blocks:2"].applied(settings) == found
    (decision,) = again.decisions
    assert decision.evidence["rung"] == "top-blocks:2"
    assert again.settled["top-blocks:2"].predicted_bytes > 0


def test_auto_stands_for_the_whole_batch_until_it_is_known() -> None:
    asked = TrainingSettings(micro_batch="auto", batch_size=24)
    assert asked.first_micro_batch == 24
    assert TrainingSettings(micro_batch=5, batch_size=24).first_micro_batch == 5
    assert TrainingSettings(batch_size=24).first_micro_batch == 24
