"""The loop: what it keeps, when it ends, what it writes down, what it refuses."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from luthier.core.process import StopRequest
from luthier.errors import DivergedError, Stopped
from luthier.tasks.protocol import LossSum
from luthier.training.data import TrainingRows
from luthier.training.fit_settings import FitSettings
from luthier.training.ladder import zero_weights
from luthier.training.loop import FitResult, predict_rows
from luthier.training.model import TunedModel
from luthier.training.regularization import Penalties
from luthier.training.schedules import build_schedule, learning_rate_factor
from luthier.training.step import _groups

Make = Callable[..., TunedModel]
Run = Callable[..., FitResult]
Event = Mapping[str, Any]


def weights(model: TunedModel) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def same(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_it_learns(make_model: Make, run: Run, settings: FitSettings) -> None:
    done = run(make_model(dropout=0.0), replace(settings, boundary=0, num_epochs=30, learning_rate=5e-3))
    assert done.scores["accuracy"] >= 0.85
    assert np.mean(done.losses[-3:]) < 0.8 * np.mean(done.losses[:3])


def test_the_weights_of_the_best_step_are_kept(make_model: Make, run: Run, settings: FitSettings, part: TrainingRows) -> None:
    model, seen = make_model(), []
    scores = iter([0.1, 0.9, 0.2, 0.3])

    def score(outputs: np.ndarray) -> Mapping[str, float]:
        seen.append(weights(model))
        return {"accuracy": next(scores)}

    done = run(model, replace(settings, num_epochs=4), score=score)
    assert len(seen) == 4
    assert done.best_step == 6
    assert done.steps == 12
    assert same(weights(model), seen[1])
    assert not same(weights(model), seen[3])
    assert np.array_equal(done.outputs, predict_rows(model, part, settings))


def test_the_first_of_equal_steps_is_the_best(make_model: Make, run: Run, settings: FitSettings) -> None:
    done = run(make_model(), replace(settings, num_epochs=3), score=lambda outputs: {"accuracy": 0.5})
    assert done.best_step == 3


def test_it_stops_when_validation_does_not_get_better(make_model: Make, run: Run, settings: FitSettings) -> None:
    scores = iter([0.5, 0.6, 0.6, 0.55, 0.99])
    done = run(make_model(), replace(settings, num_epochs=9, patience=2), score=lambda outputs: {"accuracy": next(scores)})
    assert done.steps == 12  # four evaluations, one for each epoch of three steps
    assert done.stopped_early
    assert done.best_step == 6
    assert done.epochs == pytest.approx(4)


def test_micro_batches_give_the_loss_and_the_gradients_of_the_whole_batch(
    make_model: Make, run: Run, settings: FitSettings
) -> None:
    """Sixteen rows in pieces of five, five, five and one; without dropout, whose draws depend on the pieces."""
    events: dict[int, list[Event]] = {}
    models = {}
    for micro_batch in (16, 5):
        models[micro_batch], events[micro_batch] = make_model("llama", dropout=0.0), []
        whole = replace(settings, micro_batch=micro_batch, num_epochs=1)
        run(models[micro_batch], whole, record=events[micro_batch].append)
    for key in ("loss", "gradient_norm"):
        pieces, whole_batch = ([event[key] for event in events[size] if key in event] for size in (5, 16))
        assert pieces == pytest.approx(whole_batch, abs=1e-6)
    gradients = [
        {name: item.grad for name, item in models[size].named_parameters() if item.grad is not None} for size in (5, 16)
    ]
    assert gradients[0].keys() == gradients[1].keys() != set()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_the_journal_holds_the_learning_rate_of_the_schedule(
    schedule: str, make_model: Make, run: Run, settings: FitSettings
) -> None:
    events: list[Event] = []
    run(make_model(), replace(settings, schedule=schedule, num_epochs=3), record=events.append)
    steps = [event for event in events if event["event"] == "step"]
    expected = [
        2e-3 * learning_rate_factor(step, num_steps=9, warmup_steps=2, schedule=build_schedule(schedule)) for step in range(9)
    ]
    assert [event["learning_rate"] for event in steps] == pytest.approx(expected)
    assert [event["step"] for event in steps] == list(range(1, 10))
    assert steps[2]["epoch"] == 1


def test_a_pull_towards_the_pretrained_weights_holds_the_backbone_and_not_the_head(
    make_model: Make, run: Run, settings: FitSettings
) -> None:
    moved = {}
    for strength in (0.0, 100.0):
        model = make_model()
        before = {name: item.detach().clone() for name, item in model.named_parameters()}
        run(model, replace(settings, penalties=Penalties(towards_pretrained=strength)))
        moved[strength] = {
            part: sum(float((item - before[name]).norm()) for name, item in model.named_parameters() if name.startswith(part))
            for part in ("backbone.", "head.")
        }
    assert moved[100.0]["backbone."] < 0.5 * moved[0.0]["backbone."]
    assert moved[100.0]["head."] > 0.5 * moved[0.0]["head."]


def test_l1_makes_weights_of_the_head_exactly_zero(make_model: Make, run: Run, settings: FitSettings) -> None:
    shares = []
    for strength in (0.0, 0.3, 1e3):
        model = make_model()
        run(model, replace(settings, penalties=Penalties(l1=strength)))
        zeros, number = zero_weights(model.head)
        shares.append(zeros / number)
    assert shares[0] == 0
    assert 0 < shares[1] < 1
    assert shares[2] == 1


def test_lower_blocks_learn_at_smaller_rates(make_model: Make, settings: FitSettings) -> None:
    model = make_model()
    with model.tuning(0) as trainable:
        groups = _groups(model, trainable, replace(settings, boundary=0, block_decay=0.5))
        names = {id(item): name for name, item in trainable.items()}
        rates = {names[id(item)]: group["lr"] for group in groups for item in group["params"]}
        blocks = model.backbone.layout.blocks
        for index, block in enumerate(blocks):
            found = {rate for name, rate in rates.items() if name.startswith(f"backbone.network.{block}.")}
            assert found == {2e-3 * 0.5 ** (len(blocks) - 1 - index)}
        assert rates["backbone.network.embeddings.word_embeddings.weight"] == 2e-3 * 0.5 ** len(blocks)
        assert {rate for name, rate in rates.items() if name.startswith("head.")} == {5e-3}
        assert rates.keys() == trainable.keys()
        assert len(_groups(model, trainable, settings)) == 4


def test_an_average_of_the_weights_is_what_is_evaluated_and_kept(make_model: Make, run: Run, settings: FitSettings) -> None:
    """Against the recursion written out over weights that the journal's twin run had after each step."""
    seen: list[dict[str, Tensor]] = []
    model = make_model()

    def look(event: Event) -> None:
        if event["event"] == "step":
            seen.append({name: item.detach().clone() for name, item in model.head.named_parameters()})

    start = {name: item.detach().clone() for name, item in model.head.named_parameters()}
    once = replace(settings, ema_decay=0.6, num_epochs=2, evaluations_per_epoch=1)
    done = run(model, once, record=look)
    average = start
    for number, weights in enumerate(seen[: done.best_step], 1):
        decay = min(0.6, (1 + number) / (10 + number))
        average = {name: decay * average[name] + (1 - decay) * weights[name] for name in average}
    for name, item in model.head.named_parameters():
        torch.testing.assert_close(item.detach(), average[name])
        assert not torch.equal(item.detach(), seen[done.best_step - 1][name])


def test_a_plateau_halves_the_rate_when_validation_stands_still(make_model: Make, run: Run, settings: FitSettings) -> None:
    events: list[Event] = []
    still = replace(
        settings, schedule="plateau:2", num_epochs=6, warmup_fraction=0.0, head_learning_rate=1e-9, learning_rate=1e-9
    )
    run(make_model(), still, record=events.append)
    evaluations = [event["best"] for event in events if event["event"] == "evaluation"]
    assert evaluations == [True, False, False, False, False, False]
    factors = [event["learning_rate"] / 1e-9 for event in events if event["event"] == "step"]
    assert factors == pytest.approx([1.0] * 9 + [0.5] * 6 + [0.25] * 3)


def test_evaluations_come_as_often_as_asked_and_always_at_the_end(make_model: Make, run: Run, settings: FitSettings) -> None:
    events: list[Event] = []
    asked = replace(settings, batch_size=8, micro_batch=8, num_epochs=1.5, evaluations_per_epoch=3)
    run(make_model(), asked, record=events.append)
    assert [event["step"] for event in events if event["event"] == "evaluation"] == [2, 4, 6, 8, 9]


def test_a_loss_that_is_no_number_names_step_rows_and_remedy(make_model: Make, run: Run, settings: FitSettings) -> None:
    model, calls = make_model(), count(1)

    def loss(outputs: Tensor, targets: Tensor) -> LossSum:
        factor = float("nan") if next(calls) == 3 else 1.0
        return LossSum(sum=factor * functional.cross_entropy(outputs, targets, reduction="sum"), weight=16.0)

    with pytest.raises(DivergedError) as caught:
        run(model, settings, loss=loss)
    assert "Loss became nan at step 3 (learning rate 0.002, gradient norm" in caught.value.problem
    assert caught.value.problem.rstrip(").").split("rows ")[1].count(",") == 2
    assert caught.value.remedy == "--learning-rate 0.0002"
    assert all(torch.isfinite(value).all() for value in weights(model).values())
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_gradients_that_are_no_numbers_change_no_weight(make_model: Make, run: Run, settings: FitSettings) -> None:
    """The loss is finite, its gradient is not: the root has an infinite slope at zero."""
    model = make_model()
    before = weights(model)

    def loss(outputs: Tensor, targets: Tensor) -> LossSum:
        return LossSum(sum=(outputs - outputs.detach()).abs().sum().sqrt(), weight=16.0)

    with pytest.raises(DivergedError, match="step 1"):
        run(model, settings, loss=loss)
    assert same(before, weights(model))


def test_a_rate_far_too_high_diverges_with_a_name(make_model: Make, run: Run, settings: FitSettings) -> None:
    with pytest.raises(DivergedError, match="Loss became"):
        run(make_model("llama"), replace(settings, learning_rate=1e30, head_learning_rate=1e30, num_epochs=5))


def test_a_request_to_stop_ends_after_the_step_with_the_best_weights(make_model: Make, run: Run, settings: FitSettings) -> None:
    model, stop, seen = make_model(), StopRequest(), []
    scores = iter([0.9])

    def record(event: Event) -> None:
        if event["event"] == "step" and event["step"] == 5:
            stop.signal_name = "SIGINT"

    def score(outputs: np.ndarray) -> Mapping[str, float]:
        seen.append(weights(model))
        return {"accuracy": next(scores)}

    with pytest.raises(Stopped) as caught:
        run(model, settings, stop=stop, record=record, score=score)
    assert "Stopped by SIGINT at step 5" in caught.value.problem
    assert caught.value.exit_code == 130
    assert len(seen) == 1  # nothing is scored after the request: the training is to go on from there
    assert same(weights(model), seen[0])


def test_equal_seeds_give_equal_bits_and_other_seeds_do_not(make_model: Make, run: Run, settings: FitSettings) -> None:
    results, models = [], []
    for seed, disturbance in ((0, 1), (0, 2), (1, 3)):
        torch.manual_seed(disturbance)
        np.random.seed(disturbance)
        models.append(make_model())
        results.append(run(models[-1], replace(settings, seed=seed)))
    assert results[0].losses == results[1].losses
    assert same(weights(models[0]), weights(models[1]))
    assert not same(weights(models[0]), weights(models[2]))


@pytest.mark.parametrize("boundary", [0, 1, 2])
def test_what_is_frozen_does_not_move_and_what_trains_does(
    boundary: int, make_model: Make, run: Run, settings: FitSettings
) -> None:
    model = make_model()
    before = weights(model)
    run(model, replace(settings, boundary=boundary))
    names = {f"backbone.network.{name}" for name, _ in model.backbone.parameters_from(boundary)} | {
        name for name in before if name.startswith("head.")
    }
    moved = {name for name, value in weights(model).items() if not torch.equal(before[name], value)}
    assert moved <= names
    assert {name for name in names if name.endswith("dense.weight")} <= moved
    assert "head.linear.weight" in moved


def test_gradients_are_scaled_down_to_the_norm(make_model: Make, run: Run, settings: FitSettings) -> None:
    events: list[Event] = []
    model = make_model()
    run(model, replace(settings, max_gradient_norm=1e-3, num_epochs=1), record=events.append)
    assert min(event["gradient_norm"] for event in events if event["event"] == "step") > 1e-3
    left = torch.cat([item.grad.flatten() for item in model.parameters() if item.grad is not None])
    assert float(left.norm()) == pytest.approx(1e-3, rel=1e-2)


def test_outputs_are_in_the_order_of_the_rows(make_model: Make, part: TrainingRows, settings: FitSettings) -> None:
    model = make_model().eval()
    outputs = predict_rows(model, part, settings)
    for row in (0, 7, 31):
        alone = part.batch(np.array([row]))
        with torch.no_grad():
            np.testing.assert_allclose(outputs[row], model(alone.inputs)[0].numpy(), atol=1e-5)
