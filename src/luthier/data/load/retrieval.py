"""A retrieval benchmark (BEIR's layout) as one table: a row for each query that has judgements, then one for each document.

    corpus.jsonl     {"_id": ..., "title": ..., "text": ...}     documents: in no part, answers are found among them
    queries.jsonl    {"_id": ..., "text": ...}
    qrels/PART.tsv   query-id  corpus-id  score                  a score above 0: the document is relevant, the more the higher

Columns of the table: `_id`, `text` (of a document its title and text), and `relevant`, a query's documents with their grades.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from luthier.core.names import count_of
from luthier.data.dataset import EXAMPLE_ID
from luthier.data.findings import Finding
from luthier.data.load.faults import FaultLog
from luthier.data.load.layout import Layout
from luthier.data.load.retrieval_files import CORPUS, QUERIES
from luthier.data.load.source import Source
from luthier.data.load.tables import name_below, read_file, rows_of_parts
from luthier.data.relevance import write_relevance
from luthier.data.settings import DataSettings
from luthier.errors import DataError, LuthierError, raise_together

if TYPE_CHECKING:
    import pyarrow as pa

ID, TEXT, RELEVANT = "_id", "text", "relevant"
_SHOWN = 5
_COLUMNS = ("query", "document", "score")
QueryRow = tuple[str, str, str, str | None]  # example id, id, text, relevant documents


@dataclass(kw_only=True)
class Reading:
    """What has been read so far.

    Attributes:
        findings: What is wrong with the files.
    """

    layout: Layout
    settings: DataSettings
    findings: list[Finding] = field(default_factory=list)

    def table(self, path: Path, *needed: str) -> "pa.Table":
        """One file, with its ids.

        Raises:
            DataError: it cannot be read, has no rows, or lacks a column.
        """
        log = FaultLog(name_below(path, self.layout.root))
        table, kept = read_file(path, self.settings, log=log, offset=0)
        self.findings += log.finish(self.settings, kept)
        if missing := [name for name in needed if name not in table.column_names]:
            found = ", ".join(table.column_names[1:])
            problem = f"{log.file} needs the columns {', '.join(needed)}; it lacks {', '.join(missing)} (found: {found})."
            raise DataError(problem, remedy='one JSON object on each line: {"_id": "17", "title": "...", "text": "..."}')
        return table


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Queries or documents: their ids in the order of the file, what they are called in messages, and their texts."""

    ids: Sequence[str]
    names: Sequence[str]
    texts: Sequence[str]


def load_retrieval(layout: Layout, settings: DataSettings) -> Source:
    """Read queries, documents and judgements; problems of several files are reported together.

    Raises:
        DataError: a file is missing, damaged or lacks a column, ids are given twice, or no judgement can be used.
    """
    reading = Reading(layout=layout, settings=settings)
    documents, queries = _texts(reading, CORPUS), _texts(reading, QUERIES)
    places = {name: place for place, name in enumerate(queries.ids)}
    rows: list[QueryRow] = []
    sizes = []
    for part, paths in layout.parts.items():
        judged = _judgements(reading, paths[0], queries, documents)
        rows += [_row(queries, places[name], grades) for name, grades in judged.items()]
        sizes.append((part, len(judged)))
    _tell_idle(reading, queries, {row[1] for row in rows})
    return Source(
        name=layout.name,
        kind="retrieval-folder",
        table=_joined(_unique(rows), documents),
        parts=rows_of_parts(sizes),
        findings=tuple(reading.findings),
        decisions=layout.decisions,
        files=tuple(
            str(path) for path in (layout.root / CORPUS, layout.root / QUERIES, *(paths[0] for paths in layout.parts.values()))
        ),
        root=layout.root,
        roles={"text": TEXT, "target": RELEVANT, "document": ID},
        corpus=np.arange(len(rows), len(rows) + len(documents.ids)),
    )


def _row(queries: Texts, place: int, grades: Mapping[str, float]) -> QueryRow:
    return queries.names[place], queries.ids[place], queries.texts[place], write_relevance(grades)


def _unique(rows: Sequence[QueryRow]) -> list[QueryRow]:
    """A query that is judged for several parts is a row of each: its example id must differ."""
    seen: dict[str, int] = {}
    found = []
    for name, query, text, relevant in rows:
        seen[name] = seen.get(name, 0) + 1
        found.append((name if seen[name] == 1 else f"{name}#{seen[name]}", query, text, relevant))
    return found


def _joined(rows: Sequence[QueryRow], documents: Texts) -> "pa.Table":
    import pyarrow as pa

    names, ids, texts, relevant = zip(*rows, strict=True)
    text = pa.string()
    return pa.table(
        {
            EXAMPLE_ID: pa.array([*names, *documents.names], text),
            ID: pa.array([*ids, *documents.ids], text),
            TEXT: pa.array([*texts, *documents.texts], text),
            RELEVANT: pa.array([*relevant, *[None] * len(documents.ids)], text),
        }
    )


def _texts(reading: Reading, file: str) -> Texts:
    table = reading.table(reading.layout.root / file, ID, TEXT)
    ids = [str(value).strip() for value in table.column(ID).to_pylist()]
    names = table.column(EXAMPLE_ID).to_pylist()
    if repeated := _repeats(ids):
        shown = ", ".join(f"{names[place]} ('{ids[place]}')" for place in repeated[:_SHOWN])
        raise DataError(
            f"{file} gives {count_of(len(repeated), 'id')} a second time: {shown}; judgements could mean either.",
            remedy=f"give every line of {file} an _id of its own",
        )
    texts = [str(value or "") for value in table.column(TEXT).to_pylist()]
    if "title" in table.column_names:
        titles = [str(value or "").strip() for value in table.column("title").to_pylist()]
        texts = [titled(title, text) for title, text in zip(titles, texts, strict=True)]
    return Texts(ids=ids, names=names, texts=texts)


def _repeats(ids: Sequence[str]) -> list[int]:
    seen: set[str] = set()
    found = []
    for place, name in enumerate(ids):
        if name in seen:
            found.append(place)
        seen.add(name)
    return found


def titled(title: str, text: str) -> str:
    """A document's text behind its title; once, where the text begins with it.

    Example:
        >>> titled("On wings", "They lift."), titled("On wings", "On wings . They lift."), titled("", "They lift.")
        ('On wings. They lift.', 'On wings . They lift.', 'They lift.')
    """
    if not title or text.lower().startswith(title.lower().rstrip(" .")):
        return text
    return f"{title}{'' if title[-1] in '.?!:' else '.'} {text}" if text.strip() else title


def _judgements(reading: Reading, path: Path, queries: Texts, documents: Texts) -> dict[str, dict[str, float]]:
    """Query -> its relevant documents and their grades; judgements that cannot be used are told, and left out.

    Raises:
        DataError: none of them can be used.
    """
    table = reading.table(path)
    if len(table.column_names) < 4:
        raise DataError(
            f"{name_below(path, reading.layout.root)} needs three columns: query, document and score; found: "
            f"{', '.join(table.column_names[1:])}.",
            remedy="a first line 'query-id corpus-id score', with tabs between them",
        )
    names, *columns = (column.to_pylist() for column in table.columns[:4])
    known = (set(queries.ids), set(documents.ids))
    judged: dict[str, dict[str, float]] = {}
    faults: dict[str, list[str]] = {what: [] for what in _COLUMNS}
    for name, query, document, score in zip(names, *columns, strict=True):
        query, document, grade = str(query).strip(), str(document).strip(), _grade(score)
        for what, is_wrong, value in (
            ("query", query not in known[0], query),
            ("document", document not in known[1], document),
            ("score", grade is None, score),
        ):
            if is_wrong:
                faults[what].append(f"{name} ('{value}')")
                break
        else:
            grades = judged.setdefault(query, {})
            if grade is not None and grade > 0:
                grades[document] = max(grade, grades.get(document, 0.0))
    reading.findings += [_fault(what, found, table.num_rows) for what, found in faults.items() if found]
    if not any(judged.values()):
        wrong: list[LuthierError] = [DataError(found.problem, remedy=found.remedy) for found in reading.findings[-3:]]
        raise_together(wrong)
        raise DataError(f"{path} has no judgement with a score above 0.", remedy="1 in the third column: relevant")
    return judged


def _grade(score: object) -> float | None:
    try:
        return float(str(score))
    except ValueError:
        return None


def _fault(what: str, found: Sequence[str], number: int) -> Finding:
    problems = {
        "query": f"name a query that {QUERIES} does not have",
        "document": f"name a document that {CORPUS} does not have",
        "score": "have a score that is no number",
    }
    more = ", …" if len(found) > _SHOWN else ""
    return Finding(
        check="judgements",
        severity="warning",
        problem=f"{len(found):,} of {count_of(number, 'judgement')} {problems[what]}, and are left out: "
        f"{', '.join(found[:_SHOWN])}{more}.",
        remedy="compare the ids of these lines with those of the file" if what != "score" else "write 0, 1, 2, ... there",
        count=len(found),
    )


def _tell_idle(reading: Reading, queries: Texts, used: set[str]) -> None:
    idle = [name for name in queries.ids if name not in used]
    if idle:
        reading.findings.append(
            Finding(
                check="judgements",
                severity="info",
                problem=f"{count_of(len(idle), 'query', 'queries')} without any judgement: {', '.join(idle[:_SHOWN])}"
                f"{', …' if len(idle) > _SHOWN else ''}.",
                remedy="judge some documents for them, or leave them out",
                count=len(idle),
            )
        )
