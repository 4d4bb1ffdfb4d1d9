"""What needs no pre-trained model to find labelled pieces: nothing at all, and a linear model of words and their neighbours."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from luthier.core.seeding import seed_for
from luthier.data.spans import Marked, Span, read_spans
from luthier.evaluation.baselines import chosen_rows
from luthier.tasks.protocol import Baseline, Sample, TaskState
from luthier.tasks.sought import pieces_as_decoded
from luthier.tasks.span_task import labels_in

OUTSIDE = "O"
HASHED_FEATURES = 1 << 18
NEIGHBOURS = (-2, -1, 1, 2)
_WORD = re.compile(r"\w+|[^\w\s]")

Word = tuple[int, int, str]


def most_frequent(train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N K"]:
    """For each label what most texts of train have: usually nothing; else as many words at the start of the text as usual."""
    labels = labels_in(state)
    texts, marked = _texts(train), _marked(train)
    numbers = [_usual_words(label, texts, marked) for label in labels]
    return pieces_as_decoded([[_first(text, number) for number in numbers] for text in _texts(others)], best=1)


def _usual_words(label: str, texts: Sequence[str], marked: Sequence[Marked]) -> int:
    sizes = Counter(
        len(_words(text[span.start : span.end]))
        for said, text in zip(marked, texts, strict=True)
        for span in said.spans
        if span.label == label
    )
    return max(sizes, key=lambda size: (sizes[size], -size)) if 2 * sizes.total() > len(marked) else 0


def _first(text: str, number: int) -> Span | None:
    words = _words(text)[:number]
    return Span(start=words[0][0], end=words[-1][1]) if words else None


def linear_words(train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N K"]:
    """Logistic regression on each word, its spelling, its neighbours and what was asked for; runs of one label are pieces."""
    from sklearn.feature_extraction import FeatureHasher
    from sklearn.linear_model import SGDClassifier

    labels = labels_in(state)
    kept = chosen_rows(len(train), seed)
    hasher = FeatureHasher(HASHED_FEATURES, input_type="string")
    texts, marked = _texts(train), _marked(train)
    rows = [(train.rows[row], _words(texts[row]), marked[row]) for row in kept]
    tags = [tag for _, words, said in rows for tag in _tags(words, said)]
    if len(set(tags)) < 2:
        return most_frequent(train, others, state, seed)
    model = SGDClassifier(loss="log_loss", alpha=1e-6, max_iter=12, tol=None, random_state=seed_for(seed, "classic") % 2**32)
    model.fit(hasher.transform(features for row, words, _ in rows for features in _features(row, words)), tags)
    asked = [(row, _words(text)) for row, text in zip(others.rows, _texts(others), strict=True)]
    counts = [len(words) for _, words in asked]
    features = [item for row, words in asked for item in _features(row, words)]
    probs = model.predict_proba(hasher.transform(features)) if features else np.zeros((0, len(model.classes_)))
    pieces = np.split(probs, np.cumsum(counts)[:-1])
    names = [str(name) for name in model.classes_]
    found = [_best_runs(words, part, names, labels) for (_, words), part in zip(asked, pieces, strict=True)]
    return pieces_as_decoded(found, best=1)


def _best_runs(words: Sequence[Word], probs: Float[np.ndarray, "n C"], names: Sequence[str], labels: Sequence[str]) -> Any:
    """For each label the run of words with the highest mean probability."""
    given = [names[place] for place in probs.argmax(axis=1)] if len(probs) else []
    best: dict[str, tuple[float, Span]] = {}
    for label, first, last in _runs(given):
        score = float(probs[first : last + 1].max(axis=1).mean())
        if score > best.get(label, (0.0, None))[0]:
            best[label] = score, Span(start=words[first][0], end=words[last][1], label=label)
    return [best[label][1] if label in best else None for label in labels]


def _runs(tags: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    start = 0
    for place in range(1, len(tags) + 1):
        if place == len(tags) or tags[place] != tags[start]:
            if tags[start] != OUTSIDE:
                yield tags[start].removeprefix("-"), start, place - 1
            start = place


def _tags(words: Sequence[Word], said: Marked) -> list[str]:
    """The label of each word behind a dash, so that no label is `O`."""
    return [
        next((f"-{span.label}" for span in said.spans if start < span.end and end > span.start), OUTSIDE)
        for start, end, _ in words
    ]


def _features(row: Any, words: Sequence[Word]) -> Iterator[list[str]]:
    asked = "" if isinstance(row, str) else str(row[1]).lower()
    spelt = [word for *_, word in words]
    for place, word in enumerate(spelt):
        lowered = word.lower()
        found = ["bias", f"w={lowered}", f"shape={_shape(word)}", f"end={lowered[-3:]}", f"begin={lowered[:3]}"]
        found += [f"asked={asked}", f"asked={asked}|shape={_shape(word)}", f"asked={asked}|n={min(len(spelt), 4)}"]
        for distance in NEIGHBOURS:
            other = spelt[place + distance].lower() if 0 <= place + distance < len(spelt) else "<>"
            found.append(f"{distance}={other}")
        yield [*found, f"pair={found[-3]}|{lowered}", f"pair={lowered}|{found[-2]}"]


def _shape(word: str) -> str:
    """Letters as `x` or `X`, digits as `0`, repeats once.

    Example:
        >>> _shape("7pm"), _shape("Ada"), _shape("2014")
        ('0x', 'Xx', '0')
    """
    kinds = ("0" if sign.isdigit() else "X" if sign.isupper() else "x" if sign.isalpha() else sign for sign in word)
    shape = "".join(kinds)
    return re.sub(r"(.)\1+", r"\1", shape)


def _words(text: str) -> list[Word]:
    return [(*item.span(), item.group()) for item in _WORD.finditer(text)]


def _texts(sample: Sample) -> list[str]:
    return [row if isinstance(row, str) else str(row[0]) for row in sample.rows]


def _marked(sample: Sample) -> list[Marked]:
    told = sample.table.column(sample.roles["target"]).to_pylist()
    return [read_spans(cell, text) for cell, text in zip(told, _texts(sample), strict=True)]


NOTHING = Baseline(
    name="majority",
    needs_features=False,
    fit_predict=most_frequent,
    title="Most frequent answer",
    about="For each name what most texts have: usually nothing, else as many words at the start of the text as usual.",
)
WORD_MODEL = Baseline(
    name="classic",
    needs_features=False,
    fit_predict=linear_words,
    title="Linear model of words",
    about="Logistic regression on each word, its spelling and its neighbours; runs of words of one name are pieces.",
)
