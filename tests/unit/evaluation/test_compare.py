from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.errors import DataError
from luthier.evaluation.compare import compare, holm, paired_standard_error
from luthier.evaluation.measures import MEASURES
from luthier.evaluation.predictions import classification_predictions
from luthier.evaluation.records import Comparison, Predictions

LABELS = ["x", "y"]


def predicted(right: np.ndarray, *, groups: list[str] | None = None) -> Predictions:
    """Targets alternate; `right` says which predictions hit."""
    targets = np.arange(len(right)) % 2
    said = np.where(right, targets, 1 - targets)
    return classification_predictions(
        example_ids=[str(place) for place in range(len(right))],
        targets=[LABELS[target] for target in targets],
        probs=0.1 + 0.8 * np.eye(2)[said],
        labels=LABELS,
        groups=groups,
    )


def made_pair(num_rows: int, **options: list[str]) -> tuple[Predictions, Predictions]:
    generator = np.random.default_rng(0)
    return tuple(predicted(generator.random(num_rows) < share, **options) for share in (0.9, 0.6))  # type: ignore[return-value]


def with_p(p: float) -> Comparison:
    return Comparison(
        a="tuned", b="b", measure="accuracy", difference=0, low=0, high=0, p=p, p_holm=p, standard_error=0, test=""
    )


@pytest.mark.parametrize("name", ["accuracy", "macro_f1", "log_loss", "roc_auc"])
def test_swapping_the_models_swaps_the_sign(name: str) -> None:
    a, b = made_pair(60)
    there, back = (compare(*pair, MEASURES[name], samples=200) for pair in ((a, b), (b, a)))
    assert there.difference == pytest.approx(-back.difference)
    assert there.standard_error == pytest.approx(back.standard_error)
    assert there.p == pytest.approx(back.p)


@pytest.mark.parametrize("name", ["accuracy", "macro_f1", "log_loss", "roc_auc"])
def test_a_clear_difference_is_found_and_its_interval_is_above_zero(name: str) -> None:
    a, b = made_pair(200)
    found = compare(a, b, MEASURES[name], names=("tuned", "classic"), samples=400)
    assert (found.a, found.b, found.measure) == ("tuned", "classic", name)
    assert found.p < 0.01
    assert (found.low > 0) == (MEASURES[name].direction == "higher")
    assert found.low * found.high > 0


@pytest.mark.parametrize("name", ["accuracy", "macro_f1", "roc_auc"])
def test_a_model_is_no_better_than_itself(name: str) -> None:
    a, _ = made_pair(60)
    found = compare(a, a, MEASURES[name], samples=200)
    assert (found.difference, found.low, found.high, found.p, found.standard_error) == (0, 0, 0, 1, 0)


def test_the_standard_error_of_accuracy_is_that_of_the_mean_difference() -> None:
    a, b = made_pair(300)
    hits = [np.array(said.table["target"]) == np.array(said.table["prediction"]) for said in (a, b)]
    difference = hits[0].astype(float) - hits[1]
    expected = difference.std() / np.sqrt(300)
    assert paired_standard_error(a, b, MEASURES["accuracy"], samples=4000) == pytest.approx(expected, rel=0.05)


def test_copies_of_a_row_in_one_group_are_one_piece_of_evidence() -> None:
    """Six rows on which a is right and b is wrong; ten copies of each must not make p smaller."""
    six, sixty = np.ones(6, dtype=bool), np.ones(60, dtype=bool)
    groups = [f"g{place // 10}" for place in range(60)]
    single = compare(predicted(six), predicted(~six), MEASURES["accuracy"], samples=200)
    copied = compare(predicted(sixty, groups=groups), predicted(~sixty, groups=groups), MEASURES["accuracy"], samples=200)
    assert copied.test == "exact paired randomisation"
    # All six coins fall on one side: 2 / 2 ** 6.
    assert single.p == pytest.approx(2 / 64)
    assert copied.p == pytest.approx(2 / 64)


def test_random_swaps_come_close_to_all_swaps() -> None:
    a, b = made_pair(12)
    exact = compare(a, b, MEASURES["macro_f1"], samples=4096)
    drawn = compare(a, b, MEASURES["macro_f1"], samples=4095)
    assert (exact.test, drawn.test) == ("exact paired randomisation", "paired randomisation")
    # The standard error of a share of 4,095 is at most 0.008.
    assert drawn.p == pytest.approx(exact.p, abs=0.03)


def test_a_random_test_never_says_that_chance_is_impossible() -> None:
    a, b = predicted(np.ones(100, dtype=bool)), predicted(np.zeros(100, dtype=bool))
    assert compare(a, b, MEASURES["macro_f1"], samples=200).p == pytest.approx(1 / 201)


def test_models_scored_on_other_examples_are_not_compared() -> None:
    with pytest.raises(DataError, match="same test file"):
        compare(predicted(np.ones(4, dtype=bool)), predicted(np.ones(5, dtype=bool)), MEASURES["accuracy"])


@given(p_values=st.lists(st.floats(0, 1), max_size=8))
@settings(max_examples=60, deadline=None)
def test_holm_keeps_the_order_and_never_lowers_p(p_values: list[float]) -> None:
    found = holm([with_p(p) for p in p_values])
    assert [item.p for item in found] == p_values
    assert all(item.p <= item.p_holm <= 1 for item in found)
    assert all(min(1, len(p_values) * item.p) >= item.p_holm for item in found)
    by_p = sorted(found, key=lambda item: item.p)
    assert all(first.p_holm <= second.p_holm for first, second in pairwise(by_p))
