import numpy as np
import pytest

from luthier.evaluation.baselines import (
    chosen_rows,
    logistic,
    logistic_of_each,
    majority_probs,
    mean_of_nearest,
    nearest_class_mean,
    pair_features,
    pixel_features,
    repeated_label,
    ridge,
    word_features,
)

TEXTS = [
    "my parcel is late",
    "where is my parcel",
    "late parcel again",
    "refund my money",
    "money back please",
    "no refund yet",
]
TARGETS = np.array([0, 0, 0, 2, 2, 2])


def tfidf_logistic(train: list[str], targets: np.ndarray, texts: list[str], *, num_labels: int, seed: int = 0) -> np.ndarray:
    """The classic for text, as the tasks put it together."""
    found = word_features([train], [texts])
    assert found is not None
    return logistic(found[0], targets, found[1], num_labels=num_labels, strength=found[2], seed=seed)


def pixels_logistic(train: np.ndarray, targets: np.ndarray, pixels: np.ndarray, *, num_labels: int) -> np.ndarray:
    """The classic for pictures."""
    features, others, strength = pixel_features(train, pixels)
    return logistic(features, targets, others, num_labels=num_labels, strength=strength, seed=0)


def assert_probs(probs: np.ndarray, num_rows: int, num_labels: int) -> None:
    assert probs.shape == (num_rows, num_labels)
    assert probs.sum(axis=1) == pytest.approx(np.ones(num_rows))
    assert (probs >= 0).all()


def test_majority_gives_the_frequencies_of_train() -> None:
    assert majority_probs(np.array([2, 2, 0]), 4, 2).tolist() == [[1 / 3, 0, 2 / 3, 0]] * 2


def test_the_nearest_class_mean_finds_the_clusters_whatever_the_offset_and_scale() -> None:
    generator = np.random.default_rng(0)
    targets = np.arange(90) % 3
    features = 100 + 7 * (np.eye(8)[targets] + 0.1 * generator.normal(size=(90, 8)))
    probs = nearest_class_mean(features[:60], targets[:60], features[60:], num_labels=4)
    assert_probs(probs, 30, 4)
    assert (probs.argmax(axis=1) == targets[60:]).all()
    assert not probs[:, 3].any()


def test_the_classic_for_text_learns_words() -> None:
    probs = tfidf_logistic(TEXTS, TARGETS, ["parcel late", "refund money"], num_labels=3)
    assert_probs(probs, 2, 3)
    assert probs.argmax(axis=1).tolist() == [0, 2]
    assert not probs[:, 1].any()


def test_the_classic_for_text_reads_through_typos() -> None:
    probs = tfidf_logistic(TEXTS, TARGETS, ["parcell", "refunnd"], num_labels=3)
    assert probs.argmax(axis=1).tolist() == [0, 2]


def test_texts_without_words_have_no_features_and_single_labels_give_the_majority() -> None:
    assert word_features([["", " "]], [["x"]]) is None
    assert tfidf_logistic(["a b", "b c"], np.array([1, 1]), ["a"], num_labels=2).tolist() == [[0, 1]]


def test_the_classic_for_images_learns_brightness() -> None:
    generator = np.random.default_rng(0)
    targets = np.arange(80) % 2
    pixels = (generator.random((80, 48)) + targets[:, None]).astype(np.float32)
    probs = pixels_logistic(pixels[:60], targets[:60], pixels[60:], num_labels=2)
    assert_probs(probs, 20, 2)
    assert (probs.argmax(axis=1) == targets[60:]).all()


def test_the_same_seed_gives_the_same_baseline() -> None:
    first, second = (tfidf_logistic(TEXTS, TARGETS, TEXTS, num_labels=3, seed=5) for _ in range(2))
    assert first.tolist() == second.tolist()


def test_very_large_train_parts_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen_rows(300, 0).tolist() == list(range(300))
    monkeypatch.setattr("luthier.evaluation.baselines.MAX_TRAIN_ROWS", 30)
    rows = chosen_rows(300, 0)
    assert len(set(rows.tolist())) == 30
    assert (np.diff(rows) > 0).all()


def test_the_classic_for_pairs_sees_whether_two_texts_say_the_same() -> None:
    words = [f"w{number}" for number in range(60)]
    generator = np.random.default_rng(0)
    pairs, targets = [], np.arange(120) % 2
    for target in targets:
        first, other = (generator.choice(words, 5, replace=False) for _ in range(2))
        pairs.append((" ".join(first), " ".join(generator.permutation(first) if target else other)))
    found = pair_features(pairs[:80], pairs[80:])
    assert found is not None
    probs = logistic(found[0], targets[:80], found[1], num_labels=2, strength=found[2], seed=0)
    assert (probs.argmax(axis=1) == targets[80:]).mean() > 0.9


def test_the_mean_of_the_nearest_is_that_of_scikit_learns_neighbours() -> None:
    from sklearn.neighbors import KNeighborsRegressor

    generator = np.random.default_rng(0)
    train, others = generator.normal(size=(60, 8)), generator.normal(size=(9, 8))
    targets = generator.normal(size=(60, 2))
    centre = train.mean(axis=0)
    model = KNeighborsRegressor(n_neighbors=7, metric="cosine").fit(train - centre, targets)
    expected = model.predict(others - centre)
    np.testing.assert_allclose(mean_of_nearest(train, targets, others, neighbours=7), expected, rtol=1e-6)


def test_more_neighbours_than_rows_are_all_rows() -> None:
    train, targets = np.eye(3), np.array([[1.0], [2.0], [6.0]])
    assert mean_of_nearest(train, targets, np.ones((1, 3)), neighbours=10).tolist() == [[3.0]]


def test_each_label_has_a_logistic_regression_of_its_own() -> None:
    generator = np.random.default_rng(0)
    train, others = generator.normal(size=(80, 4)), generator.normal(size=(5, 4))
    targets = np.stack([train[:, 0] > 0, train[:, 1] > 0.5, np.ones(80), np.zeros(80)], axis=1).astype(np.float32)
    found = logistic_of_each(train, targets, others, strength=1.0, seed=0)
    for place in (0, 1):
        alone = logistic(train, targets[:, place].astype(int), others, num_labels=2, strength=1.0, seed=0)
        np.testing.assert_array_equal(found[:, place], alone[:, 1])
    assert found[:, 2].tolist() == [1.0] * 5
    assert found[:, 3].tolist() == [0.0] * 5


def test_a_ridge_regression_is_scikit_learns_and_takes_sparse_features() -> None:
    from scipy import sparse
    from sklearn.linear_model import Ridge

    generator = np.random.default_rng(0)
    train, others = generator.normal(size=(80, 4)), generator.normal(size=(5, 4))
    targets = (train @ [1.0, -2.0, 0.0, 0.5] + generator.normal(size=80))[:, None]
    expected = Ridge(alpha=10.0).fit(train, targets).predict(others).reshape(-1, 1)
    np.testing.assert_allclose(ridge(train, targets, others), expected, rtol=1e-6)
    found = ridge(sparse.csr_array(train), targets, sparse.csr_array(others))
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-2)


def test_the_last_label_is_the_likeliest_however_seldom_it_came_again() -> None:
    rng = np.random.default_rng(0)
    last, train = rng.integers(-1, 3, 50), rng.integers(0, 3, 200)
    for train_last in (train, (train + 1) % 3, np.full(200, -1)):
        probs = repeated_label(last, train, train_last, num_labels=3)
        assert np.allclose(probs.sum(axis=1), 1)
        assert (probs.argmax(axis=1) == last)[last >= 0].all()
        assert np.allclose(probs[last < 0], np.bincount(train, minlength=3) / 200)
    often = np.where(rng.random(200) < 0.8, train, (train + 1) % 3)
    probs = repeated_label(train, train, often, num_labels=3)
    assert probs[np.arange(200), train].mean() == pytest.approx((train == often).mean(), abs=0.02)
