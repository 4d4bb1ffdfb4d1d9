"""BLEU, chrF and ROUGE against what defines them: sacrebleu and rouge_score, on the same texts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

from luthier.evaluation.bootstrap import score_of
from luthier.evaluation.intervals import score
from luthier.evaluation.measures import MEASURES
from luthier.evaluation.measures.bleu import words_of
from luthier.evaluation.records import Predictions
from luthier.evaluation.text_predictions import text_predictions

WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "mats",
    "no",
    "3.5",
    "Ida's",
    "well-known",
    "¿qué?",
    "ñandú,",
    "(so)",
    "it.",
    "&amp;",
    "a-\nb",
]
TEXT = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)
PAIRS = st.lists(st.tuples(TEXT, TEXT.filter(bool)), min_size=1, max_size=8)
MANY = st.lists(st.tuples(TEXT, st.lists(TEXT.filter(bool), min_size=1, max_size=3)), min_size=1, max_size=6)


def predicted(said: list[str], accepted: list[list[str]]) -> Predictions:
    ids = [f"a:{row}" for row in range(len(said))]
    return text_predictions(example_ids=ids, targets=[texts[0] for texts in accepted], predictions=said, accepted=accepted)


def ours(name: str, predictions: Predictions) -> float:
    return float(MEASURES[name].value(MEASURES[name].stats(predictions).sum(axis=0)))


def theirs(metric: BLEU | CHRF, said: list[str], accepted: list[list[str]]) -> float:
    """Of several references; sacrebleu takes them by number, None where an example has fewer."""
    most = max(map(len, accepted))
    references = [[texts[place] if place < len(texts) else None for texts in accepted] for place in range(most)]
    return float(metric.corpus_score(said, references).score) / 100


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | TEXT)
def test_words_are_cut_as_sacrebleu_cuts_them(text: str) -> None:
    assert words_of(text) == Tokenizer13a()(text.rstrip()).split()


@settings(deadline=None)
@given(pairs=MANY)
def test_bleu_is_sacrebleus(pairs: list[tuple[str, list[str]]]) -> None:
    said, accepted = ([pair[side] for pair in pairs] for side in (0, 1))
    assert ours("bleu", predicted(said, accepted)) == pytest.approx(theirs(BLEU(), said, accepted), abs=1e-9)


@settings(deadline=None)
@given(pairs=MANY)
def test_chrf_is_sacrebleus(pairs: list[tuple[str, list[str]]]) -> None:
    said, accepted = ([pair[side] for pair in pairs] for side in (0, 1))
    assert ours("chrf", predicted(said, accepted)) == pytest.approx(theirs(CHRF(), said, accepted), abs=1e-9)


ASCII = st.lists(st.sampled_from([word for word in WORDS if word.isascii()]), max_size=9).map(" ".join)


@settings(deadline=None)
@given(pairs=st.lists(st.tuples(ASCII, st.lists(ASCII, min_size=1, max_size=3)), min_size=1, max_size=6))
def test_rouge_is_rouge_scores(pairs: list[tuple[str, list[str]]]) -> None:
    said, accepted = ([pair[side] for pair in pairs] for side in (0, 1))
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"])
    found = [scorer.score_multi(texts, text) for text, texts in pairs]
    for name, key in (("rouge_1", "rouge1"), ("rouge_2", "rouge2"), ("rouge_l", "rougeL")):
        expected = float(np.mean([scores[key].fmeasure for scores in found]))
        assert ours(name, predicted(said, accepted)) == pytest.approx(expected, abs=1e-9)


def test_rouge_keeps_letters_beyond_a_to_z() -> None:
    said = predicted(["der größte Bär"], [["größte Bären"]])
    assert ours("rouge_1", said) == pytest.approx(2 * 1 / 5)


@pytest.mark.parametrize(("name", "metric"), [("bleu", BLEU), ("chrf", CHRF)])
def test_a_resample_scores_what_the_library_scores_of_the_resampled_corpus(name: str, metric: type[BLEU | CHRF]) -> None:
    rng = np.random.default_rng(0)
    said = [" ".join(rng.choice(WORDS, 7)) for _ in range(20)]
    accepted = [[" ".join(rng.choice(WORDS, 7)), text] if row % 3 else [text + " cat"] for row, text in enumerate(said)]
    rows = rng.integers(0, 20, 20)
    weights = np.bincount(rows, minlength=20).astype(float)
    resampled = score_of(predicted(said, accepted), MEASURES[name], np.arange(20)).values(weights[:, None]).item()
    assert resampled == pytest.approx(theirs(metric(), [said[row] for row in rows], [accepted[row] for row in rows]), abs=1e-9)


def test_the_interval_weighs_long_texts_as_their_length() -> None:
    said = predicted(["the cat sat on mats", "xy"] * 30, [["the cat sat on mats"], ["zz"]] * 30)
    for name in ("bleu", "chrf"):
        interval = score(said, [MEASURES[name]])[name]
        assert interval.low < interval.value < interval.high
        assert interval.value > 0.7


def test_silence_scores_nothing_and_the_reference_itself_everything() -> None:
    for name in ("bleu", "chrf", "rouge_1", "rouge_2", "rouge_l"):
        right = [["the cat sat on the mat ."], ["no cats here at all"]]
        assert ours(name, predicted(["", ""], right)) == 0
        assert ours(name, predicted([texts[0] for texts in right], right)) == pytest.approx(1)
