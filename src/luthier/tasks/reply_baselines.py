"""What a tuned language model has to beat: counts of tokens at telling the right answer, and answers of train at giving one."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from luthier.evaluation.baselines import MAX_TRAIN_ROWS, word_features
from luthier.tasks.ngrams import Told, ngram_losses, summed, told_among, unigram_losses
from luthier.tasks.protocol import Baseline, Sample, TaskState
from luthier.tasks.reply_inputs import ReplyInputs
from luthier.tasks.reply_reading import ReplyReading
from luthier.tasks.written import as_numbers

ROWS_AT_ONCE = 256
Tell = Callable[..., Float[np.ndarray, " n"]]  # (counted, told, vocabulary=) -> the loss of each token told


def reply_baselines(reading: ReplyReading) -> tuple[Baseline, Baseline]:
    """The most frequent answer, and that of the nearest prompt; how well tokens are told by counts of one and of three."""

    def most_frequent(train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N K"]:
        said = Counter(reading.answer(row) for row in train.rows)
        answer = min(said, key=lambda text: (-said[text], len(text), text))
        return _decoded(train, others, [answer] * len(others), unigram_losses)

    def nearest(train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N K"]:
        return _decoded(train, others, nearest_answers(reading, train, others), ngram_losses)

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
            "tells tokens by which two stand before them, as counted in training (Kneser-Ney).",
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


def _decoded(train: Sample, others: Sample, answers: Sequence[str], tell: Tell) -> Float[np.ndarray, "N K"]:
    """Loss and tokens of the right answers under a model of counts, and the answers given, as the task decodes them."""
    assert isinstance(train.inputs, ReplyInputs)
    known, asked = (_told_in(sample) for sample in (train, others))
    losses = tell(known, asked, vocabulary=train.inputs.vocabulary)
    return np.hstack([summed(losses, asked, len(others)), as_numbers(list(answers))])


def _told_in(sample: Sample) -> Told:
    """The tokens of the answers of some rows; each row is a unit."""
    assert isinstance(sample.inputs, ReplyInputs)
    assert sample.units is not None
    return told_among(sample.inputs, sample.units, sample.inputs.targets(sample.units), np.arange(len(sample.units)))
