"""What tuning has to beat where every word gets a tag: the most frequent tag, and a linear model on how words look.

The classic: logistic regression on each word's letters, shape and neighbours, hashed; what was usual before embeddings, but for
a chain over the tags.

Source: Ratinov & Roth, Design challenges and misconceptions in named entity recognition, 2009 (features).
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from luthier.data.words import Words
from luthier.evaluation.baselines import chosen_rows
from luthier.tasks.protocol import Baseline, Sample, TaskState
from luthier.tasks.word_inputs import IGNORED, pack

BUCKETS = 1 << 20
PASSES = 12
STRENGTH = 2e-6
_RUNS = ((re.compile("[A-Z]+"), "A"), (re.compile("[a-z]+"), "a"), (re.compile("[0-9]+"), "0"))


def labels_of(sample: Sample, state: TaskState) -> list[Int[np.ndarray, " words"]]:
    """The label of each word of each row; `IGNORED` where train has no such tag."""
    from luthier.tasks.token_task import tags_of

    index = {tag: place for place, tag in enumerate(state.labels)}
    return [
        np.array([index.get(tag, IGNORED) for tag in tags], dtype=np.int64)
        for tags in tags_of(sample.table, state, sample.roles)
    ]


def majority(train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N K"]:
    """The most frequent tag of train for every word: mostly `O`, and no entity at all."""
    known = np.concatenate([*labels_of(train, state), np.zeros(0, dtype=np.int64)])
    counts = np.bincount(known[known != IGNORED], minlength=len(state.labels))
    best, share = int(counts.argmax()), float(counts.max() / max(counts.sum(), 1))
    sizes = [len(row.words) for row in others.rows]
    return pack([np.full(size, best) for size in sizes], [np.full(size, share) for size in sizes])


def classic(train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N K"]:
    """Logistic regression on the features of words."""
    from sklearn.linear_model import SGDClassifier

    labels = labels_of(train, state)
    kept = [row for row in chosen_rows(len(labels), seed) if (labels[row] != IGNORED).all() and len(labels[row])]
    known = np.concatenate([*(labels[row] for row in kept), np.zeros(0, dtype=np.int64)])
    if len(np.unique(known)) < 2 or not any(len(row.words) for row in others.rows):
        return majority(train, others, state, seed)
    model = SGDClassifier(loss="log_loss", alpha=STRENGTH, max_iter=PASSES, tol=None, average=True, random_state=seed)
    model.fit(hashed([train.rows[row] for row in kept]), known)
    probs = model.predict_proba(hashed(others.rows))
    best = probs.argmax(axis=1)
    cuts = np.cumsum([len(row.words) for row in others.rows])[:-1]
    return pack(np.split(model.classes_[best], cuts), np.split(probs[np.arange(len(best)), best], cuts))


def hashed(rows: Sequence[Words]) -> Any:
    """Sparse features of all words of some rows, one after the other."""
    from sklearn.feature_extraction import FeatureHasher

    hasher = FeatureHasher(n_features=BUCKETS, input_type="string", alternate_sign=False, dtype=np.float32)
    return hasher.transform(features for row in rows for features in word_features(row.words))


def word_features(words: Sequence[str]) -> Iterator[list[str]]:
    """What is said of each word of a sentence.

    Example:
        >>> list(word_features(["Aspirin"]))[0][:4]
        ['w=aspirin', 's=Aa', 'p1=a', 'e1=n']
    """
    lower = ["<2", "<1", *(word.lower() for word in words), ">1", ">2"]
    shapes = ["<", "<", *map(shape_of, words), ">", ">"]
    for place in range(2, len(words) + 2):
        word, shape = lower[place], shapes[place]
        found = [f"w={word}", f"s={shape}"]
        for length in range(1, 5):
            found += [f"p{length}={word[:length]}", f"e{length}={word[-length:]}"]
        for step in (-2, -1, 1, 2):
            found.append(f"w{step:+d}={lower[place + step]}")
        found += [f"s-1={shapes[place - 1]}|{shape}", f"s+1={shape}|{shapes[place + 1]}"]
        found += [f"b-1={lower[place - 1]}|{word}", f"b+1={word}|{lower[place + 1]}"]
        found += [f"e-1={lower[place - 1][-3:]}", f"e+1={lower[place + 1][-3:]}"]
        yield found


def shape_of(word: str) -> str:
    """Runs of capitals, small letters and digits as one sign each.

    Example:
        >>> shape_of("COVID-19"), shape_of("Aspirin")
        ('A-0', 'Aa')
    """
    for pattern, sign in _RUNS:
        word = pattern.sub(sign, word)
    return word[:8]


BASELINES = (
    Baseline(
        name="majority",
        needs_features=False,
        fit_predict=majority,
        title="Most frequent tag",
        about="Gives every word the tag that is most common in training: mostly none, so that it finds nothing.",
    ),
    Baseline(
        name="classic",
        needs_features=False,
        fit_predict=classic,
        title="Linear model on words",
        about="Logistic regression on each word's letters and shape and its neighbours, without a neural network.",
    ),
)
