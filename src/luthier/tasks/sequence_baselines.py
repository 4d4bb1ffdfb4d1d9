"""Texts that need no network: the source itself, its first or most central sentence, the target of the nearest training row."""

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from luthier.data.lists import parse_list
from luthier.data.text_pairs import accepted_of, source_of
from luthier.evaluation.baselines import word_features
from luthier.tasks.protocol import Baseline, Sample, TaskState
from luthier.tasks.written import as_numbers

_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+|\n+")
ROWS_AT_ONCE = 256
TOLD = 2  # numbers of a decoded row before those of its text


def sentences_of(cell: object) -> list[str]:
    """The sentences of a source: those of its list, or what stands between full stops.

    Example:
        >>> sentences_of("We see. We do! So it goes"), sentences_of('["a. b.", "c"]')
        (['We see.', 'We do!', 'So it goes'], ['a. b.', 'c'])
    """
    listed = parse_list(cell.strip()) if isinstance(cell, str) and cell.strip().startswith("[") else None
    found = listed if listed is not None else _SENTENCE_END.split(source_of(cell))
    return [sentence.strip() for sentence in found if sentence.strip()] or [""]


def copied(train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N K"]:
    """The source itself."""
    return as_decoded([source_of(cell) for cell in _sources(others)])


def first_sentence(train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N K"]:
    """The first sentence of the source."""
    return as_decoded([sentences_of(cell)[0] for cell in _sources(others)])


def central_sentence(train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N K"]:
    """The sentence most like the whole source by TF-IDF, the rarity of words being that of train."""
    known = [source_of(cell) for cell in _sources(train)]
    split = [sentences_of(cell) for cell in _sources(others)]
    flat = [sentence for sentences in split for sentence in sentences]
    found = word_features([known], [[*(" ".join(sentences) for sentences in split), *flat]])
    if found is None:
        return as_decoded([sentences[0] for sentences in split])
    wholes, pieces = found[1][: len(split)], found[1][len(split) :]
    ends = np.cumsum([len(sentences) for sentences in split])
    likeness = [
        np.asarray((pieces[end - len(sentences) : end] @ wholes[row].T).todense()).ravel()
        for row, (end, sentences) in enumerate(zip(ends.tolist(), split, strict=True))
    ]
    return as_decoded([sentences[int(like.argmax())] for sentences, like in zip(split, likeness, strict=True)])


def nearest_target(train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N K"]:
    """The target of the training row whose source is most like this one by TF-IDF: a translation memory."""
    known = [source_of(cell) for cell in _sources(train)]
    asked = [source_of(cell) for cell in _sources(others)]
    targets = [next(iter(accepted_of(cell)), "") for cell in train.table.column(train.roles["target"]).to_pylist()]
    found = word_features([known], [asked])
    if found is None:
        return as_decoded([targets[0] if targets else ""] * len(asked))
    memory = found[0].T.tocsr()
    nearest: list[int] = []
    for start in range(0, len(asked), ROWS_AT_ONCE):
        likeness = np.asarray((found[1][start : start + ROWS_AT_ONCE] @ memory).todense())
        nearest += likeness.argmax(axis=1).tolist()
    return as_decoded([targets[place] for place in nearest])


def as_decoded(texts: Sequence[str]) -> Float[np.ndarray, "N K"]:
    """Texts as a task's decoded numbers: nothing is said of any token's loss."""
    return np.hstack([np.zeros((len(texts), TOLD), dtype=np.float32), as_numbers(texts)])


def _sources(sample: Sample) -> list[object]:
    return list(sample.table.column(sample.roles["text"]).to_pylist())


COPY = Baseline(
    name="majority",
    needs_features=False,
    fit_predict=copied,
    title="Source copied",
    about="Gives the source as it is.",
)
MEMORY = Baseline(
    name="classic",
    needs_features=False,
    fit_predict=nearest_target,
    title="Translation memory",
    about="Gives the target of the training row whose source is most alike by TF-IDF of words and characters.",
)
FIRST = Baseline(
    name="majority",
    needs_features=False,
    fit_predict=first_sentence,
    title="First sentence",
    about="Gives the first sentence of the source.",
)
CENTRAL = Baseline(
    name="classic",
    needs_features=False,
    fit_predict=central_sentence,
    title="Most central sentence",
    about="Gives the sentence that is most like the whole source by TF-IDF.",
)
