"""The linear probe: what it is fitted on, what it chooses, what it leaves out."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from luthier.features.probe import PENALTIES, START_PENALTY, fit_probe, unit_length

RNG = np.random.default_rng(0)
CENTRES = RNG.normal(size=(3, 5))


def sample(number: int, *, seed: int, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    targets = generator.integers(0, 3, number)
    return (CENTRES[targets] + noise * generator.normal(size=(number, 5))).astype(np.float32), targets


def test_the_penalty_chosen_is_the_best_on_validation() -> None:
    probe = fit_probe(sample(40, seed=1), sample(200, seed=2), num_outputs=3, normalize=False)
    assert set(probe.tried) == set(PENALTIES)
    assert probe.tried[probe.penalty] == probe.validation_loss == min(probe.tried.values())
    assert probe.penalty not in (min(PENALTIES), max(PENALTIES))  # so that the choice is a choice


def test_blocks_start_from_the_strongly_penalised_probe_whichever_is_best() -> None:
    probe = fit_probe(sample(40, seed=1), sample(200, seed=2), num_outputs=3, normalize=False)
    strong = fit_probe(sample(40, seed=1), sample(200, seed=2), num_outputs=3, normalize=False, penalties=(START_PENALTY / 3,))
    np.testing.assert_allclose(probe.start.weight, strong.best.weight, rtol=1e-3, atol=1e-3)
    assert np.linalg.norm(probe.start.weight) < 0.7 * np.linalg.norm(probe.best.weight)
    weak = fit_probe(sample(40, seed=1), sample(200, seed=2), num_outputs=3, normalize=False, penalties=(1e-4,))
    np.testing.assert_allclose(weak.start.weight, strong.best.weight, rtol=1e-3, atol=1e-3)


def test_blocks_start_from_a_probe_no_weaker_than_the_best() -> None:
    penalties = (10.0 * START_PENALTY,)
    probe = fit_probe(sample(40, seed=1), sample(200, seed=2), num_outputs=3, normalize=False, penalties=penalties)
    assert np.array_equal(probe.start.weight, probe.best.weight)


def test_the_loss_it_states_is_the_loss_of_its_logits() -> None:
    features, targets = sample(200, seed=2)
    probe = fit_probe(sample(40, seed=1), (features, targets), num_outputs=3, normalize=False)
    logits = probe.logits(features).astype(np.float64)
    log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert -log_probs[np.arange(len(targets)), targets].mean() == pytest.approx(probe.validation_loss, abs=1e-5)


def test_several_labels_are_fitted_as_one_logistic_regression_each() -> None:
    features, targets = sample(80, seed=2)
    many = np.stack([targets == 0, targets != 1], axis=1).astype(np.float32)
    penalty = 0.1
    probe = fit_probe((features, many), (features, many), num_outputs=2, normalize=False, loss="binary", penalties=(penalty,))
    scaled = (features - features.mean(0)) / np.sqrt(features.var(0).mean())
    for place in range(2):
        reference = LogisticRegression(C=1 / (penalty * len(features)), tol=1e-10, max_iter=10_000)
        reference.fit(scaled, many[:, place])
        np.testing.assert_allclose(probe.logits(features)[:, place], reference.decision_function(scaled), atol=2e-3)


def test_numbers_are_fitted_by_ridge_regression() -> None:
    features, targets = sample(80, seed=2)
    numbers = (features @ np.linspace(-1, 1, features.shape[1]) + targets)[:, None].astype(np.float32)
    penalty = 0.1
    given = (features, numbers)
    probe = fit_probe(given, given, num_outputs=1, normalize=False, loss="squared", penalties=(penalty,))
    scaled = (features - features.mean(0)) / np.sqrt(features.var(0).mean())
    reference = Ridge(alpha=0.5 * penalty * len(features)).fit(scaled, numbers[:, 0])
    np.testing.assert_allclose(probe.logits(features)[:, 0], reference.predict(scaled), atol=2e-3)


def test_the_same_data_give_the_same_bits() -> None:
    probes = [fit_probe(sample(40, seed=1), sample(40, seed=2), num_outputs=3, normalize=True) for _ in range(2)]
    assert np.array_equal(probes[0].best.weight, probes[1].best.weight)
    assert np.array_equal(probes[0].best.bias, probes[1].best.bias)


def test_a_normalised_probe_does_not_feel_lengths() -> None:
    probe = fit_probe(sample(40, seed=1), sample(40, seed=2), num_outputs=3, normalize=True)
    features, _ = sample(10, seed=3)
    np.testing.assert_allclose(probe.logits(features), probe.logits(50 * features), rtol=1e-4, atol=1e-4)
    assert np.linalg.norm(unit_length(features), axis=1) == pytest.approx(1.0, abs=1e-6)


def test_constant_features_and_vectors_of_zeros_do_no_harm() -> None:
    features, targets = np.zeros((12, 4), dtype=np.float32), np.arange(12) % 3
    for normalize in (False, True):
        probe = fit_probe((features, targets), (features, targets), num_outputs=3, normalize=normalize)
        assert np.isfinite(probe.best.weight).all()
        assert probe.validation_loss == pytest.approx(np.log(3), abs=1e-4)
