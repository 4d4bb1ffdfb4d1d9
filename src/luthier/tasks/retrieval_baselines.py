"""Rankings that need no tuning: what is asked for most, BM25, and the pre-trained vectors as they come."""

from itertools import repeat

import numpy as np
from jaxtyping import Float

from luthier.data.relevance import read_relevance
from luthier.evaluation.bm25 import Bm25
from luthier.evaluation.nearest import products, ranked, unit_vectors
from luthier.evaluation.ranked_predictions import MOST_RANKED
from luthier.tasks.protocol import Baseline, Sample, TaskState

Ranking = Float[np.ndarray, "N R"]


def rank_by_use(train: Sample, others: Sample, state: TaskState, seed: int) -> Ranking:
    """The same for every query: documents by how often they are relevant in train, or texts of the most frequent label."""
    assert others.corpus is not None
    uses = _uses(train, others.corpus)
    return ranked(repeat(uses[None, :], len(others)), MOST_RANKED)


def _uses(train: Sample, corpus: Sample) -> Float[np.ndarray, " C"]:
    """How often each document is relevant to a query of train; of labels how often its label occurs."""
    target = train.roles["target"]
    cells = train.table.column(target).to_pylist()
    graded = [read_relevance(cell) for cell in cells]
    counts: dict[str, int] = {}
    if any(grades is not None for grades in graded):
        for grades in graded:
            for name in grades or ():
                counts[name] = counts.get(name, 0) + 1
        names = corpus.table.column(train.roles.get("document", "example_id")).to_pylist()
    else:
        for cell in cells:
            counts[str(cell or "").strip()] = counts.get(str(cell or "").strip(), 0) + 1
        names = [str(cell or "").strip() for cell in corpus.table.column(target).to_pylist()]
    return np.array([counts.get(name, 0) for name in names], dtype=np.float32)


def rank_by_words(train: Sample, others: Sample, state: TaskState, seed: int) -> Ranking:
    """BM25."""
    assert others.corpus is not None
    return ranked(Bm25.build(list(others.corpus.rows)).blocks(list(others.rows)), MOST_RANKED)


def rank_by_features(train: Sample, others: Sample, state: TaskState, seed: int) -> Ranking:
    """Cosines of the pre-trained model's vectors."""
    assert others.corpus is not None
    assert others.features is not None
    assert others.corpus.features is not None
    return ranked(products(unit_vectors(others.features), unit_vectors(others.corpus.features)), MOST_RANKED)


BASELINES = (
    Baseline(
        name="majority",
        needs_features=False,
        fit_predict=rank_by_use,
        title="Most used first",
        about="The same ranking for every query: first what is most often relevant in training.",
    ),
    Baseline(
        name="classic",
        needs_features=False,
        fit_predict=rank_by_words,
        title="BM25",
        about="Documents by the words they share with the query, rare ones counting most: no neural network, no training.",
    ),
    Baseline(
        name="pretrained",
        needs_features=True,
        fit_predict=rank_by_features,
        title="Pre-trained, untuned",
        about="The pre-trained model as it comes: documents by the cosine of their vector and the query's.",
    ),
)
