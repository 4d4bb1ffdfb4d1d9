"""Scores of answers and of slots beside plain references: SQuAD's definition, and counting one piece after the other."""

import collections
import json
import re
import string

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.evaluation.bootstrap import resample
from luthier.evaluation.measures import MEASURES
from luthier.evaluation.measures.answer_text import ANSWERS
from luthier.evaluation.measures.spans import label_scores
from luthier.evaluation.records import Predictions

phrases = st.lists(
    st.sampled_from(["the", "A", "an", "cat", "Cat!", "dog,", "dog", "U.S.", "--", "théâtre", "  ", "an.", "theme", "3"]),
    max_size=5,
).map(" ".join)


def normalised(text: str) -> str:
    """As SQuAD 2's script says: lower text and remove punctuation, articles and extra white space."""
    lowered = text.lower()
    bare = "".join(sign for sign in lowered if sign not in set(string.punctuation))
    return " ".join(re.sub(re.compile(r"\b(a|an|the)\b", re.UNICODE), " ", bare).split())


def squad_scores(answer: str, accepted: list[str]) -> tuple[float, float]:
    """Exact match and F1 of one question, as SQuAD 2's script computes them."""
    golds = [gold for gold in accepted if normalised(gold)] or [""]
    exact = max(int(normalised(gold) == normalised(answer)) for gold in golds)
    f1 = 0.0
    for gold in golds:
        gold_words, words = normalised(gold).split(), normalised(answer).split()
        same = sum((collections.Counter(gold_words) & collections.Counter(words)).values())
        if not gold_words or not words:
            score = float(gold_words == words)
        elif same == 0:
            score = 0.0
        else:
            precision, recall = same / len(words), same / len(gold_words)
            score = 2 * precision * recall / (precision + recall)
        f1 = max(f1, score)
    return exact, f1


def said(answers: list[str], accepted: list[list[str]]) -> Predictions:
    ids = pa.array([f"x:{row}" for row in range(len(answers))])
    return Predictions(
        table=pa.table(
            {
                "example_id": ids,
                "group": ids,
                "target": pa.array([next(iter(golds), "") for golds in accepted], pa.string()),
                ANSWERS: pa.array(accepted, pa.list_(pa.string())),
                "prediction": pa.array(answers, pa.string()),
            }
        ),
        answer_kind="answer",
    )


@settings(deadline=None)
@given(st.lists(st.tuples(phrases, st.lists(phrases, max_size=3)), min_size=1, max_size=8))
def test_answers_score_as_squads_script_has_them(pairs: list[tuple[str, list[str]]]) -> None:
    predictions = said([answer for answer, _ in pairs], [golds for _, golds in pairs])
    expected = np.array([squad_scores(answer, golds) for answer, golds in pairs])
    for place, name in enumerate(("exact_match", "answer_f1")):
        stats = MEASURES[name].stats(predictions)
        assert stats[:, 0] == pytest.approx(expected[:, place])
        assert MEASURES[name].value(stats.sum(axis=0)) == pytest.approx(expected[:, place].mean())


@pytest.mark.parametrize(
    ("answer", "accepted", "exact", "f1"),
    [
        ("the Normans", ["Normans"], 1, 1),
        ("in the 10th century", ["10th", "the 10th and 11th centuries"], 0, 0.5),
        ("", [], 1, 1),
        ("something", [], 0, 0),
        ("", ["something"], 0, 0),
        ("the", [""], 1, 1),
        ("北京", ["北京市"], 0, 0.8),
        ("2008年", ["2008 年。"], 1, 1),
    ],
)
def test_known_cases(answer: str, accepted: list[str], exact: float, f1: float) -> None:
    predictions = said([answer], [accepted])
    assert MEASURES["exact_match"].stats(predictions)[0, 0] == exact
    assert MEASURES["answer_f1"].stats(predictions)[0, 0] == pytest.approx(f1)


LABELS = ("date", "people", "time")
slots = st.dictionaries(st.sampled_from([*LABELS, "new"]), st.tuples(st.integers(0, 3), st.integers(4, 6)), max_size=3)


def slots_said(pairs: list[tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int]]]]) -> Predictions:
    ids = pa.array([f"x:{row}" for row in range(len(pairs))])
    cells = [
        [json.dumps([{"slot": name, "start": a, "end": b} for name, (a, b) in found.items()]) for found in side]
        for side in zip(*pairs, strict=True)
    ]
    table = pa.table({"example_id": ids, "group": ids, "target": cells[0], "prediction": cells[1]})
    return Predictions(table=table, labels=LABELS, answer_kind="slots")


@settings(deadline=None)
@given(st.lists(st.tuples(slots, slots), min_size=1, max_size=8))
def test_slots_score_as_counted_one_by_one(pairs: list[tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int]]]]) -> None:
    right, predicted, actual = collections.Counter(), collections.Counter(), collections.Counter()
    for target, answer in pairs:
        for name, place in answer.items():
            predicted[name] += 1
            right[name] += target.get(name) == place
        actual.update(target.keys())

    def f1(names: tuple[str, ...]) -> float:
        found = sum(right[name] for name in names)
        either = sum(predicted[name] + actual[name] for name in names)
        return 2 * found / either if either else 0.0

    names = tuple({*predicted, *actual})
    expected = {
        "span_f1": f1(names),
        "span_precision": right.total() / max(1, predicted.total()),
        "span_recall": right.total() / max(1, actual.total()),
        "span_macro_f1": float(np.mean([f1((name,)) for name in names])) if names else 0.0,
    }
    predictions = slots_said(pairs)
    for name, value in expected.items():
        stats = MEASURES[name].stats(predictions)
        assert stats.shape == (len(pairs), 3 * (len(LABELS) + 1))
        assert MEASURES[name].value(stats.sum(axis=0)) == pytest.approx(value)
    for score in label_scores(predictions):
        assert score.f1 == pytest.approx(f1((score.label,)))
        assert (score.support, score.predicted) == (actual[score.label], predicted[score.label])


def test_intervals_resample_articles_and_not_questions() -> None:
    answers = ["a b"] * 20 + ["c"] * 20
    predictions = said(answers, [["a b"]] * 40)
    articles = pa.array(["one"] * 20 + ["two"] * 20)
    grouped = Predictions(table=predictions.table.set_column(1, "group", articles), answer_kind="answer")
    by_row, by_article = (
        resample({"tuned": item}, [MEASURES["answer_f1"]], samples=300, seed=0)["tuned"]["answer_f1"]
        for item in (predictions, grouped)
    )
    assert (by_row.num_units, by_article.num_units) == (40, 2)
    assert set(np.round(by_article.draws, 6)) == {0.0, 0.5, 1.0}
    assert by_article.draws.std() > 2 * by_row.draws.std()
