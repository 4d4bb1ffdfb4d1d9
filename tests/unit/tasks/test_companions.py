"""Who comes into a batch with whom, and how tables of pairs become queries with a corpus."""

import numpy as np
import pytest

from luthier.data.relevance import read_relevance
from luthier.data.schema import Kind
from luthier.tasks.companions import IGNORED, OTHER, SOUGHT, Judged, SameLabel, Scored, twins_of
from luthier.tasks.pairs import arranged_pairs
from luthier.testing.tables import make_dataset


def test_a_query_with_many_documents_takes_several_turns_but_not_too_many() -> None:
    judged = Judged(positives={0: np.arange(10, 13), 1: np.arange(10, 90), 2: np.array([], dtype=int)}, twins=np.arange(100))
    assert np.bincount(judged.among(np.array([0, 1, 2])).anchors, minlength=3).tolist() == [3, 10, 0]


@pytest.mark.parametrize("seed", range(5))
def test_nothing_that_belongs_to_a_query_or_says_the_same_is_its_negative(seed: int) -> None:
    generator = np.random.default_rng(seed)
    positives = {unit: generator.choice(np.arange(20, 60), 3, replace=False) for unit in range(12)}
    negatives = {unit: generator.choice(np.arange(20, 60), 4, replace=False) for unit in range(12)}
    twins = generator.integers(0, 50, 60)
    judged = Judged(positives=positives, negatives=negatives, twins=twins, num_negatives=2)
    units, targets = judged.around(np.arange(12), seed=seed)
    assert (targets[:12] == IGNORED).all()
    for anchor in range(12):
        (sought,) = np.flatnonzero(targets[:, anchor] == SOUGHT)
        assert sought == 12 + anchor
        assert units[sought] in positives[anchor]
        others = units[targets[:, anchor] == OTHER]
        assert not np.isin(twins[others], twins[positives[anchor]]).any()
    assert len(units) == 12 * 4


def test_texts_of_one_label_bring_another_text_of_it_and_are_nobodys_negatives() -> None:
    codes, keys = np.array([0, 0, 0, 1, 1, 2, -1, 0]), np.array([b"a", b"b", b"a", b"c", b"d", b"e", b"f", b"g"])
    labelled = SameLabel(codes=codes, twins=twins_of(keys)).among(np.arange(7))
    assert labelled.anchors.tolist() == [0, 1, 2, 3, 4]  # 5 is alone with its label, 6 has none, 7 is of another part
    for seed in range(6):
        units, targets = labelled.around(labelled.anchors, seed=seed)
        partners = units[5:]
        assert (codes[partners] == codes[labelled.anchors]).all()
        assert (keys[partners] != keys[labelled.anchors]).all()
        assert 7 not in units
        other = targets[5:] == OTHER
        assert (codes[partners][:, None] != codes[labelled.anchors][None, :])[other].all()


def test_both_texts_of_a_pair_come_with_its_score() -> None:
    scored = Scored(scores=np.array([3.0, 3.0, np.nan, np.nan, 1.0, 1.0])).among(np.arange(6))
    units, targets = scored.around(scored.anchors, seed=0)
    assert units.tolist() == [0, 4, 1, 5]
    assert targets[:, 0].tolist() == [3.0, 1.0, 3.0, 1.0]


def test_equal_queries_become_one_and_equal_texts_one_document() -> None:
    dataset = make_dataset(
        {
            "q": ["How?", "how?", "why", "who"],
            "a": ["like this", "or so", "Like  this", ""],
            "no": ['["so not", "nor so"]', None, "or so", None],
        },
        roles={"text": "q", "target": "a", "negative": "no"},
        kinds={"a": Kind.TEXT, "no": Kind.TEXT},
    )
    arranged = arranged_pairs(dataset)
    rows = arranged.table.to_pylist()
    assert arranged.parts["all"].tolist() == [0, 2, 3]
    assert [rows[row]["q"] for row in arranged.corpus] == ["like this", "so not", "nor so", "or so"]
    names = [rows[row]["example_id"] for row in arranged.corpus]
    assert names[0] == "toy.csv:1#a"
    assert read_relevance(rows[0]["relevant"]) == {names[0]: 1.0, names[3]: 1.0}
    assert read_relevance(rows[2]["relevant"]) == {names[0]: 1.0}
    assert rows[3]["relevant"] is None
    assert rows[0]["not_relevant"] == f'["{names[1]}", "{names[2]}"]'
    assert arranged.schema.roles["target"] == "relevant"
    assert arranged.schema.kind_of("relevant") is Kind.RELEVANCE
