"""Tables of texts that belong together, as queries with a corpus: every second text is a document, each once.

Rows with the same first text become one query with several documents; texts are the same after folding case and spaces.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from luthier.core.records import to_json
from luthier.data.dataset import EXAMPLE_ID, Dataset
from luthier.data.keys import text_key
from luthier.data.lists import parse_list
from luthier.data.relevance import write_relevance
from luthier.data.schema import Column, Kind, Schema

if TYPE_CHECKING:
    import pyarrow as pa

RELEVANT, NOT_RELEVANT = "relevant", "not_relevant"


@dataclass(kw_only=True)
class Corpus:
    """Documents as they are met.

    Attributes:
        names: Key of a text -> what its document is called: by the row and the column where it is first met.
        texts: In the order of the names.
    """

    names: dict[bytes, str] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)

    def name_of(self, text: str, *, met_at: str) -> str:
        """What the document with this text is called."""
        key = text_key(text)
        if key not in self.names:
            self.names[key] = met_at
            self.texts.append(text)
        return self.names[key]


def texts_in(cell: object) -> list[str]:
    """The texts of a cell: a JSON list of them, or one; none where it is empty.

    Example:
        >>> texts_in('["a b", "c"]'), texts_in("a b"), texts_in(None)
        (['a b', 'c'], ['a b'], [])
    """
    text = "" if cell is None else str(cell).strip()
    found = parse_list(text)
    return found if found is not None else [text] if text else []


def read_names(cell: object) -> list[str]:
    """The names of documents that a cell of an arranged table lists."""
    return texts_in(cell)


@dataclass(kw_only=True)
class Gathered:
    """What belongs to each query, by the row that stands for it, and what does not.

    Attributes:
        parts: Rows of the queries, of equal ones in a part the first.
    """

    corpus: Corpus = field(default_factory=Corpus)
    relevant: dict[int, list[str]] = field(default_factory=dict)
    not_relevant: dict[int, list[str]] = field(default_factory=dict)
    parts: dict[str, np.ndarray] = field(default_factory=dict)


def arranged_pairs(dataset: Dataset) -> Dataset:
    """The data set with its documents as rows of no part, and of equal queries of a part only the first.

    Its roles name two columns that are added: `relevant`, and `not_relevant` where there are negatives.
    """
    found, names = _gathered(dataset), _free_names(dataset.table.column_names)
    arranged = _with_corpus(dataset.table, dataset.schema.roles["text"], found, names=names)
    return replace(
        dataset,
        table=arranged,
        schema=_arranged_schema(dataset.schema, names, num_rows=arranged.num_rows),
        parts=found.parts,
        corpus=np.arange(dataset.table.num_rows, arranged.num_rows),
    )


def _gathered(dataset: Dataset) -> Gathered:
    roles, found = dataset.schema.roles, Gathered()
    ids = [str(name) for name in dataset.table.column(EXAMPLE_ID).to_pylist()]
    queries, targets = (dataset.column(role).to_pylist() for role in ("text", "target"))
    negatives = dataset.column("negative").to_pylist() if "negative" in roles else []
    for part, rows in dataset.parts.items():
        first: dict[bytes, int] = {}
        for row in rows.tolist():
            query = first.setdefault(text_key(str(queries[row] or "")), row)
            text = str(targets[row] or "")
            belongs = [found.corpus.name_of(text, met_at=f"{ids[row]}#{roles['target']}")] if text.strip() else []
            found.relevant.setdefault(query, []).extend(belongs)
            others = [
                found.corpus.name_of(other, met_at=f"{ids[row]}#{roles['negative']}{f'-{number}' if number > 1 else ''}")
                for number, other in enumerate(texts_in(negatives[row]) if negatives else (), 1)
            ]
            found.not_relevant.setdefault(query, []).extend(others)
        found.parts[part] = np.array(sorted(first.values()), dtype=np.int64)
    return found


def _free_names(taken: Sequence[str]) -> tuple[str, str]:
    def free(name: str) -> str:
        return name if name not in taken else free(f"{name}_")

    return free(RELEVANT), free(NOT_RELEVANT)


def _with_corpus(table: "pa.Table", text: str, found: Gathered, *, names: tuple[str, str]) -> "pa.Table":
    import pyarrow as pa

    string, rows = pa.string(), range(table.num_rows)
    wanted = [write_relevance(dict.fromkeys(found.relevant.get(row, ()), 1.0)) for row in rows]
    unwanted = [to_json(list(dict.fromkeys(others))) if (others := found.not_relevant.get(row)) else None for row in rows]
    table = table.set_column(table.column_names.index(text), text, table.column(text).cast(string))
    table = table.append_column(names[0], pa.array(wanted, string)).append_column(names[1], pa.array(unwanted, string))
    ids, texts = list(found.corpus.names.values()), found.corpus.texts
    documents = pa.table({EXAMPLE_ID: pa.array(ids, string), text: pa.array(texts, string)})
    return pa.concat_tables([table, documents], promote_options="default")


def _arranged_schema(schema: Schema, names: tuple[str, str], *, num_rows: int) -> Schema:
    relevant = Column(name=names[0], kind=Kind.RELEVANCE, missing=0, distinct=0, mean_words=0.0)
    not_relevant = Column(name=names[1], kind=Kind.LIST, missing=0, distinct=0, mean_words=0.0)
    roles = {**schema.roles, "target": names[0], "document": EXAMPLE_ID}
    if "negative" in roles:
        roles["negative"] = names[1]
    return replace(schema, columns=(*schema.columns, relevant, not_relevant), roles=roles, num_rows=num_rows)
