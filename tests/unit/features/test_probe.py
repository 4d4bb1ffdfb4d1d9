"""The linear probe: what it is fitted on, what it chooses, what it leaves out."""

import numpy as np
import pytest

from luthier.features.probe import PENALTIES, START_PENALTY, fit_probe, unit_length

RNG = np.random.default_rng(0)
CENTRES = RNG.normal(size=(3, 5))


def sample(number: int, *, seed: int, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    targets = generator.integers(0, 3, number)
    return (CENTRES[targets] + noise * generator.normal(size=(number, 5))).astype(np.float32), targets


def test_the_penalty_chosen_is_the_best_on_validation() -> None:
    probe = fit_probe(sample(40, seed=1), sample(200, seed=2), num_labels=3, normalize=False)
    assert set(probe.tried) == set(PENALTIES)
    assert probe.tried[probe.penalty] == probe.validation_loss == min(probe.tried.values())
    assert probe.penalty not in (min(PENALTIES), max(PENALTIES))  # so that the choice is a choice


def test_blocks_start_from_the_strongly_penalised_probe_whichever_is_best() -> None:
    probe = fit_probe(sample(40, seed=1), sample(200, seed=2), num_labels=3, normalize=False)
    strong = fit_probe(sample(40, seed=1), sample(200, seed=2), num_labels=3, normalize=False, penalties=(START_PENALTY / 3,))
    np.testing.assert_allclose(probe.start.weight, strong.best.weight, rtol=1e-3, atol=1e-3)
    assert np.linalg.norm(probe.start.weight) < 0.7 * np.linalg.norm(probe.best.weight)
    weak = fit_probe(sample(40, seed=1), sample(200, seed=2), num_labels=3, normalize=False, penalties=(1e-4,))
    np.testing.assert_allclose(weak.start.weight, strong.best.weight, rtol=1e-3, atol=1e-3)


def test_blocks_start_from_a_probe_no_weaker_than_the_best() -> None:
    penalties = (10.0 * START_PENALTY,)
    probe = fit_probe(sample(40, seed=1), sample(200, seed=2), num_labels=3, normalize=False, penalties=penalties)
    assert np.array_equal(probe.start.weight, probe.best.weight)


def test_the_loss_it_states_is_the_loss_of_its_logits() -> None:
    features, targets = sample(200, seed=2)
    probe = fit_probe(sample(40, seed=1), (features, targets), num_labels=3, normalize=False)
    logits = probe.logits(features).astype(np.float64)
    log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert -log_probs[np.arange(len(targets)), targets].mean() == pytest.approx(probe.validation_loss, abs=1e-5)


def test_rows_of_validation_without_a_known_target_are_left_out() -> None:
    features, targets = sample(60, seed=2)
    strange = np.concatenate([features, 100 + features]), np.concatenate([targets, np.full(60, -1)])
    with_strange, without = (
        fit_probe(sample(40, seed=1), part, num_labels=3, normalize=False) for part in (strange, (features, targets))
    )
    assert with_strange.tried == without.tried


def test_the_same_data_give_the_same_bits() -> None:
    probes = [fit_probe(sample(40, seed=1), sample(40, seed=2), num_labels=3, normalize=True) for _ in range(2)]
    assert np.array_equal(probes[0].best.weight, probes[1].best.weight)
    assert np.array_equal(probes[0].best.bias, probes[1].best.bias)


def test_a_normalised_probe_does_not_feel_lengths() -> None:
    probe = fit_probe(sample(40, seed=1), sample(40, seed=2), num_labels=3, normalize=True)
    features, _ = sample(10, seed=3)
    np.testing.assert_allclose(probe.logits(features), probe.logits(50 * features), rtol=1e-4, atol=1e-4)
    assert np.linalg.norm(unit_length(features), axis=1) == pytest.approx(1.0, abs=1e-6)


def test_constant_features_and_vectors_of_zeros_do_no_harm() -> None:
    features, targets = np.zeros((12, 4), dtype=np.float32), np.arange(12) % 3
    for normalize in (False, True):
        probe = fit_probe((features, targets), (features, targets), num_labels=3, normalize=normalize)
        assert np.isfinite(probe.best.weight).all()
        assert probe.validation_loss == pytest.approx(np.log(3), abs=1e-4)
