"""The files of a retrieval benchmark, as BEIR lays them out: documents, queries, and which belong together.

Source: Thakur et al. 2021, "BEIR: A heterogeneous benchmark for zero-shot evaluation of information retrieval models".
"""

from pathlib import Path

CORPUS, QUERIES, JUDGEMENTS = "corpus.jsonl", "queries.jsonl", "qrels"


def judgement_files(folder: Path) -> list[Path]:
    """The tables of judgements, by name."""
    inner = folder / JUDGEMENTS
    return sorted(inner.glob("*.tsv")) if inner.is_dir() else []


def is_retrieval(folder: Path) -> bool:
    """Whether a folder holds documents, queries and judgements."""
    return (folder / CORPUS).is_file() and (folder / QUERIES).is_file() and bool(judgement_files(folder))
