"""Means of the best states of one training."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from luthier.training.data import TrainingRows
from luthier.training.fit_settings import FitSettings
from luthier.training.loop import FitResult, predict_rows
from luthier.training.model import TunedModel
from luthier.training.soup import Candidate, Larder, mean_weights, stir


def states(*values: float) -> list[Candidate]:
    return [
        Candidate(step=step, signed=-abs(value - 2), weights={"w": torch.tensor([value])}) for step, value in enumerate(values)
    ]


def near_two(weights: dict[str, torch.Tensor]) -> tuple[float, float]:
    value = float(weights["w"])
    return -abs(value - 2), value


def test_only_what_does_not_harm_goes_in() -> None:
    """Beside a plain loop over the definition: keep a state if the mean with it is not worse."""
    candidates = states(1.0, 3.0, 3.2, -9.0)
    chosen, mean = stir(candidates, 1.0, near_two) or ([], 0.0)
    kept = [1.0]
    for value in (3.0, 3.2, -9.0):
        if abs(sum([*kept, value]) / (len(kept) + 1) - 2) <= abs(sum(kept) / len(kept) - 2):
            kept.append(value)
    assert [float(one.weights["w"]) for one in chosen] == kept == [1.0, 3.0]
    assert mean == 2.0


def test_where_no_mean_is_as_good_the_best_alone_is_kept() -> None:
    chosen, mean = stir(states(2.0, 5.0), "alone", lambda weights: (near_two(weights)[0], "mean")) or ([], "")
    assert ([one.step for one in chosen], mean) == ([0], "alone")


def test_it_can_be_ended() -> None:
    assert stir(states(1.0, 3.0), None, lambda weights: None) is None


def test_the_mean_is_that_of_every_weight() -> None:
    assert float(mean_weights(states(1.0, 2.0, 6.0))["w"]) == 3.0


def test_the_larder_keeps_copies_of_the_best() -> None:
    larder, weights = Larder(2), {"w": torch.zeros(1)}
    for step, score in enumerate((0.1, 0.5, 0.5, 0.3, 0.9)):
        weights["w"].fill_(step)
        larder.offer(step, score, weights)
    assert [(one.step, float(one.weights["w"])) for one in larder.candidates] == [(4, 4.0), (1, 1.0)]
    again = Larder(2)
    again.load(larder.tensors(), larder.state())
    assert [(one.step, one.signed, float(one.weights["w"])) for one in again.candidates] == [(4, 0.9, 4.0), (1, 0.5, 1.0)]


def test_an_empty_larder_keeps_nothing() -> None:
    larder = Larder(0)
    larder.offer(1, 1.0, {"w": torch.zeros(1)})
    assert larder.candidates == []


def test_a_training_ends_with_the_mean_if_it_is_no_worse(
    make_model: Callable[..., TunedModel], run: Callable[..., FitResult], settings: FitSettings, part: TrainingRows
) -> None:
    events: list[dict[str, object]] = []
    longer = replace(settings, num_epochs=4, evaluations_per_epoch=3)
    alone = run(make_model(), longer)
    model = make_model()
    souped = run(model, replace(longer, soup=4), record=events.append)
    (event,) = [event for event in events if event["event"] == "soup"]
    looks = {event["step"]: event["scores"]["accuracy"] for event in events if event["event"] == "evaluation"}  # type: ignore[index]
    best = max(looks.values())
    assert event["tried"] == 4
    assert souped.scores["accuracy"] >= best == alone.scores["accuracy"]
    assert event["steps"][0] == souped.best_step == alone.best_step  # type: ignore[index]
    assert souped.losses == alone.losses  # nothing is averaged before the end
    outputs = predict_rows(model, part, longer)
    np.testing.assert_allclose(outputs, souped.outputs, rtol=1e-5, atol=1e-6)  # the model holds what was judged
