"""The classic for tables: gradient boosted trees on all columns; texts as topics and as what a linear model makes of them,
pictures as the main components of their pixels.

Trees take categories as they are and missing values as a value. How large they are and how many is chosen on a held-out share
of train, then they are grown again on all of train; validation and test are not looked at.
Source: Grinsztajn et al. 2022, "Why do tree-based models still outperform deep learning on typical tabular data?"; predictions
out of fold as features: Wolpert 1992, "Stacked generalization".
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from luthier.core.seeding import generator_for, seed_for
from luthier.evaluation.baselines import chosen_rows, pixel_features, word_features
from luthier.models.table_cells import MISSING, RARE
from luthier.models.table_fit import fit_table
from luthier.models.table_processor import RawCells, TableProcessor
from luthier.tasks.answers.answer import Answer
from luthier.tasks.protocol import Sample, TaskState
from luthier.tasks.readings.image import thumbnails
from luthier.tasks.readings.reading import Reading
from luthier.tasks.readings.table import table_of

LEAVES = (4, 8, 31)
RATE, MOST_TREES, PATIENCE, HELD_OUT = 0.06, 500, 20, 0.15
FEW_ROWS = 200  # of fewer nothing is held out
MOST_TOPICS, FOLDS = 32, 3
MOST_CODES = 250  # scikit-learn's trees take at most 255 categories of a column


def boosted_trees(
    reading: Reading, answer: Answer, train: Sample, others: Sample, state: TaskState, seed: int
) -> Float[np.ndarray, "N K"]:
    """Answers of boosted trees for rows of a table."""
    kept = chosen_rows(len(train), seed)
    kept = kept[answer.known(train.targets[kept])]
    targets = train.targets[kept]
    table, other_table = table_of([train.rows[row] for row in kept]), table_of(others.rows)
    columns = [(str(name), str(kind)) for name, kind in state.values["columns"]]
    processor = TableProcessor(fit_table(table, columns, scaling="standard"))
    cells, other_cells = processor.cells(table), processor.cells(other_table)
    features, other_features = _features(cells), _features(other_cells)
    is_category = np.repeat([False, True], [cells.numbers.shape[1], cells.categories.shape[1]])
    for place in range(len(cells.texts)):
        both = (cells.texts[place], other_cells.texts[place])
        read, other_read = _read_text(answer, both, targets, state, seed)
        features, other_features = np.hstack([features, read]), np.hstack([other_features, other_read])
    for place in range(len(cells.images)):
        pixels, other_pixels = (thumbnails(paths, missing=np.nan) for paths in (cells.images[place], other_cells.images[place]))
        read, other_read = _read_pictures(pixels, other_pixels, seed)
        features, other_features = np.hstack([features, read]), np.hstack([other_features, other_read])
    is_category = np.concatenate([is_category, np.zeros(features.shape[1] - len(is_category), dtype=bool)])
    if not features.shape[1] or len(np.unique(targets, axis=0)) < 2:
        return answer.majority(train.targets, len(others), state)
    if not answer.has_classes:
        grown = _grown("regressor", features, targets[:, 0], is_category, seed)
        return np.asarray(grown.predict(other_features)[:, None])
    grown = _grown("classifier", features, targets, is_category, seed)
    probs = np.zeros((len(others), len(state.labels)))
    probs[:, grown.classes_] = grown.predict_proba(other_features)
    return probs


def _features(cells: RawCells) -> Float[np.ndarray, "N n"]:
    """Numbers, then codes counted from 0; what is missing is NaN, and codes beyond what trees take are rare."""
    codes = np.where(cells.categories - RARE > MOST_CODES, RARE, cells.categories)
    return np.hstack([cells.numbers, np.where(codes == MISSING, np.nan, codes - RARE)])


def _read_text(
    answer: Answer, texts: tuple[Sequence[str], Sequence[str]], targets: np.ndarray, state: TaskState, seed: int
) -> tuple[Float[np.ndarray, "M k"], Float[np.ndarray, "N k"]]:
    """A column of texts as main topics, and as the answers of a linear model that has not seen the row itself."""
    from sklearn.decomposition import TruncatedSVD

    found = word_features([texts[0]], [texts[1]])
    if found is None:
        return np.zeros((len(texts[0]), 0)), np.zeros((len(texts[1]), 0))
    words, other_words, strength = found
    parts, other_parts = [], []
    size = min(MOST_TOPICS, words.shape[0] - 1, words.shape[1] - 1)
    if size > 0:
        topics = TruncatedSVD(size, random_state=seed_for(seed, "topics") % 2**32)
        parts.append(topics.fit_transform(words))
        other_parts.append(topics.transform(other_words))
    if len(targets) >= FEW_ROWS:
        folds = generator_for(seed, "folds").permutation(len(targets)) % FOLDS
        other_parts.append(answer.linear(words, targets, other_words, state, strength=strength, seed=seed))
        own = np.zeros((len(targets), other_parts[-1].shape[1]))
        for fold in range(FOLDS):
            known, asked = folds != fold, folds == fold
            own[asked] = answer.linear(words[known], targets[known], words[asked], state, strength=strength, seed=seed)
        parts.append(own)
    return np.hstack(parts), np.hstack(other_parts)


def _read_pictures(
    pixels: Float[np.ndarray, "M P"], other_pixels: Float[np.ndarray, "N P"], seed: int
) -> tuple[Float[np.ndarray, "M k"], Float[np.ndarray, "N k"]]:
    """A column of pictures as main components of small ones; NaN where there is no picture."""
    there, other_there = (~np.isnan(part[:, 0]) for part in (pixels, other_pixels))
    if there.sum() < 2:
        return np.zeros((len(pixels), 0)), np.zeros((len(other_pixels), 0))
    found, other_found, _ = pixel_features(pixels[there], np.nan_to_num(other_pixels), seed=seed)
    read = np.full((len(pixels), found.shape[1]), np.nan)
    read[there] = found
    return read, np.where(other_there[:, None], other_found, np.nan)


def _grown(
    kind: str, features: Float[np.ndarray, "N n"], targets: np.ndarray, is_category: Bool[np.ndarray, " n"], seed: int
) -> Any:
    """Trees fitted to all rows, as large and as many as did best on rows held out."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    make: Mapping[str, Any] = {"classifier": HistGradientBoostingClassifier, "regressor": HistGradientBoostingRegressor}
    common = {"learning_rate": RATE, "categorical_features": is_category, "random_state": seed_for(seed, "trees") % 2**32}
    size = {"max_leaf_nodes": LEAVES[1], "max_iter": 50, "min_samples_leaf": min(20, max(1, len(targets) // 20))}
    if len(targets) >= FEW_ROWS:
        held = _held_out(targets, seed)
        watched = {"early_stopping": True, "n_iter_no_change": PATIENCE, "max_iter": MOST_TREES}
        tried = []
        for leaves in LEAVES:
            trees = make[kind](max_leaf_nodes=leaves, **watched, **common)
            trees.fit(features[~held], targets[~held], X_val=features[held], y_val=targets[held])
            tried.append((float(trees.validation_score_.max()), leaves, int(trees.validation_score_.argmax())))
        _, leaves, count = max(tried)
        size = {"max_leaf_nodes": leaves, "max_iter": max(1, count)}
    return make[kind](early_stopping=False, **size, **common).fit(features, targets)


def _held_out(targets: np.ndarray, seed: int) -> Bool[np.ndarray, " N"]:
    """Rows that tell when to stop; of every value that is a class at least one stays with the others."""
    held = np.asarray(generator_for(seed, "held out").random(len(targets)) < HELD_OUT)
    if targets.dtype == np.int64:
        held &= np.isin(targets, targets[~held])
    return held
