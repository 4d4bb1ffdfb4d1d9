"""The probe against scikit-learn's logistic regression, which solves the same problem in float64."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from luthier.features.probe import Probe, fit_probe, unit_length
from luthier.training.balance import balanced_weights

NUM_LABELS, WIDTH = 4, 10
CENTRES = np.random.default_rng(0).normal(size=(NUM_LABELS, WIDTH))
SHIFT, SPREAD = 7.0, np.geomspace(0.3, 3, WIDTH)


def sample(number: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features far from the origin, each with a deviation of its own."""
    generator = np.random.default_rng(seed)
    targets = generator.integers(0, NUM_LABELS, number)
    values = SHIFT + SPREAD * (CENTRES[targets] + generator.normal(size=(number, WIDTH)))
    return values.astype(np.float32), targets


def probs(probe: Probe, features: np.ndarray) -> np.ndarray:
    logits = probe.logits(features).astype(np.float64)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def standardised(features: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Centred on train and divided by one number: the root of the mean variance of its features."""
    return (features - train.mean(axis=0, dtype=np.float64)) / np.sqrt(train.var(axis=0, dtype=np.float64).mean())


@pytest.mark.parametrize("penalty", [1e-1, 1e-2, 1e-3])
@pytest.mark.parametrize("normalize", [False, True])
def test_it_is_the_logistic_regression_of_the_textbook(penalty: float, normalize: bool) -> None:
    train, validation, test = (sample(number, seed=number) for number in (300, 100, 200))
    probe = fit_probe(train, validation, num_outputs=NUM_LABELS, normalize=normalize, penalties=[penalty])
    scale = unit_length if normalize else np.asarray
    # Mean loss + penalty / 2 * squares is, times N, scikit-learn's sum of losses * C + squares / 2 with C = 1 / (N * penalty).
    oracle = LogisticRegression(C=1 / (len(train[0]) * penalty), max_iter=5000, tol=1e-8)
    oracle.fit(standardised(scale(train[0]), scale(train[0])), train[1])
    expected = oracle.predict_proba(standardised(scale(test[0]), scale(train[0])))
    np.testing.assert_allclose(probs(probe, test[0]), expected, atol=5e-3)
    assert (probs(probe, test[0]).argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.99
    assert log_loss(test[1], probs(probe, test[0])) == pytest.approx(log_loss(test[1], expected), abs=5e-4)


def test_standardising_is_folded_into_the_weights() -> None:
    """Features moved and stretched as a whole give the same probabilities: nothing outside one linear layer is needed."""
    train, validation = sample(200, seed=1), sample(100, seed=2)
    moved = [(3 + 20 * features, targets) for features, targets in (train, validation)]
    plain = fit_probe(train, validation, num_outputs=NUM_LABELS, normalize=False)
    other = fit_probe(moved[0], moved[1], num_outputs=NUM_LABELS, normalize=False)
    assert other.penalty == plain.penalty
    np.testing.assert_allclose(probs(other, moved[1][0]), probs(plain, validation[0]), atol=2e-3)
    np.testing.assert_allclose(
        plain.logits(validation[0]), validation[0] @ plain.best.weight.T + plain.best.bias, rtol=1e-6, atol=1e-6
    )


def test_with_balanced_weights_it_is_the_balanced_regression_of_the_textbook() -> None:
    features, targets = sample(500, seed=5)
    kept = np.flatnonzero((targets > 0) | (np.arange(500) % 8 == 0))  # a class with an eighth of its rows
    train, validation, test = (features[kept], targets[kept]), sample(100, seed=6), sample(200, seed=7)
    weights = balanced_weights(train[1], NUM_LABELS)
    penalty = 1e-2
    probe = fit_probe(train, validation, num_outputs=NUM_LABELS, normalize=False, penalties=[penalty], class_weights=weights)
    oracle = LogisticRegression(C=1 / (len(kept) * penalty), max_iter=5000, tol=1e-8, class_weight="balanced")
    oracle.fit(standardised(train[0], train[0]), train[1])
    expected = oracle.predict_proba(standardised(test[0], train[0]))
    np.testing.assert_allclose(probs(probe, test[0]), expected, atol=5e-3)
    plain = fit_probe(train, validation, num_outputs=NUM_LABELS, normalize=False, penalties=[penalty])
    assert (probs(probe, test[0]).argmax(1) == 0).sum() > (probs(plain, test[0]).argmax(1) == 0).sum()
