"""Losses and scores of vectors equal those of sentence-transformers; BM25 equals the formula written out."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from luthier.evaluation.bm25 import Bm25, words_of
from luthier.evaluation.nearest import best_places, products, ranked
from luthier.evaluation.ranked_predictions import Judgements, ranked_predictions
from luthier.evaluation.records import Predictions
from luthier.tasks.companions import Judged, targets_of
from luthier.tasks.contrastive import SCALE, order_loss, ranking_loss
from luthier.training.ladder import scores_of

MEASURES = ("ndcg_at_10", "recall_at_10", "mrr_at_10")


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """sentence-transformers is slow to import, and its dependencies warn of each other."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import sentence_transformers  # noqa: F401
    yield


def vectors(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return nn.functional.normalize(torch.randn(*shape, generator=generator), dim=-1)


def plain_targets(anchors: int, units: int) -> Tensor:
    belongs = np.zeros((anchors, units), dtype=bool)
    belongs[np.arange(anchors), anchors + np.arange(anchors)] = True
    return torch.from_numpy(targets_of(belongs))


@pytest.mark.parametrize("with_negatives", [False, True])
def test_the_ranking_loss_is_that_of_sentence_transformers(with_negatives: bool) -> None:
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    parts = [vectors(6, 8, seed=seed) for seed in range(3 if with_negatives else 2)]
    theirs = MultipleNegativesRankingLoss(None, scale=SCALE).compute_loss_from_embeddings(parts, None)
    ours = ranking_loss(torch.cat(parts), plain_targets(6, 6 * len(parts)))
    assert float(ours.sum) / ours.weight == pytest.approx(float(theirs), rel=1e-6)


def test_the_order_loss_is_cosent_of_sentence_transformers() -> None:
    from sentence_transformers.sentence_transformer.losses import CoSENTLoss

    first, second = vectors(9, 8), vectors(9, 8, seed=1)
    scores = torch.tensor([1.0, 5.0, 3.0, 3.0, 2.5, 4.0, 1.0, 2.0, 5.0])
    theirs = CoSENTLoss(None, scale=SCALE).compute_loss_from_embeddings([first, second], scores)
    ours = order_loss(torch.cat([first, second]), torch.cat([scores, scores])[:, None])
    assert float(ours.sum) == pytest.approx(float(theirs), rel=1e-6)


def test_documents_known_to_belong_to_a_query_are_no_negatives_of_it() -> None:
    """Two queries share a document: the loss is that of finding each among what does not belong to it."""
    judged = Judged(positives={0: np.array([2, 3]), 1: np.array([3])}, twins=np.arange(5))
    found = vectors(5, 8)
    for seed in range(8):
        units, targets = judged.around(np.array([0, 1]), seed=seed)
        part = ranking_loss(found[units], torch.from_numpy(targets))
        expected = 0.0
        for anchor, sought in zip((0, 1), units[2:4].tolist(), strict=True):
            others = [unit for unit in units[2:].tolist() if unit not in judged.positives[anchor]]
            scores = SCALE * torch.stack([found[anchor] @ found[unit] for unit in [sought, *others]])
            expected -= float(scores.log_softmax(0)[0])
        assert float(part.sum) == pytest.approx(expected, rel=1e-5)


def rankings(grades: np.ndarray, scores: np.ndarray) -> Predictions:
    """Rankings of all documents by their scores; grades say how relevant each is to each query."""
    number = grades.shape[1]
    found = ranked([scores], number)
    places = found[:, :number].astype(int)
    return ranked_predictions(
        example_ids=[f"q{place}" for place in range(len(grades))],
        targets=["" for _ in grades],
        places=places,
        scores=found[:, number:],
        judged=Judgements(
            grades=np.take_along_axis(grades, places, axis=1).tolist(),
            ideal=np.sort(grades, axis=1)[:, ::-1].tolist(),
            num_relevant=(grades > 0).sum(axis=1).tolist(),
        ),
        names=[f"d{place:02}" for place in range(number)],
    )


def test_ranking_measures_are_those_of_sentence_transformers() -> None:
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

    generator = np.random.default_rng(0)
    grades = (generator.random((12, 40)) < 0.2).astype(float)
    grades[:, 0] = 1.0
    scores = generator.random((12, 40))
    relevant = {f"q{row}": {f"d{place:02}" for place in np.flatnonzero(grades[row])} for row in range(12)}
    evaluator = InformationRetrievalEvaluator(
        {f"q{row}": "" for row in range(12)}, {f"d{place:02}": "" for place in range(40)}, relevant
    )
    hits = [[{"corpus_id": f"d{place:02}", "score": scores[row, place]} for place in range(40)] for row in range(12)]
    theirs = evaluator.compute_metrics(hits)
    ours = scores_of(rankings(grades, scores), MEASURES)
    assert ours["ndcg_at_10"] == pytest.approx(theirs["ndcg@k"][10], abs=1e-9)
    assert ours["recall_at_10"] == pytest.approx(theirs["recall@k"][10], abs=1e-9)
    assert ours["mrr_at_10"] == pytest.approx(theirs["mrr@k"][10], abs=1e-9)


def test_graded_ndcg_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import ndcg_score

    generator = np.random.default_rng(1)
    grades = generator.integers(0, 5, (15, 30)).astype(float)
    scores = generator.random((15, 30))
    assert scores_of(rankings(grades, scores), MEASURES)["ndcg_at_10"] == pytest.approx(ndcg_score(grades, scores, k=10))


def test_bm25_is_the_formula_written_out() -> None:
    documents = ["the wing of the wing", "a tail", "wing and tail, tail, TAIL", ""]
    query = "tail wing wing"
    texts = [words_of(text) for text in documents]
    mean = sum(map(len, texts)) / len(texts)
    for place, words in enumerate(texts):
        expected = 0.0
        for word in words_of(query):
            holding = sum(word in other for other in texts)
            rarity = math.log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
            count = words.count(word)
            expected += rarity * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * len(words) / mean))
        assert Bm25.build(documents).scores([query])[0, place] == pytest.approx(expected, rel=1e-5)


def test_exact_search_by_blocks_is_sorting_all_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luthier.evaluation.nearest.BLOCK_VALUES", 150)
    generator = np.random.default_rng(2)
    queries, documents = generator.standard_normal((11, 6)).round(1), generator.standard_normal((50, 6)).round(1)
    scores = queries @ documents.T
    found = ranked(products(queries, documents), 7)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :7]
    assert found[:, :7].astype(int).tolist() == expected.tolist()
    assert np.allclose(found[:, 7:], np.take_along_axis(scores, expected, axis=1))
    ties = np.array([[1.0, 2.0, 2.0, 2.0, 0.0]])
    assert best_places(ties, 2).tolist() == [[1, 2]]
