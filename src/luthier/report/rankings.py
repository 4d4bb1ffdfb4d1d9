"""Queries whose documents were ranked worst, and pairs whose likeness was judged worst."""

import numpy as np

from luthier.evaluation.measures.retrieval import ndcg_at, rankings
from luthier.evaluation.numbers import answered_numbers, target_numbers
from luthier.evaluation.records import Predictions

SHOWN = 5

Worst = tuple[str, str, str, str]  # example, what is right, what was answered, what is wrong


def worst_rankings(tuned: Predictions, most: int) -> list[Worst]:
    """Those with the lowest nDCG@10."""
    grades, ideal, relevant = rankings(tuned)
    values = ndcg_at(10).of_ranking(grades, ideal, relevant)
    found = []
    for place in np.argsort(values, kind="stable")[:most].tolist():
        if values[place] >= 1:
            break
        row = tuned.table.slice(place, 1).to_pylist()[0]
        hits = np.flatnonzero(grades[place] > 0)
        first = f"the first relevant one is number {hits[0] + 1}" if len(hits) else f"none among the first {grades.shape[1]}"
        of = f"{int(relevant[place])} relevant" if relevant[place] else "nothing relevant"
        target = ", ".join(row["target"].split(", ")[:SHOWN])
        found.append(
            (row["example_id"], target, ", ".join(row["prediction"][:SHOWN]), f"nDCG@10 {values[place]:.2f}; {of}, {first}")
        )
    return found


def worst_likeness(tuned: Predictions, most: int) -> list[Worst]:
    """Pairs whose place in the order of all is farthest from the one that their score gives them."""
    from scipy.stats import rankdata

    targets, answers = target_numbers(tuned), answered_numbers(tuned)
    shift = (rankdata(answers) - rankdata(targets)) / max(1, len(targets))
    ids = tuned.table["example_id"].to_pylist()
    found = []
    for place in np.argsort(-np.abs(shift), kind="stable")[:most].tolist():
        way = "too alike" if shift[place] > 0 else "not alike enough"
        note = f"{way}: {abs(100 * shift[place]):.0f} of 100 pairs lie between"
        found.append((ids[place], f"{targets[place]:g}", f"{answers[place]:.2f}", note))
    return found
