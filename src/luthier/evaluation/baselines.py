"""What tuning has to beat: models that need no tuning, each a function from training data to answers [N, C].

Targets of one label are indices into the labels of the run (a label without training rows gets probability 0), of several
labels 0 or 1 for each, of numbers scaled ones. Choices here were made on validation parts, never on test parts (see the lab
notebook).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from luthier.core.seeding import generator_for, seed_for

# More rows make a linear model on words hardly better, and the baseline must stay a small part of the run.
MAX_TRAIN_ROWS = 100_000
WORDS_STRENGTH, PIXELS_STRENGTH, SOUND_STRENGTH = 10.0, 0.1, 1.0
RIDGE_PENALTY = 10.0
NEGATIONS = frozenset({"no", "not", "nobody", "none", "nothing", "never", "without", "n't"})
_TEMPERATURE = 0.05


def majority_probs(train_targets: Int[np.ndarray, " N"], num_labels: int, num_examples: int) -> Float[np.ndarray, "N C"]:
    """Always the most frequent label: each example gets the label frequencies of train.

    Example:
        >>> majority_probs(np.array([0, 1, 1, 1]), 2, 1).tolist()
        [[0.25, 0.75]]
    """
    frequencies = np.bincount(train_targets, minlength=num_labels) / max(len(train_targets), 1)
    return np.tile(frequencies, (num_examples, 1))


def repeated_label(
    last: Int[np.ndarray, " N"], train_targets: Int[np.ndarray, " M"], train_last: Int[np.ndarray, " M"], *, num_labels: int
) -> Float[np.ndarray, "N C"]:
    """The label that was right last time, for data in order of time; -1 where nothing was, which gets the frequencies.

    Its probability is a mixture of itself and the frequencies of train, mixed so that a label comes again as often as in
    train; the label before is the likeliest whatever train says.

    Example:
        >>> repeated_label(np.array([1, -1]), np.array([0, 0, 1, 1]), np.array([-1, 0, 0, 1]), num_labels=2).round(2).tolist()
        [[0.25, 0.75], [0.5, 0.5]]
    """
    known = train_targets >= 0
    probs = majority_probs(train_targets[known], num_labels, len(last))
    told = (train_last >= 0) & known
    again = float((train_targets[told] == train_last[told]).mean()) if told.any() else 1.0
    by_chance = float((probs[:1] ** 2).sum())
    sure = min(0.99, max(0.5, (again - by_chance) / max(1e-9, 1 - by_chance)))
    rows = np.flatnonzero(last >= 0)
    probs[rows] *= 1 - sure
    probs[rows, last[rows]] += sure
    return probs


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


def word_features(train: Sequence[Sequence[str]], others: Sequence[Sequence[str]]) -> tuple[Any, Any, float] | None:
    """The classic for text: TF-IDF of words, word pairs and character 3- to 5-grams, for a linear model with C = 10.

    At most 20,000 words and pairs and 20,000 character grams, sublinear term counts.

    Args:
        train, others: Columns of texts; those of several are put side by side.

    Returns:
        Sparse features of both, and C; None if no text of train holds a single word.

    Source: Wang & Manning, Baselines and bigrams: simple, good sentiment and topic classification, 2012.
    """
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_union

    parts = []
    for texts, other_texts in zip(train, others, strict=True):
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=20_000, token_pattern=r"(?u)\b\w+\b")
        characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, max_features=20_000)
        vectors = make_union(words, characters)
        try:
            fitted = vectors.fit_transform(texts)
        except ValueError:  # scikit-learn's word for "no text holds a single word": there is nothing to learn from
            continue
        parts.append((fitted, vectors.transform(other_texts)))
    if not parts:
        return None
    if len(parts) == 1:
        return *parts[0], WORDS_STRENGTH
    return (
        sparse.hstack([one for one, _ in parts]).tocsr(),
        sparse.hstack([other for _, other in parts]).tocsr(),
        WORDS_STRENGTH,
    )


def pair_features(train: Sequence[tuple[str, str]], others: Sequence[tuple[str, str]]) -> tuple[Any, Any, float] | None:
    """The classic for pairs of texts: TF-IDF of each, and six numbers that say how far the two overlap."""
    from scipy import sparse

    both = [[[pair[side] for pair in pairs] for side in (0, 1)] for pairs in (train, others)]
    found = word_features(both[0], both[1])
    if found is None:
        return None
    fitted, transformed, strength = found
    shared = [sparse.csr_array(np.array([_overlap(*pair) for pair in pairs]).reshape(-1, 6)) for pairs in (train, others)]
    return sparse.hstack([fitted, shared[0]]).tocsr(), sparse.hstack([transformed, shared[1]]).tocsr(), strength


def _overlap(first: str, second: str) -> list[float]:
    """Jaccard of words and of character trigrams, share of each text's words in the other, whether both negate, lengths."""
    words = [set(text.lower().split()) for text in (first, second)]
    grams = [{text[start : start + 3] for start in range(max(1, len(text) - 2))} for text in (first.lower(), second.lower())]
    common = len(words[0] & words[1])
    negations = [bool(one & NEGATIONS) for one in words]
    return [
        common / max(1, len(words[0] | words[1])),
        len(grams[0] & grams[1]) / max(1, len(grams[0] | grams[1])),
        common / max(1, len(words[0])),
        common / max(1, len(words[1])),
        float(negations[0] == negations[1]),
        min(len(words[0]), len(words[1])) / max(1, len(words[0]), len(words[1])),
    ]


def pixel_features(
    train: Float[np.ndarray, "M P"], others: Float[np.ndarray, "N P"], *, seed: int = 0
) -> tuple[Any, Any, float]:
    """The classic for images: whitened main components of small images (16 x 16 RGB, flattened), for a linear model, C = 0.1.

    At most 64 components.
    """
    from sklearn.decomposition import PCA

    kept = np.asarray(train, dtype=np.float64)
    size = min(64, *kept.shape)
    components = PCA(size, whiten=True, svd_solver="randomized", random_state=seed_for(seed, "pixels") % 2**32)
    return components.fit_transform(kept), components.transform(np.asarray(others, dtype=np.float64)), PIXELS_STRENGTH


def standardised(
    train: Float[np.ndarray, "M D"], others: Float[np.ndarray, "N D"]
) -> tuple[Float[np.ndarray, "M D"], Float[np.ndarray, "N D"]]:
    """Columns brought to mean 0 and variance 1 on train; the others go along.

    Example:
        >>> [part.tolist() for part in standardised(np.array([[1.0], [3.0]]), np.array([[5.0]]))]
        [[[-1.0], [1.0]], [[3.0]]]
    """
    middle, spread = train.mean(axis=0), np.maximum(train.std(axis=0), 1e-6)
    return (train - middle) / spread, (others - middle) / spread


def chosen_rows(num_rows: int, seed: int) -> Int[np.ndarray, " n"]:
    """The rows that the classic is fitted on: all, or `MAX_TRAIN_ROWS` drawn at random."""
    if num_rows <= MAX_TRAIN_ROWS:
        return np.arange(num_rows)
    return np.sort(generator_for(seed, "classic").choice(num_rows, MAX_TRAIN_ROWS, replace=False))


def logistic(
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


def logistic_of_each(
    train: Any, train_targets: Float[np.ndarray, "M C"], others: Any, *, strength: float, seed: int
) -> Float[np.ndarray, "N C"]:
    """A logistic regression of each column of 0 and 1; where a column has one value only, that value."""
    columns = []
    for targets in train_targets.T.astype(np.int64):
        probs = logistic(train, targets, others, num_labels=2, strength=strength, seed=seed)
        columns.append(probs[:, 1])
    return np.stack(columns, axis=1) if columns else np.zeros((others.shape[0], 0))


def ridge(train: Any, train_targets: Float[np.ndarray, "M C"], others: Any) -> Float[np.ndarray, "N C"]:
    """Ridge regression with a penalty of 10; `train` and `others` are dense or sparse matrices of features."""
    from sklearn.linear_model import Ridge
    from threadpoolctl import threadpool_limits

    model = Ridge(alpha=RIDGE_PENALTY, tol=1e-3)
    with threadpool_limits(1):
        model.fit(train, train_targets)
        return np.asarray(model.predict(others), dtype=np.float64).reshape(others.shape[0], -1)


def mean_of_nearest(
    train_features: Float[np.ndarray, "M D"],
    train_targets: Float[np.ndarray, "M C"],
    features: Float[np.ndarray, "N D"],
    *,
    neighbours: int,
) -> Float[np.ndarray, "N C"]:
    """The pre-trained model as it comes: the mean of the targets of the training rows whose features are nearest by cosine.

    Features are centred on the mean of train, as in `nearest_class_mean`; nothing is fitted.

    Example:
        >>> points, targets = np.array([[1.0, 0.0], [0.9, 0.1], [-1.0, 0.0]]), np.array([[1.0], [3.0], [9.0]])
        >>> mean_of_nearest(points, targets, np.array([[1.0, 0.1]]), neighbours=2).tolist()
        [[2.0]]
    """
    centre = train_features.mean(axis=0, dtype=np.float64)
    known = _to_unit_length(train_features - centre).astype(np.float32)
    count = min(neighbours, len(known))
    found = np.empty((len(features), train_targets.shape[1]))
    step = max(1, 2**24 // max(1, len(known)))
    for start in range(0, len(features), step):
        cosines = _to_unit_length(features[start : start + step] - centre).astype(np.float32) @ known.T
        nearest = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        found[start : start + step] = train_targets[nearest].mean(axis=1)
    return found
