"""What generated texts are compared with: the right text of each example, or several of which each is right."""

from luthier.evaluation.measures.answer_text import ANSWERS
from luthier.evaluation.records import Predictions


def said_and_references(predictions: Predictions) -> list[tuple[str, list[str]]]:
    """Of each example what was said, and the texts that are accepted: the column `answers`, or else `target`; at least one."""
    said = [text or "" for text in predictions.table["prediction"].to_pylist()]
    if ANSWERS in predictions.table.column_names:
        accepted = [list(texts) or [""] for texts in predictions.table[ANSWERS].to_pylist()]
    else:
        accepted = [[text or ""] for text in predictions.table["target"].to_pylist()]
    return list(zip(said, accepted, strict=True))
