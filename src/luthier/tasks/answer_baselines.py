"""Answers that need no pre-trained model: words at the start of the context, and words near those of the question."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from luthier.data.spans import Marked, Span, read_answers
from luthier.evaluation.baselines import chosen_rows
from luthier.evaluation.measures.answer_text import answer_words, best_agreement, token_f1
from luthier.tasks.protocol import Baseline, Sample, TaskState
from luthier.tasks.sought import pieces_as_decoded

BEST = 3  # pieces of each row, as the task keeps them
TRIED_ROWS = 400  # of train, to choose how many words are answered
SIZES = (1, 2, 3, 4, 5, 7, 10, 15, 1_000)  # words of an answer; the last is the whole sentence
THRESHOLDS = 20
_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+|(?<=[。！？؟])")

Answering = Callable[[Sample], list[Span | None]]


def first_words(train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N K"]:
    """So many words at the start of the context as answers of train most often have; nothing if most have no answer."""
    marked = _marked(train)
    sizes = Counter(len(answer_words(said.answers[0])) for said in marked if said.spans)
    absent = sum(said.is_usable and not said.spans for said in marked)
    number = 0 if 2 * absent > len(marked) or not sizes else max(sizes, key=lambda size: (sizes[size], -size))
    return pieces_as_decoded([[_start(context, max(number, 0))] for _, context in others.rows], best=BEST)


def _start(context: str, number: int) -> Span | None:
    words = list(_WORD.finditer(context))[:number]
    return Span(start=words[0].start(), end=words[-1].end()) if words else None


def nearest_words(train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N K"]:
    """The sentence most like the question by TF-IDF; of it the words that stand among, or next to, those of the question.

    Which of the two, how many words, and how unlike a sentence may be before there is no answer: whatever is best on train.
    """
    kept = chosen_rows(len(train), seed)
    weights = _rarity([context for _, context in train.rows])
    ranked = [_rank(question, context, weights) for question, context in others.rows]
    marked = _marked(train)
    tried = np.random.default_rng(seed).permutation(kept)[:TRIED_ROWS]
    known = [(_rank(train.rows[row][0], train.rows[row][1], weights), marked[row]) for row in tried if marked[row].is_usable]
    choice = _choose(known, may_be_absent=bool(state.values["may_be_absent"]))
    return pieces_as_decoded([[_answer(item, choice)] for item in ranked], best=BEST)


@dataclass(frozen=True, kw_only=True)
class _Ranked:
    """The best sentence of a context.

    Attributes:
        likeness: Cosine with the question, 0 to 1.
        spans: Its words.
        hits: Of each word its weight if the question has it, else 0.
        context: All of it.
    """

    likeness: float
    spans: Sequence[tuple[int, int]]
    hits: Float[np.ndarray, " n"]
    context: str


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """How an answer is cut out of a sentence."""

    beside: bool
    size: int
    least: float = -1.0


def _rarity(contexts: Sequence[str]) -> Callable[[str], float]:
    """How rare a word is among the contexts: its inverse document frequency."""
    documents = [set(_WORD.findall(context.lower())) for context in set(contexts)]
    counts = Counter(word for words in documents for word in words)
    total = len(documents)
    return lambda word: float(np.log((1 + total) / (1 + counts[word])) + 1)


def _rank(question: str, context: str, weight: Callable[[str], float]) -> _Ranked:
    asked = set(_WORD.findall(question.lower()))
    best = _Ranked(likeness=0.0, spans=(), hits=np.zeros(0), context=context)
    for start, end in _sentences(context):
        found = list(_WORD.finditer(context, start, end))
        if not found:
            continue
        weights = np.array([weight(item.group().lower()) for item in found])
        hits = np.array([item.group().lower() in asked for item in found]) * weights
        length = float(np.linalg.norm(weights)) * float(np.linalg.norm([weight(word) for word in asked] or [1.0]))
        likeness = float((hits**2).sum()) / length
        if not best.spans or likeness > best.likeness:
            best = _Ranked(likeness=likeness, spans=[item.span() for item in found], hits=hits, context=context)
    return best


def _sentences(context: str) -> Iterator[tuple[int, int]]:
    start = 0
    for gap in _SENTENCE_END.finditer(context):
        yield start, gap.start()
        start = gap.end()
    yield start, len(context)


def _answer(ranked: _Ranked, choice: _Choice) -> Span | None:
    number = len(ranked.spans)
    if not number or ranked.likeness < choice.least:
        return None
    first = _best_start(ranked.hits, min(choice.size, number), beside=choice.beside)
    return Span(start=ranked.spans[first][0], end=ranked.spans[first + min(choice.size, number) - 1][1])


def _best_start(hits: Float[np.ndarray, " n"], size: int, *, beside: bool) -> int:
    """The window of `size` words with the most weight of the question's words in it, or near it and not in it."""
    starts = np.arange(len(hits) - size + 1)
    sums = np.concatenate([[0.0], np.cumsum(hits)])
    inside = sums[starts + size] - sums[starts]
    if not beside:
        return int(inside.argmax())
    places: Int[np.ndarray, " n"] = np.arange(len(hits))
    distance = np.maximum(np.maximum(starts[:, None] - places, places - (starts[:, None] + size - 1)), 0)
    near = (hits / (1 + distance) * (distance > 0)).sum(axis=1)
    return int((near - inside).argmax())


def _choose(known: Sequence[tuple[_Ranked, Marked]], *, may_be_absent: bool) -> _Choice:
    choices = [_Choice(beside=beside, size=size) for size in SIZES for beside in (True, False)]
    best = max(choices, key=lambda choice: _quality(known, choice))
    if not may_be_absent or not known:
        return best
    levels = np.quantile([ranked.likeness for ranked, _ in known], np.linspace(0, 1, THRESHOLDS))
    limited = [_Choice(beside=best.beside, size=best.size, least=float(level)) for level in (*levels, 2.0)]
    return max([best, *limited], key=lambda choice: _quality(known, choice))


def _quality(known: Sequence[tuple[_Ranked, Marked]], choice: _Choice) -> float:
    total = 0.0
    for ranked, said in known:
        span = _answer(ranked, choice)
        words = "" if span is None else ranked.context[span.start : span.end]
        total += best_agreement(token_f1, words, said.answers)
    return total


def _marked(sample: Sample) -> list[Marked]:
    told = sample.table.column(sample.roles["target"]).to_pylist()
    starts = (
        sample.table.column(sample.roles["answer_start"]).to_pylist() if "answer_start" in sample.roles else [None] * len(told)
    )
    return [read_answers(cell, context, start) for cell, (_, context), start in zip(told, sample.rows, starts, strict=True)]


FIRST_WORDS = Baseline(
    name="majority",
    needs_features=False,
    fit_predict=first_words,
    title="First words",
    about="Gives as many words at the start of the context as answers most often have; none if most have none.",
)
NEAREST_WORDS = Baseline(
    name="classic",
    needs_features=False,
    fit_predict=nearest_words,
    title="Nearest words by TF-IDF",
    about="Finds the sentence most like the question by TF-IDF, and gives words there that lie near those of the question.",
)
