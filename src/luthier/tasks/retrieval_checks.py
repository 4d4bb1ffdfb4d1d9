"""What can be wrong with queries, documents and what belongs together; every finding names rows."""

from collections.abc import Sequence

import numpy as np

from luthier.core.names import count_of
from luthier.data.dataset import Dataset, Rows
from luthier.data.findings import Action, Finding
from luthier.data.keys import missing_cells, text_key
from luthier.data.schema import Kind
from luthier.data.wording import name_rows
from luthier.tasks.pairs import texts_in


def check_retrieval(dataset: Dataset) -> list[Finding]:
    """Of a corpus its documents and the queries without any; of pairs and triplets their texts."""
    roles = dataset.schema.roles
    if "target" not in roles or "text" not in roles:
        return []
    kind = dataset.schema.kind_of(roles["target"])
    if kind is Kind.RELEVANCE:
        return [*_empty_documents(dataset), *_repeated_documents(dataset), *_without_documents(dataset)]
    if kind is Kind.CATEGORY and "negative" not in roles:
        return []
    return [*_same_texts(dataset), *_negatives_that_belong(dataset)]


def _empty_documents(dataset: Dataset) -> list[Finding]:
    rows = dataset.corpus[missing_cells(dataset.column("text"))[dataset.corpus]]
    if not len(rows):
        return []
    return [
        Finding(
            check="documents",
            severity="warning",
            problem=f"{count_of(len(rows), 'document')} of {len(dataset.corpus):,} {_are(rows)} empty, and can be found by "
            f"nothing they say. {name_rows(dataset, rows)}",
            remedy="fill them in, or take them out of the corpus and of the judgements",
            count=len(rows),
            rows=rows,
        )
    ]


def _are(rows: Sequence[int] | Rows) -> str:
    return "is" if len(rows) == 1 else "are"


def _repeated_documents(dataset: Dataset) -> list[Finding]:
    texts = dataset.column("text").take(dataset.corpus).to_pylist()
    seen: set[bytes] = set()
    repeated = []
    for row, text in zip(dataset.corpus.tolist(), texts, strict=True):
        if not str(text or "").strip():
            continue
        key = text_key(str(text))
        if key in seen:
            repeated.append(row)
        seen.add(key)
    if not repeated:
        return []
    return [
        Finding(
            check="documents",
            severity="warning",
            problem=f"{count_of(len(repeated), 'document')} of {len(dataset.corpus):,} {_are(repeated)} the same as an earlier "
            "one after folding case and spaces: whoever finds one finds the other, which may not be judged relevant. "
            f"{name_rows(dataset, repeated)}",
            remedy="keep one of each, and give it the judgements of all",
            count=len(repeated),
            rows=np.array(repeated),
        )
    ]


def _without_documents(dataset: Dataset) -> list[Finding]:
    rows = np.sort(np.concatenate(list(dataset.parts.values())))
    rows = rows[missing_cells(dataset.column("target"))[rows]]
    if not len(rows):
        return []
    return [
        Finding(
            check="queries",
            severity="warning",
            problem=f"No document is relevant to {count_of(len(rows), 'query', 'queries')}: they can neither be learnt from "
            f"nor scored, and are left out. {name_rows(dataset, rows)}",
            remedy="judge some documents for them, with a score above 0",
            count=len(rows),
            rows=rows,
        )
    ]


def _same_texts(dataset: Dataset) -> list[Finding]:
    """Pairs of a text with itself teach nothing, and are found without any model."""
    rows = [row for row, (text, target) in _pairs(dataset) if text_key(text) == text_key(target) and text.strip()]
    if not rows:
        return []
    return [
        Finding(
            check="pairs",
            severity="warning",
            problem=f"{count_of(len(rows), 'row')} {'pairs' if len(rows) == 1 else 'pair'} a text with itself, which any model "
            f"finds. {name_rows(dataset, rows)}",
            remedy="give another text that belongs to it, or leave the row out",
            count=len(rows),
            rows=np.array(rows),
            action=Action(kind="drop_rows", rows=np.array(rows)),
            by_default=True,
        )
    ]


def _pairs(dataset: Dataset) -> list[tuple[int, tuple[str, str]]]:
    rows = np.sort(np.concatenate(list(dataset.parts.values())))
    texts, targets = (dataset.column(role).take(rows).to_pylist() for role in ("text", "target"))
    return [
        (row, (str(text or ""), str(target or ""))) for row, text, target in zip(rows.tolist(), texts, targets, strict=True)
    ]


def _negatives_that_belong(dataset: Dataset) -> list[Finding]:
    """A negative that some row gives as a text that belongs to the same query."""
    if "negative" not in dataset.schema.roles:
        return []
    belongs: dict[bytes, set[bytes]] = {}
    pairs = _pairs(dataset)
    for _, (text, target) in pairs:
        belongs.setdefault(text_key(text), set()).add(text_key(target))
    negatives = dataset.column("negative").to_pylist()
    rows = [
        row
        for row, (text, _) in pairs
        if any(text_key(other) in belongs[text_key(text)] | {text_key(text)} for other in texts_in(negatives[row]))
    ]
    if not rows:
        return []
    return [
        Finding(
            check="negatives",
            severity="warning",
            problem=f"In {count_of(len(rows), 'row')} the negative is the text itself, or a text that belongs to it by this or "
            f"another row; such negatives are not used. {name_rows(dataset, rows)}",
            remedy="give a text that does not belong to it, or none",
            count=len(rows),
            rows=np.array(rows),
        )
    ]
