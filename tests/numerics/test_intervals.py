"""Intervals by their coverage on simulated test sets, and their parts against scipy."""

from collections.abc import Iterator

import numpy as np
import pytest
from scipy import stats

from luthier.evaluation.bootstrap import resample, unit_sums
from luthier.evaluation.compare import compare
from luthier.evaluation.intervals import interval_of
from luthier.evaluation.measures import MEASURES
from luthier.evaluation.predictions import classification_predictions, unit_indices
from luthier.evaluation.records import Predictions

LABELS = ("a", "b", "c")
MEASURED = [MEASURES["accuracy"], MEASURES["macro_f1"]]


def predicted(targets: np.ndarray, said: np.ndarray, groups: list[str] | None = None) -> Predictions:
    return classification_predictions(
        example_ids=[str(place) for place in range(len(targets))],
        targets=[LABELS[target] for target in targets],
        probs=np.eye(3)[said],
        labels=LABELS,
        groups=groups,
    )


def drawn_test_set(generator: np.random.Generator, num_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Three classes in the ratio 5 : 3 : 2, of which a model has 85 % right and guesses the rest among all."""
    targets = generator.choice(3, num_rows, p=[0.5, 0.3, 0.2])
    return targets, np.where(generator.random(num_rows) < 0.775, targets, generator.integers(0, 3, num_rows))


def test_95_percent_intervals_cover_the_truth_in_about_95_percent_of_test_sets() -> None:
    generator = np.random.default_rng(0)
    everything = predicted(*drawn_test_set(generator, 200_000))
    units = unit_indices(everything)
    truth = {item.name: item.value(unit_sums(everything, item, units).sum(axis=0)) for item in MEASURED}
    covered = {item.name: 0 for item in MEASURED}
    num_sets = 400
    for number in range(num_sets):
        found = resample({"m": predicted(*drawn_test_set(generator, 200))}, MEASURED, samples=400, seed=number)["m"]
        for name, resampled in found.items():
            interval = interval_of(resampled, confidence=0.95)
            covered[name] += interval.low <= truth[name] <= interval.high
    # Two and a half standard errors of a share of 400 are 2.7 points; 400 draws cost about half a point of coverage.
    for name, number in covered.items():
        assert 0.92 <= number / num_sets <= 0.98, name


def test_rows_of_one_group_are_not_independent_evidence() -> None:
    """Ten copies of each of 40 rows say as much as 40 rows: the grouped interval covers, the ungrouped one pretends."""
    generator = np.random.default_rng(1)
    covered = {"grouped": 0, "rows": 0}
    num_sets = 200
    for number in range(num_sets):
        right = np.repeat(generator.random(40) < 0.7, 10)
        targets = np.zeros(400, dtype=int)
        groups = [f"g{place // 10}" for place in range(400)]
        for name, said in (
            ("grouped", predicted(targets, 1 - right, groups)),
            ("rows", predicted(targets, 1 - right)),
        ):
            found = resample({"m": said}, MEASURED[:1], samples=300, seed=number)["m"]["accuracy"]
            interval = interval_of(found, confidence=0.95)
            covered[name] += interval.low <= 0.7 <= interval.high
    assert covered["grouped"] / num_sets > 0.9
    assert covered["rows"] / num_sets < 0.6


def test_bca_limits_agree_with_scipy() -> None:
    targets, said = drawn_test_set(np.random.default_rng(3), 150)
    found = resample({"m": predicted(targets, said)}, MEASURED[:1], samples=20_000, seed=0)["m"]["accuracy"]
    ours = interval_of(found, confidence=0.9)
    theirs = stats.bootstrap(
        ((targets == said).astype(float),),
        np.mean,
        n_resamples=20_000,
        confidence_level=0.9,
        method="BCa",
        rng=np.random.default_rng(0),
    ).confidence_interval
    # The mean moves in steps of 1 / 150; the limits of two random runs may differ by one.
    assert ours.low == pytest.approx(theirs.low, abs=1.01 / 150)
    assert ours.high == pytest.approx(theirs.high, abs=1.01 / 150)


def made_pair(num_rows: int, seed: int) -> tuple[Predictions, Predictions]:
    generator = np.random.default_rng(seed)
    targets = generator.integers(0, 3, num_rows)
    first = np.where(generator.random(num_rows) < 0.9, targets, (targets + 1) % 3)
    second = np.where(generator.random(num_rows) < 0.5, targets, (targets + 1) % 3)
    return predicted(targets, first), predicted(targets, second)


@pytest.mark.parametrize("seed", range(5))
def test_mcnemar_equals_the_binomial_test(seed: int) -> None:
    a, b = made_pair(40, seed)
    a_right = np.array(a.table["target"]) == np.array(a.table["prediction"])
    b_right = np.array(b.table["target"]) == np.array(b.table["prediction"])
    only_a, only_b = int((a_right & ~b_right).sum()), int((b_right & ~a_right).sum())
    found = compare(a, b, MEASURES["accuracy"], samples=200)
    assert found.test == "McNemar's exact test"
    assert found.p == pytest.approx(stats.binomtest(only_a, only_a + only_b).pvalue)


@pytest.mark.parametrize("seed", range(3))
def test_exact_randomisation_equals_scipy(seed: int) -> None:
    a, b = made_pair(9, seed)
    names = ("target", "prediction")

    def places(said: Predictions, name: str) -> np.ndarray:
        return np.array([LABELS.index(label) for label in said.table[name].to_pylist()])

    targets = places(a, "target")
    macro_f1 = MEASURES["macro_f1"]

    def difference(first: np.ndarray, second: np.ndarray) -> float:
        values = [macro_f1.value(macro_f1.stats(predicted(targets, said)).sum(axis=0)) for said in (first, second)]
        return float(values[0] - values[1])

    expected = stats.permutation_test(
        (places(a, names[1]), places(b, names[1])), difference, permutation_type="samples", n_resamples=np.inf
    )
    found = compare(a, b, macro_f1, samples=600)
    assert found.test == "exact paired randomisation"
    assert found.difference == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue)


def test_a_test_of_equal_models_rejects_no_more_often_than_it_says() -> None:
    def p_values() -> Iterator[float]:
        for seed in range(150):
            generator = np.random.default_rng(seed)
            targets = generator.integers(0, 3, 60)
            said = [np.where(generator.random(60) < 0.7, targets, (targets + 1) % 3) for _ in range(2)]
            yield compare(
                predicted(targets, said[0]), predicted(targets, said[1]), MEASURES["macro_f1"], samples=300, seed=seed
            ).p

    # Four standard errors of a share of 150 at 5 % are 7 points.
    assert np.mean([p < 0.05 for p in p_values()]) < 0.12
