"""Hard negatives for a training, by the ranking of the frozen model or of BM25; with a decision that counts them."""

from dataclasses import replace
from typing import Any

import numpy as np

from luthier.core.decision import Decision
from luthier.core.names import count_of
from luthier.core.progress import Observer
from luthier.errors import SpecError
from luthier.evaluation.bm25 import Bm25
from luthier.evaluation.nearest import products, unit_vectors
from luthier.features.passes import Features
from luthier.pipeline.choose import Chosen
from luthier.tasks.companions import Judged
from luthier.tasks.mining import NEAREST, mined, read_miner
from luthier.tasks.protocol import Companions


def with_negatives(
    asked: str, chosen: Chosen, features: Features, *, observer: Observer
) -> tuple[Companions | None, list[Decision[Any]]]:
    """Who comes into a batch with whom, with the negatives that were asked for.

    Args:
        asked: As `training.hard_negatives` says it.
        observer: Is told what was found.

    Raises:
        SpecError: the data have no documents to find negatives among.
    """
    miner, companions = read_miner(asked), chosen.companions
    if miner is None:
        return companions, []
    if not isinstance(companions, Judged):
        raise SpecError(
            f"--hard-negatives {asked} looks for documents that do not belong to a query; these data have none such.",
            remedy="leave --hard-negatives out: the other texts of a batch are negatives anyway",
        )
    queries = np.unique(companions.among(chosen.units("train")).anchors)
    if miner.way == "bm25":
        blocks = Bm25.build([chosen.rows[row] for row in chosen.corpus]).blocks([chosen.rows[row] for row in queries])
    else:
        vectors = unit_vectors(features.pooled)
        blocks = products(vectors[queries], vectors[chosen.corpus])
    found = mined(companions, queries, chosen.corpus, blocks, number=miner.number)
    total, without = sum(map(len, found.values())), sum(not len(units) for units in found.values())
    whose = "BM25's" if miner.way == "bm25" else "the frozen model's"
    reason = (
        f"as asked: {count_of(total, 'document')} for {count_of(len(found), 'query', 'queries')} of train, from {whose} "
        f"ranking; none that scores more than {NEAREST:.0%} of a query's best"
    )
    decision = Decision(
        name="hard_negatives",
        value=asked,
        reason=reason,
        evidence={"documents": total, "queries": len(found), "queries_without": without},
        override="--hard-negatives none",
    )
    observer.decided(decision)
    return replace(companions, negatives=found, num_negatives=miner.number), [decision]
