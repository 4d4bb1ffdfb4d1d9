"""What a tuned language model has to beat: counts of tokens at telling the right answer, and answers of train at giving one."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from luthier.evaluation.baselines import MAX_TRAIN_ROWS, word_features
from luthier.evaluation.ngrams import fit_ngrams
from luthier.tasks.protocol import Baseline, Sample, TaskState
from luthier.tasks.reply_reading import ReplyReading
from luthier.tasks.word_inputs import IGNORED
from luthier.tasks.written import as_numbers

ROWS_AT_ONCE = 256


def reply_baselines(reading: ReplyReading) -> tuple[Baseline, Baseline]:
    """The most frequent answer, and that of the nearest prompt; how well tokens are told by counts of one and of three."""

    def most_frequent(train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N K"]:
        said = Counter(reading.answer(row) for row in train.rows)
        answer = min(said, key=lambda text: (-said[text], len(text), text))
        return _decoded(train, others, [answer] * len(others), order=1)

    def nearest(train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N K"]:
        return _decoded(train, others, nearest_answers(reading, train, others), order=3)

    return (
        Baseline(
            name="majority",
            needs_features=False,
            fit_predict=most_frequent,
            title="Most frequent answer; unigrams",
            about="Always gives the answer that training has most often, and tells tokens by how often each occurs in answers.",
        ),
        Baseline(
            name="classic",
            needs_features=False,
            fit_predict=nearest,
            title="Answer of the nearest prompt; trigrams",
            about="Gives the answer of the training row whose prompt is most alike by TF-IDF of words and characters, and "
            "tells tokens by which two stood before them in the answers of training.",
        ),
    )


def nearest_answers(reading: ReplyReading, train: Sample, others: Sample) -> list[str]:
    """The answer of the training row with the most similar prompt."""
    rows = train.rows[:MAX_TRAIN_ROWS]
    answers = [reading.answer(row) for row in rows]
    found = word_features([[reading.prompt(row) for row in rows]], [[reading.prompt(row) for row in others.rows]])
    if found is None:
        return [answers[0] if answers else ""] * len(others)
    memory, said = found[0].T.tocsr(), []
    for start in range(0, len(others), ROWS_AT_ONCE):
        likeness = np.asarray((found[1][start : start + ROWS_AT_ONCE] @ memory).todense())
        said += [answers[place] for place in likeness.argmax(axis=1).tolist()]
    return said


def _decoded(train: Sample, others: Sample, answers: Sequence[str], *, order: int) -> Float[np.ndarray, "N K"]:
    """Loss and tokens of the right answers under a model of counts, and the answers given, as the task decodes them."""
    known, asked = ([row[row != IGNORED].tolist() for row in sample.targets] for sample in (train, others))
    vocabulary = 1 + max((max(tokens) for tokens in (*known, *asked) if tokens), default=0)
    model = fit_ngrams(known, order=order, vocabulary=vocabulary)
    told = np.array([[model.loss(tokens), len(tokens)] for tokens in asked], dtype=np.float32).reshape(-1, 2)
    return np.hstack([told, as_numbers(list(answers))])
