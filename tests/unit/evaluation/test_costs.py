"""When to raise an alarm: thresholds against a plain search, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.errors import SpecError
from luthier.evaluation.costs import best_threshold, describe_alarms, refuse_unfit_costs, weigh_alarms
from luthier.evaluation.predictions import classification_predictions
from luthier.evaluation.records import Predictions
from luthier.evaluation.settings import EvaluationSettings

COSTS = EvaluationSettings(false_alarm_cost=1, miss_cost=5, bootstrap_samples=200)


def said(probs: np.ndarray, positive: np.ndarray) -> Predictions:
    return classification_predictions(
        example_ids=[str(place) for place in range(len(probs))],
        targets=["yes" if one else "no" for one in positive],
        probs=np.stack([1 - probs, probs], axis=1),
        labels=["no", "yes"],
    )


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]), st.booleans()), min_size=1, max_size=30),
    st.floats(0.1, 10),
    st.floats(0.1, 10),
)
def test_no_other_threshold_costs_less(rows: list[tuple[float, bool]], false_alarm: float, miss: float) -> None:
    probs, positive = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])

    def cost(threshold: float) -> float:
        alarm = probs >= threshold
        return false_alarm * float((alarm & ~positive).sum()) + miss * float((~alarm & positive).sum())

    found = best_threshold(probs, positive, false_alarm=false_alarm, miss=miss)
    assert cost(found) <= min(cost(threshold) for threshold in np.linspace(0, 1.01, 203)) + 1e-9


def test_true_probabilities_give_the_threshold_of_theory() -> None:
    generator = np.random.default_rng(0)
    probs = generator.random(20_000)
    positive = generator.random(20_000) < probs
    found = weigh_alarms(said(probs, positive), said(probs, positive), COSTS, seed=0)
    assert found is not None
    assert found.threshold == pytest.approx(found.at_true_probabilities, abs=0.03)
    assert found.at_true_probabilities == pytest.approx(1 / 6)
    assert found.cost.low <= found.cost.value <= found.cost.high
    assert found.cost.value < min(found.others.values())
    assert "a false alarm costs 1, a miss 5" in describe_alarms(found)


def test_without_costs_there_is_nothing_to_weigh() -> None:
    both = said(np.array([0.2, 0.8]), np.array([False, True]))
    assert weigh_alarms(both, both, EvaluationSettings(), seed=0) is None


def test_alarms_are_for_the_rarer_label_unless_one_is_named() -> None:
    both = said(np.array([0.2, 0.8, 0.9]), np.array([False, True, True]))
    rarer = weigh_alarms(both, both, COSTS, seed=0)
    named = weigh_alarms(both, both, COSTS.model_copy(update={"positive": "yes"}), seed=0)
    assert rarer is not None and named is not None
    assert (rarer.positive, named.positive) == ("no", "yes")


@pytest.mark.parametrize(
    ("settings", "labels", "problem", "remedy"),
    [
        (EvaluationSettings(miss_cost=3), ("a", "b"), "says nothing without --false-alarm-cost", "--miss-cost 3 --false-alarm"),
        (COSTS, ("a", "b", "c"), "for two labels, and there are 3 labels", "leave --false-alarm-cost and --miss-cost out"),
        (COSTS, (), "there are none", "leave"),
        (COSTS.model_copy(update={"positive": "c"}), ("a", "b"), "'c', which is no label", "--positive b"),
        (EvaluationSettings(positive="a"), ("a", "b"), "says nothing without costs", "--false-alarm-cost 1"),
    ],
)
def test_what_says_too_little_is_refused(
    settings: EvaluationSettings, labels: tuple[str, ...], problem: str, remedy: str
) -> None:
    with pytest.raises(SpecError) as caught:
        refuse_unfit_costs(settings, labels)
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy
