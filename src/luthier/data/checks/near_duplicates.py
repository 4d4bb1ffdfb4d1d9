"""Texts that are nearly the same: inside a part they are told, between given parts they are treated as overlap."""

import numpy as np
from jaxtyping import Int64

from luthier.core.names import count_of
from luthier.data.checks.check import Check
from luthier.data.checks.minhash import THRESHOLD, Pairs, find_near_pairs
from luthier.data.checks.overlap import PAIRS
from luthier.data.dataset import Dataset, Rows
from luthier.data.findings import Action, Finding
from luthier.data.keys import Keys, answer_kind, compared_column, input_keys, label_codes, link_keys, remember_last
from luthier.data.wording import name_rows, share_of

NAME = "near-duplicates"


def check_near_duplicates(dataset: Dataset, features: np.ndarray | None = None) -> list[Finding]:
    """Texts that share most of their letters with another text, without being equal to it."""
    keys = input_keys(dataset)
    pairs = near_pairs(dataset)
    if not len(pairs):
        return []
    findings: list[Finding] = []
    for held, source in PAIRS:
        if held in dataset.parts and source in dataset.parts:
            findings += _between(dataset, keys, pairs=pairs, held=held, source=source)
    pairs = _without_shared_contexts(dataset, pairs)
    for part, rows in dataset.parts.items():
        findings += _within(dataset, keys, pairs=pairs, part=part, rows=rows)
    return findings


def _without_shared_contexts(dataset: Dataset, pairs: Pairs) -> Pairs:
    """Questions about one context are alike because of it, which is no news: only pairs with two contexts are left."""
    if answer_kind(dataset) != "answer" or "text_pair" not in dataset.schema.roles:
        return pairs
    contexts = dataset.column("text_pair").to_pylist()
    return pairs[[contexts[first] != contexts[second] for first, second in pairs.tolist()]]


def near_pairs(dataset: Dataset) -> Pairs:
    """Pairs of rows whose texts are nearly the same but not equal, each pair of texts by its first rows."""
    found: Pairs = remember_last(
        dataset, "near_pairs", detail=dataset.schema.roles.get("text"), compute=lambda: _near_pairs(dataset)
    )
    return found


def near_duplicate_keys(dataset: Dataset) -> Keys:
    """`input_keys` in which near-duplicates, directly or through others, share one key: for splits that keep them together."""
    return link_keys(input_keys(dataset), near_pairs(dataset)) if "text" in dataset.schema.roles else input_keys(dataset)


def _near_pairs(dataset: Dataset) -> Pairs:
    rank = np.full(dataset.table.num_rows, 3, dtype=np.int64)
    for part, place in (("train", 2), ("validation", 1), ("test", 0)):
        rank[dataset.parts.get(part, [])] = place
    keys = input_keys(dataset)
    # Of equal texts one stands for all: the one of the part that must stay honest.
    order = np.lexsort((rank, keys))
    new = np.ones(len(order), dtype=bool)
    new[1:] = keys[order][1:] != keys[order][:-1]
    rows = np.sort(order[new & (keys[order] != 0)])
    texts = [text or "" for text in compared_column(dataset, "text").take(rows).to_pylist()]
    if "text_pair" in dataset.schema.roles:
        seconds = dataset.column("text_pair").take(rows).to_pylist()
        texts = [f"{text} {second or ''}" for text, second in zip(texts, seconds, strict=True)]
    return np.asarray(rows[find_near_pairs(texts, first=rank[rows]).pairs], dtype=np.int64)


def _between(dataset: Dataset, keys: Keys, *, pairs: Pairs, held: str, source: str) -> list[Finding]:
    held_rows, source_rows = dataset.parts[held], dataset.parts[source]
    both = np.concatenate([keys[pairs], keys[pairs][:, ::-1]])
    links = both[np.isin(both[:, 0], keys[held_rows]) & np.isin(both[:, 1], keys[source_rows])]
    # What is exactly equal to a row of the other part is overlap already.
    links = links[~np.isin(links[:, 1], keys[held_rows])]
    if not len(links):
        return []
    shown = held_rows[np.isin(keys[held_rows], links[:, 0])]
    dropped = source_rows[np.isin(keys[source_rows], links[:, 1])]
    verb = "is nearly the same as a row" if len(shown) == 1 else "are nearly the same as rows"
    return [
        Finding(
            check=NAME,
            severity="warning",
            problem=f"{share_of(len(shown), len(held_rows), noun=f'{held} rows')} {verb} of {source} "
            f"(over {THRESHOLD:.0%} of their letter sequences are shared); the {held} score may be too good. "
            f"{name_rows(dataset, shown)}",
            remedy=f"`--overlap drop` (leaves out {count_of(len(dropped), 'row')} of {source}), or `--group COLUMN`",
            count=len(shown),
            rows=dropped,
            part=source,
            action=Action(kind="drop_rows", rows=dropped),
            by_default=True,
            evidence={
                "held": held,
                "source": source,
                "held_rows": len(shown),
                "source_rows": len(dropped),
                "threshold": THRESHOLD,
            },
        )
    ]


def _within(dataset: Dataset, keys: Keys, *, pairs: Pairs, part: str, rows: Rows) -> list[Finding]:
    inside = np.isin(keys[pairs], keys[rows]).all(axis=1)
    near = rows[np.isin(keys[rows], keys[pairs[inside]])]
    if not len(near):
        return []
    different = _differently_labelled(dataset, pairs[inside])
    labels = (
        f" {count_of(different, 'pair')} of them {'has' if different == 1 else 'have'} different labels." if different else ""
    )
    noun = "rows" if part == "all" else f"{part} rows"
    remedy = "look at them; a given test part is never changed"
    if part != "test":
        remedy = "nothing to do: they are used as they are, and a made split keeps them on one side"
    return [
        Finding(
            check=NAME,
            severity="info",
            problem=f"{share_of(len(near), len(rows), noun=noun)} {'is' if len(near) == 1 else 'are'} nearly the same as "
            f"another (over {THRESHOLD:.0%} of their letter sequences are shared).{labels} {name_rows(dataset, near)}",
            remedy=remedy,
            count=len(near),
            rows=near,
            part=part,
            evidence={"threshold": THRESHOLD, "differently_labelled_pairs": different},
        )
    ]


def _differently_labelled(dataset: Dataset, pairs: Int64[np.ndarray, "pairs 2"]) -> int:
    if answer_kind(dataset) not in ("label", "labels"):
        return 0
    codes = label_codes(dataset).codes[pairs]
    return int(((codes >= 0).all(axis=1) & (codes[:, 0] != codes[:, 1])).sum())


CHECK = Check(name=NAME, about="Texts that are nearly the same", find=check_near_duplicates, roles=("text",), fast=False)
