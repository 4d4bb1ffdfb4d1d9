"""What tuning has to beat: models that need no tuning, each a function from training data to probabilities [N, C].

Targets are indices into the labels of the run; a label without training rows gets probability 0. Choices here were made on
validation parts, never on test parts (see the lab notebook).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from luthier.core.seeding import generator_for, seed_for

# More rows make a linear model on words hardly better, and the baseline must stay a small part of the run.
MAX_TRAIN_ROWS = 100_000
_TEMPERATURE = 0.05


def majority_probs(train_targets: Int[np.ndarray, " N"], num_labels: int, num_examples: int) -> Float[np.ndarray, "N C"]:
    """Always the most frequent label: each example gets the label frequencies of train.

    Example:
        >>> majority_probs(np.array([0, 1, 1, 1]), 2, 1).tolist()
        [[0.25, 0.75]]
    """
    frequencies = np.bincount(train_targets, minlength=num_labels) / max(len(train_targets), 1)
    return np.tile(frequencies, (num_examples, 1))


def nearest_class_mean(
    train_features: Float[np.ndarray, "M D"],
    train_targets: Int[np.ndarray, " M"],
    features: Float[np.ndarray, "N D"],
    *,
    num_labels: int,
) -> Float[np.ndarray, "N C"]:
    """The pre-trained model as it comes: how near its features of an example are to the mean features of each label.

    Features are centred on the mean of train and brought to length 1; the probabilities are the softmax of the cosine to each
    mean over a temperature of 0.05, a constant that gives confident but not certain answers (nothing is fitted).

    Source: Wang et al., SimpleShot: revisiting nearest-neighbor classification for few-shot learning, 2019.
    """
    centre = train_features.mean(axis=0, dtype=np.float64)
    train_unit = _to_unit_length(train_features - centre)
    sums = np.zeros((num_labels, train_features.shape[1]))
    np.add.at(sums, train_targets, train_unit)
    cosines = _to_unit_length(features - centre) @ _to_unit_length(sums).T
    logits = cosines / _TEMPERATURE
    logits[:, np.bincount(train_targets, minlength=num_labels) == 0] = -np.inf
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def _to_unit_length(rows: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N D"]:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))


def tfidf_logistic(
    train_texts: Sequence[str],
    train_targets: Int[np.ndarray, " M"],
    texts: Sequence[str],
    *,
    num_labels: int,
    seed: int = 0,
) -> Float[np.ndarray, "N C"]:
    """The classic for text: logistic regression on TF-IDF of words, word pairs and character 3- to 5-grams.

    At most 20,000 words and pairs and 20,000 character grams, sublinear term counts, C = 10; trained on 100,000 rows at most.

    Source: Wang & Manning, Baselines and bigrams: simple, good sentiment and topic classification, 2012.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_union

    rows = _train_rows(len(train_texts), seed)
    kept = [train_texts[row] for row in rows]
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=20_000, token_pattern=r"(?u)\b\w+\b")
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, max_features=20_000)
    vectors = make_union(words, characters)
    try:
        train = vectors.fit_transform(kept)
    except ValueError:  # scikit-learn's word for "no text holds a single word": there is nothing to learn from
        return majority_probs(train_targets, num_labels, len(texts))
    return _logistic(train, train_targets[rows], vectors.transform(texts), num_labels=num_labels, strength=10.0, seed=seed)


def pixels_logistic(
    train_pixels: Float[np.ndarray, "M P"],
    train_targets: Int[np.ndarray, " M"],
    pixels: Float[np.ndarray, "N P"],
    *,
    num_labels: int,
    seed: int = 0,
) -> Float[np.ndarray, "N C"]:
    """The classic for images: logistic regression on the whitened main components of small images (16 x 16 RGB, flattened).

    At most 64 components, C = 0.1; trained on 100,000 rows at most.
    """
    from sklearn.decomposition import PCA

    rows = _train_rows(len(train_pixels), seed)
    kept = np.asarray(train_pixels[rows], dtype=np.float64)
    size = min(64, *kept.shape)
    components = PCA(size, whiten=True, svd_solver="randomized", random_state=seed_for(seed, "pixels") % 2**32)
    train = components.fit_transform(kept)
    others = components.transform(np.asarray(pixels, dtype=np.float64))
    return _logistic(train, train_targets[rows], others, num_labels=num_labels, strength=0.1, seed=seed)


def _train_rows(num_rows: int, seed: int) -> Int[np.ndarray, " n"]:
    if num_rows <= MAX_TRAIN_ROWS:
        return np.arange(num_rows)
    return np.sort(generator_for(seed, "classic").choice(num_rows, MAX_TRAIN_ROWS, replace=False))


def _logistic(
    train: Any, train_targets: Int[np.ndarray, " M"], others: Any, *, num_labels: int, strength: float, seed: int
) -> Float[np.ndarray, "N C"]:
    """Multinomial logistic regression; `train` and `others` are dense or sparse matrices of features."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    present = np.unique(train_targets)
    if len(present) < 2:
        return majority_probs(train_targets, num_labels, others.shape[0])
    # A rough optimum predicts as well as an exact one here, at a fraction of the steps.
    model = LogisticRegression(C=strength, tol=1e-3, max_iter=200, random_state=seed_for(seed, "classic") % 2**32)
    # These products are too small to share: a second thread doubled the CPU seconds and saved no time.
    with threadpool_limits(1):
        model.fit(train, train_targets)
    probs = np.zeros((others.shape[0], num_labels))
    probs[:, present] = model.predict_proba(others)
    return probs
