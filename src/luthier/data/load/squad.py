"""SQuAD's JSON, versions 1.1 and 2: articles of paragraphs of questions become rows.

Columns: `id`, `title` (of the article), `question`, `context` (the paragraph), and `answers`, a JSON list of
`{"text": ..., "start": ...}`; an empty list where the question has no answer (`is_impossible`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from luthier.core.records import to_json
from luthier.data.load.json_documents import Entry, Form

FEWEST_ARTICLES = 3  # below it paragraphs, not articles, are kept together: three parts need three groups


def is_squad(document: Any) -> bool:
    """Whether some article has paragraphs.

    Example:
        >>> is_squad({"data": [{"paragraphs": []}]}), is_squad({"data": [{"text": "a"}]})
        (True, False)
    """
    articles = document.get("data") if isinstance(document, dict) else None
    return isinstance(articles, list) and any(isinstance(item, dict) and "paragraphs" in item for item in articles)


def read_questions(document: Any) -> Iterator[Entry]:
    """One row for each question; a paragraph without a list of questions is one bad row."""
    for article in document["data"]:
        paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
        if not isinstance(paragraphs, list):
            yield Entry(cells={}, fault="bad_entry")
            continue
        title = _text(article.get("title"))
        for paragraph in paragraphs:
            questions = paragraph.get("qas") if isinstance(paragraph, dict) else None
            if not isinstance(questions, list):
                yield Entry(cells={"title": title}, fault="bad_entry")
                continue
            for question in questions:
                yield _row(title, _text(paragraph.get("context")), question)


def _row(title: str | None, context: str | None, question: Any) -> Entry:
    if not isinstance(question, dict):
        return Entry(cells={"title": title, "context": context}, fault="bad_entry")
    asked = _text(question.get("question"))
    answers, is_sound = _answers(question)
    cells = {
        "id": _text(question.get("id")),
        "title": title,
        "question": asked,
        "context": context,
        "answers": answers,
    }
    return Entry(cells=cells, fault="" if is_sound and asked is not None and context is not None else "bad_entry")


def _answers(question: Mapping[str, Any]) -> tuple[str | None, bool]:
    """The cell of a question, and whether what the file says has the right form."""
    if question.get("is_impossible") is True:
        return "[]", True
    given = question.get("answers")
    if given is None:
        return None, True
    if not isinstance(given, list) or not all(_is_answer(item) for item in given):
        return None, False
    return to_json([{"text": item["text"], "start": item.get("answer_start")} for item in given]), True


def _is_answer(item: Any) -> bool:
    if not isinstance(item, dict) or not isinstance(item.get("text"), str):
        return False
    start = item.get("answer_start")
    return start is None or (isinstance(start, int) and not isinstance(start, bool))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def squad_roles(entries: Sequence[Entry]) -> dict[str, str]:
    """Questions are read with their context; what belongs to one article (or paragraph) stays together."""
    titles = {entry.cells.get("title") for entry in entries} - {None, ""}
    group = "title" if len(titles) >= FEWEST_ARTICLES else "context"
    return {"text": "question", "text_pair": "context", "target": "answers", "group": group}


SQUAD = Form(name="SQuAD", fits=is_squad, entries=read_questions, roles=squad_roles)
