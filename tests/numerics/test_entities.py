"""Entities and their scores against seqeval, on tags of every kind: well formed, broken, of several schemes."""

import numpy as np
import pyarrow as pa
import pytest
from seqeval.metrics import accuracy_score, classification_report, f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities

from luthier.evaluation.bootstrap import summed_stats
from luthier.evaluation.entities import pair_entities
from luthier.evaluation.measures import MEASURES
from luthier.evaluation.measures.entities import type_scores
from luthier.evaluation.records import Predictions
from luthier.tasks.tag_schemes import as_iob2, recognise_scheme

Sentences = list[list[str]]
ORACLES = {
    "entity_f1": f1_score,
    "entity_precision": precision_score,
    "entity_recall": recall_score,
    "token_accuracy": accuracy_score,
}
pytestmark = pytest.mark.filterwarnings("ignore")  # seqeval warns of every tag that it finds odd


def drawn(letters: str, *, seed: int, kinds: tuple[str, ...] = ("PER", "creative-work", "LOC")) -> Sentences:
    generator = np.random.default_rng(seed)
    sentences = []
    for length in generator.integers(0, 12, 60):
        tags = [
            f"{letter}-{kind}"
            for letter, kind in zip(generator.choice(list(letters), length), generator.choice(kinds, length), strict=True)
        ]
        sentences.append([tag if outside < 0.6 else "O" for tag, outside in zip(tags, generator.random(length), strict=True)])
    return sentences


def predictions(targets: Sentences, answers: Sentences) -> Predictions:
    lists = pa.list_(pa.string())
    return Predictions(table=pa.table({"target": pa.array(targets, lists), "prediction": pa.array(answers, lists)}))


def mixed(targets: Sentences, answers: Sentences, *, seed: int) -> Sentences:
    """Answers that are right about half of the words."""
    generator = np.random.default_rng(seed)
    return [
        [
            right if coin else wrong
            for right, wrong, coin in zip(
                row, other[: len(row)] + row[len(other) :], generator.random(len(row)) < 0.5, strict=True
            )
        ]
        for row, other in zip(targets, answers, strict=True)
    ]


@pytest.mark.parametrize("letters", ["BI", "I", "BIES", "BIE", "ES"])
@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_seqeval(letters: str, seed: int) -> None:
    targets = drawn(letters, seed=seed)
    answers = mixed(targets, drawn(letters, seed=seed + 100), seed=seed)
    said = predictions(targets, answers)
    for name, oracle in ORACLES.items():
        measure = MEASURES[name]
        assert float(measure.value(summed_stats(measure.stats, said))) == pytest.approx(oracle(targets, answers), abs=1e-12), (
            name
        )


@pytest.mark.parametrize("letters", ["BI", "I", "BIES"])
def test_entities_are_those_of_seqeval(letters: str) -> None:
    targets = drawn(letters, seed=9)
    found = pair_entities(predictions(targets, targets))
    for row, tags in enumerate(targets):
        begin = sum(map(len, targets[:row]))
        own = found.actual.sentence == row
        entities = zip(found.actual.kind[own], found.actual.start[own] - begin, found.actual.end[own] - begin, strict=True)
        assert [(found.kinds[kind], int(start), int(end)) for kind, start, end in entities] == get_entities(tags)


def test_the_table_of_types_is_that_of_seqeval() -> None:
    targets = drawn("BI", seed=3)
    answers = mixed(targets, drawn("BI", seed=4), seed=5)
    expected = classification_report(targets, answers, output_dict=True)
    for item in type_scores(predictions(targets, answers)):
        theirs = expected[item.label]
        assert (item.precision, item.recall, item.f1, item.support) == pytest.approx(
            (theirs["precision"], theirs["recall"], theirs["f1-score"], theirs["support"])
        )


def test_no_entity_at_all_scores_zero() -> None:
    measure = MEASURES["entity_f1"]
    assert float(measure.value(summed_stats(measure.stats, predictions([["O", "O"], []], [["O", "O"], []])))) == 0


@pytest.mark.parametrize(("scheme", "letters"), [("iob2", "BI"), ("iob1", "I"), ("bioes", "BIES")])
def test_iob2_holds_the_entities_that_seqeval_finds_in_every_scheme(scheme: str, letters: str) -> None:
    for tags in drawn(letters, seed=11):
        assert get_entities(as_iob2(tags, scheme)) == get_entities(tags)


def written(sentences: Sentences, scheme: str) -> Sentences:
    """Well-formed IOB2 in another scheme, written out slowly."""
    found = []
    for tags in sentences:
        row = list(tags)
        for kind, start, end in get_entities(tags):
            for place in range(start, end + 1):
                last, first = place == end, place == start
                if scheme == "iob1":
                    follows = first and start and tags[start - 1][2:] == kind
                    row[place] = f"{'B' if follows else 'I'}-{kind}"
                else:
                    letters = {"bioes": "SBEI", "bilou": "UBLI"}[scheme]
                    row[place] = f"{letters[0 if first and last else 1 if first else 2 if last else 3]}-{kind}"
        found.append(row)
    return found


@pytest.mark.parametrize("scheme", ["iob1", "bioes", "bilou"])
def test_schemes_are_recognised_and_read_back(scheme: str) -> None:
    sentences = [as_iob2(tags, "iob2") for tags in drawn("BI", seed=21)]
    others = written(sentences, scheme)
    assert recognise_scheme(others).value == scheme
    assert recognise_scheme(sentences).value == "iob2"
    assert [as_iob2(tags, scheme) for tags in others] == sentences
