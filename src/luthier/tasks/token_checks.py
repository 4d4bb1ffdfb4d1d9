"""What can be wrong with words and their tags, or with spans in a text: rows are named, and left out if they cannot be used.

A row that cannot be read is left out of every part; of a given test part it is not scored, and the finding says so.
"""

from collections.abc import Iterator

import numpy as np

from luthier.data.dataset import Dataset
from luthier.data.findings import Finding
from luthier.data.keys import missing_cells
from luthier.data.schema import Kind
from luthier.data.words import Span, Words, cuts_a_word, is_entity_tag, read_list, read_spans, read_words
from luthier.tasks.fault_findings import Fault, fault_findings

NAME = "tags"


FAULTS = {
    "no_words": Fault(what="no words", remedy="remove them, or fill them in"),
    "no_list": Fault(what="no JSON list of tags", remedy='write one tag for each word: ["O", "B-Drug"]'),
    "lengths": Fault(what="more or fewer tags than words", remedy="give every word one tag"),
    "unknown_tag": Fault(
        what="tags that are neither O nor a letter of B, I, E, S, L, U with a type", remedy="write tags as B-TYPE, I-TYPE and O"
    ),
    "no_spans": Fault(
        what="no list of spans", remedy='write spans as {"start": 0, "end": 7, "label": "Drug"} or [0, 7, "Drug"]'
    ),
    "outside": Fault(
        what="spans that lie outside of their text, or are empty", remedy="count characters from 0, end not included"
    ),
    "overlapping": Fault(what="spans that overlap: a word has one tag", remedy="keep one of the spans that overlap"),
    "no_word": Fault(what="spans that touch no word", remedy="move the span to a word, or remove it"),
    "cut_word": Fault(
        what="spans that begin or end inside a word; the whole word is taken",
        remedy="nothing to do, if words as a whole are meant; the answers will be whole words",
        harmless=True,
    ),
}


def check_tags(dataset: Dataset) -> list[Finding]:
    """Findings about the rows that have an answer; one for each kind of fault and part."""
    target = dataset.schema.roles["target"]
    kind = dataset.schema.kind_of(target)
    labelled = np.flatnonzero(~missing_cells(dataset.column("target")))
    found: dict[str, dict[int, str]] = {}
    texts = dataset.column("text").take(labelled).to_pylist()
    cells = dataset.column("target").take(labelled).to_pylist()
    for row, text, cell in zip(labelled.tolist(), texts, cells, strict=True):
        words = read_words("" if text is None else str(text))
        faults = _span_faults(words, str(cell)) if kind is Kind.SPANS else _tag_faults(words, str(cell), kind)
        for name, example in faults:
            found.setdefault(name, {}).setdefault(row, example)
    return fault_findings(dataset, NAME, FAULTS, found)


def _tag_faults(words: Words, cell: str, kind: Kind) -> Iterator[tuple[str, str]]:
    tags = read_list(cell)
    if not words.words:
        yield "no_words", ""
    elif tags is None:
        yield "no_list", cell
    elif len(tags) != len(words.words):
        yield "lengths", f"{len(words.words)} words, {len(tags)} tags"
    elif kind is Kind.TAGS:
        odd = next((tag for tag in tags if not is_entity_tag(tag)), None)
        if odd is not None:
            yield "unknown_tag", f"'{odd}'"


def _span_faults(words: Words, cell: str) -> Iterator[tuple[str, str]]:
    try:
        spans = read_spans(cell)
    except ValueError as error:
        yield "no_spans", str(error)
        return
    if not words.words:
        yield "no_words", ""
        return
    for before, span in zip([None, *spans], spans, strict=False):
        yield from _one_span(words, span, before)


def _one_span(words: Words, span: Span, before: Span | None) -> Iterator[tuple[str, str]]:
    size = len(words.text)
    if not 0 <= span.start < span.end <= size:
        yield "outside", f"{span.label} {span.start} to {span.end} of {size} characters"
    elif before is not None and span.start < before.end:
        yield "overlapping", f"{before.label} {before.start} to {before.end} and {span.label} {span.start} to {span.end}"
    elif not words.text[span.start : span.end].strip() or not any(
        start < span.end and start + len(word) > span.start for start, word in zip(words.starts, words.words, strict=True)
    ):
        yield "no_word", f"{span.label} {span.start} to {span.end}"
    elif cuts_a_word(words, span):
        yield "cut_word", f"'{words.text[span.start : span.end]}'"
