"""The ladder's rules, on real rungs of a tiny model whose validation answers are scripted."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from luthier.core.process import NO_COST, StopRequest
from luthier.core.progress import Quiet
from luthier.evaluation.predictions import classification_predictions
from luthier.evaluation.records import Predictions
from luthier.features.probe import fit_probe
from luthier.models.heads import LinearHead
from luthier.tasks.protocol import LossSum
from luthier.training.data import TrainingRows
from luthier.training.fit_settings import FitSettings
from luthier.training.ladder import RungResult, Workbench, climb, first_result, rung_settings, use_probe
from luthier.training.loop import predict_rows
from luthier.training.methods import build_rung
from luthier.training.model import TunedModel

Make = Callable[..., TunedModel]
NUM_EXAMPLES = 200


def answers(right: int, *, swapped: int = 0) -> Predictions:
    """Predictions that have the first examples right; of these `swapped` are wrong, and as many of the others right."""
    is_right = np.arange(NUM_EXAMPLES) < right
    is_right[:swapped] = False
    is_right[right : right + swapped] = True
    probs = np.where(is_right[:, None], [0.9, 0.1], [0.1, 0.9])
    ids = [f"toy.csv:{row}" for row in range(NUM_EXAMPLES)]
    return classification_predictions(example_ids=ids, targets=["a"] * NUM_EXAMPLES, probs=probs, labels=["a", "b"])


@dataclass
class Script:
    """Gives each rung the answers that a test has written for it; notes what happens."""

    said: Mapping[str, Predictions]
    model: TunedModel
    rung: str = ""
    tried: list[str] = field(default_factory=list)
    starts: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    events: list[Mapping[str, Any]] = field(default_factory=list)

    def record(self, event: Mapping[str, Any]) -> None:
        self.events.append(event)
        if event["event"] == "rung_started":
            self.rung = str(event["rung"])
            self.tried.append(self.rung)
            self.starts[self.rung] = state(self.model)

    def predict(self, outputs: np.ndarray) -> Predictions:
        return self.said[self.rung]


START = {"head.linear.weight": torch.full((2, 16), 0.25), "head.linear.bias": torch.tensor([0.5, -0.5])}


def state(model: TunedModel) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def cross_entropy(outputs: Tensor, targets: Tensor) -> LossSum:
    return LossSum(sum=functional.cross_entropy(outputs, targets, reduction="sum"), weight=float(len(targets)))


@dataclass
class Climbed:
    script: Script
    results: list[RungResult]
    model: TunedModel

    def result(self, name: str) -> RungResult:
        return next(result for result in self.results if result.rung.name == name)


Climb = Callable[..., Climbed]


@pytest.fixture
def go(make_model: Make, part: TrainingRows, settings: FitSettings) -> Climb:
    """Climb rungs whose validation answers are given by name; the probe's come first."""

    def go(
        said: Mapping[str, Predictions], *, always_keep: bool = False, budget: float | None = None, slow: float = 0.0
    ) -> Climbed:
        model = make_model()
        script = Script(said, model)

        def loss(outputs: Tensor, targets: Tensor) -> LossSum:
            time.sleep(slow)
            return cross_entropy(outputs, targets)

        names: Sequence[str] = list(said)
        first = first_result(model, build_rung("probe", num_blocks=3), said["probe"], measure="accuracy", cost=NO_COST)
        bench = Workbench(
            parts={0: (part, part)},
            predict=script.predict,
            measure="accuracy",
            measures=("accuracy", "log_loss"),
            settings=settings,
            start=START,
            rates={"num_epochs": 1.0, "learning_rate": None, "head_learning_rate": None},
            loss=loss,
            observer=Quiet(),
            record=script.record,
            stop=StopRequest(),
            budget_seconds=budget,
        )
        rungs = [build_rung(name, num_blocks=3) for name in names if name != "probe"]
        return Climbed(script, climb(model, rungs, first, bench, always_keep=always_keep), model)

    return go


def kept(climbed: Climbed) -> list[str]:
    return [result.rung.name for result in climbed.results if result.kept]


def test_rungs_are_tried_in_order_and_each_gain_is_kept(go: Climb) -> None:
    climbed = go({"probe": answers(100), "top-blocks:1": answers(120), "full": answers(150)})
    assert climbed.script.tried == ["top-blocks:1", "full"]
    assert kept(climbed) == ["probe", "top-blocks:1", "full"]
    assert [result.score for result in climbed.results] == [0.5, 0.6, 0.75]


def test_a_gain_within_one_standard_error_is_not_kept(go: Climb) -> None:
    """Two more right of 200, among forty that differ: 1 % with a standard error of about 3 %."""
    climbed = go({"probe": answers(100), "full": answers(102, swapped=20)})
    assert kept(climbed) == ["probe"]
    assert "not kept: within one standard error" in climbed.result("full").reason
    finished = next(event for event in climbed.script.events if event["event"] == "rung_finished")
    differing = 42 / 200
    assert finished["standard_error"] == pytest.approx(np.sqrt((differing - 0.01**2) / 200), rel=0.15)
    assert finished["difference"] == pytest.approx(0.01)


def test_a_gain_of_more_than_one_standard_error_is_kept(go: Climb) -> None:
    """Four more right of 200, and none lost: 2 % with a standard error of 1 %."""
    climbed = go({"probe": answers(100), "full": answers(104)})
    assert kept(climbed) == ["probe", "full"]
    assert "more than one standard error" in climbed.result("full").reason


def test_no_gain_is_called_no_gain(go: Climb) -> None:
    assert "no gain over probe" in go({"probe": answers(100), "full": answers(100)}).result("full").reason


def test_the_climb_ends_after_two_rungs_without_a_gain(go: Climb) -> None:
    climbed = go({"probe": answers(150), "top-blocks:1": answers(140), "top-blocks:2": answers(150), "full": answers(200)})
    assert climbed.script.tried == ["top-blocks:1", "top-blocks:2"]
    assert kept(climbed) == ["probe"]


def test_a_gain_between_starts_the_count_again(go: Climb) -> None:
    said = {"probe": answers(100), "top-blocks:1": answers(90), "top-blocks:2": answers(150), "full": answers(140)}
    assert go(said).script.tried == ["top-blocks:1", "top-blocks:2", "full"]


def test_one_rung_that_moves_weights_is_tried_however_good_the_probe(go: Climb) -> None:
    assert go({"probe": answers(200), "full": answers(0)}, budget=1e-9).script.tried == ["full"]


def test_a_spent_budget_begins_no_further_rung(go: Climb) -> None:
    said = {"probe": answers(100), "top-blocks:1": answers(150), "full": answers(200)}
    assert go(said, budget=0.01, slow=0.01).script.tried == ["top-blocks:1"]
    assert go(said, budget=600).script.tried == ["top-blocks:1", "full"]


def test_each_rung_starts_from_the_pretrained_weights_under_the_head_to_start_from(go: Climb) -> None:
    climbed = go({"probe": answers(100), "top-blocks:1": answers(150), "full": answers(160)})
    first, second = climbed.script.starts["top-blocks:1"], climbed.script.starts["full"]
    assert all(torch.equal(second[name], value) for name, value in first.items())
    learnt = climbed.result("top-blocks:1").weights
    assert any(not torch.equal(first[name], value) for name, value in learnt.items())
    assert all(torch.equal(first[name], value) for name, value in START.items())


def test_a_rung_that_is_not_kept_leaves_no_trace(go: Climb) -> None:
    climbed = go({"probe": answers(150), "top-blocks:1": answers(100), "full": answers(90)})
    before = climbed.script.starts["top-blocks:1"]
    assert all(torch.equal(value, before[name]) for name, value in climbed.script.starts["full"].items())
    end, probe = state(climbed.model), climbed.result("probe").weights
    assert all(torch.equal(value, probe[name] if name in probe else before[name]) for name, value in end.items())


def test_a_rejected_rung_after_a_kept_one_gives_the_kept_one_back(go: Climb) -> None:
    climbed = go({"probe": answers(100), "top-blocks:1": answers(150), "full": answers(90)})
    final, learnt = state(climbed.model), climbed.result("top-blocks:1").weights
    assert all(torch.equal(final[name], value) for name, value in learnt.items())
    start = climbed.script.starts["top-blocks:1"]
    assert all(torch.equal(final[name], value) for name, value in start.items() if name not in learnt)
    assert not torch.equal(final["head.linear.weight"], climbed.script.starts["top-blocks:1"]["head.linear.weight"])


def test_a_method_asked_for_by_name_is_kept_whatever_validation_says(go: Climb) -> None:
    climbed = go({"probe": answers(150), "full": answers(20)}, always_keep=True)
    assert kept(climbed) == ["probe", "full"]
    assert "asked for" in climbed.result("full").reason


def test_what_the_user_fixed_wins_over_the_methods_defaults(part: TrainingRows, settings: FitSettings) -> None:
    rung = build_rung("top-blocks:2", num_blocks=3)
    bench = Workbench(
        parts={0: (part, part)},
        predict=lambda outputs: answers(1),
        measure="accuracy",
        measures=("accuracy", "log_loss"),
        settings=settings,
        start=START,
        rates={"num_epochs": None, "learning_rate": None, "head_learning_rate": None},
        loss=cross_entropy,
        observer=Quiet(),
        record=lambda event: None,
        stop=StopRequest(),
    )
    defaults = rung_settings(rung, bench)
    assert defaults.learning_rate == rung.learning_rate
    assert defaults.head_learning_rate == rung.head_learning_rate
    assert defaults.boundary == 1
    fixed = replace(bench, rates={"num_epochs": 0.5, "learning_rate": 1e-6, "head_learning_rate": 1e-5})
    chosen = rung_settings(rung, fixed)
    assert (chosen.num_epochs, chosen.learning_rate, chosen.head_learning_rate) == (0.5, 1e-6, 1e-5)


def test_the_probe_becomes_the_head_with_the_same_logits(make_model: Make, part: TrainingRows, settings: FitSettings) -> None:
    model = make_model()
    with torch.no_grad():
        batch = part.batch(np.arange(48))
        pooled = model.backbone.pool(model.backbone(batch.inputs)).numpy()
    for normalize in (False, True):
        probe = fit_probe((pooled, part.targets), (pooled, part.targets), num_outputs=2, normalize=normalize)
        use_probe(model, probe)
        assert isinstance(model.head, LinearHead)
        np.testing.assert_allclose(predict_rows(model, part, settings), probe.logits(pooled), rtol=1e-3, atol=1e-3)
