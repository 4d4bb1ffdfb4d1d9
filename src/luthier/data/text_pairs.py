"""Two columns of which one is to be written from the other: which they are, by name, and what their cells say.

A cell holds a text, or a JSON list of texts: of a source these are its sentences in their order, of a target several texts of
which each is right.
"""

from collections.abc import Sequence
from typing import Any

from luthier.core.decision import Decision
from luthier.data.lists import parse_list
from luthier.data.schema import Column, Kind

# Names of a column with sources and of one with what is to be written from them.
WRITTEN_FROM = (
    ("source", "target"), ("src", "tgt"), ("src", "trg"), ("source", "translation"), ("original", "translation"),
    ("text", "translation"), ("document", "summary"), ("article", "summary"), ("article", "highlights"), ("text", "summary"),
    ("dialogue", "summary"), ("abstract", "title"), ("input", "output"), ("long", "short"), ("noisy", "clean"),
)  # fmt: skip
LANGUAGES = frozenset((
    "ar", "bg", "bn", "ca", "cs", "cy", "da", "de", "el", "en", "es", "et", "eu", "fa", "fi", "fr", "ga", "gl", "gu", "he",
    "hi", "hr", "hu", "hy", "id", "is", "it", "ja", "ka", "kk", "ko", "lt", "lv", "mk", "ml", "mn", "mr", "ms", "mt", "nb",
    "nl", "nn", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sq", "sr", "sv", "sw", "ta", "te", "th", "tl", "tr", "uk", "ur",
    "vi", "xh", "yo", "zh", "zu", "ara", "bul", "cat", "ces", "cym", "dan", "deu", "ell", "eng", "est", "eus", "fas", "fin",
    "fra", "gle", "glg", "heb", "hin", "hrv", "hun", "hye", "ind", "isl", "ita", "jpn", "kat", "kor", "lit", "lav", "mkd",
    "nld", "nob", "nno", "pol", "por", "ron", "rus", "slk", "slv", "spa", "sqi", "srp", "swa", "swe", "tam", "tel", "tha",
    "tgl", "tur", "ukr", "urd", "vie", "xho", "yor", "zho", "zul", "english", "german", "french", "spanish", "italian",
    "portuguese", "dutch", "russian", "chinese", "japanese", "korean", "arabic", "turkish", "polish", "swedish",
))  # fmt: skip
TEXTS = (Kind.TEXT, Kind.TEXTS)
JUDGED = frozenset({"label", "labels", "class", "score", "rating", "similarity"})  # beside these two texts are compared


def guess_written_pair(columns: Sequence[Column]) -> list[Decision[str | None]]:
    """Two columns of texts whose names say that one is written from the other, or that they are in two languages."""
    if any(column.name.lower() in JUDGED for column in columns):
        return []
    texts = [column for column in columns if column.kind in TEXTS]
    names = {column.name.lower(): column.name for column in texts}
    for source, target in WRITTEN_FROM:
        if source in names and target in names:
            reason = f"'{names[source]}' and '{names[target]}' are usual names of a text and of what is written from it"
            return _pair(names[source], names[target], reason)
    spoken = [column.name for column in texts if column.name.lower() in LANGUAGES]
    if len(spoken) == 2 and len(texts) == 2:
        return _pair(spoken[0], spoken[1], f"'{spoken[0]}' and '{spoken[1]}' are names of languages")
    return []


def _pair(source: str, target: str, reason: str) -> list[Decision[str | None]]:
    other_way = f"--text {target} --target {source}"
    return [
        Decision(name="text", value=source, reason=reason, override=other_way),
        Decision(name="target", value=target, reason=reason, override=other_way),
    ]


def source_of(cell: Any) -> str:
    """The text of a source, its sentences joined.

    Example:
        >>> source_of('["One.", "Two."]'), source_of(["One.", "Two."]), source_of("[sic] One."), source_of(None)
        ('One. Two.', 'One. Two.', '[sic] One.', '')
    """
    return " ".join(_texts(cell))


def accepted_of(cell: Any) -> list[str]:
    """The texts of a target that are right, the first of which is learnt; none where the cell is missing.

    Example:
        >>> accepted_of('["Hola.", " ", "Buenas."]'), accepted_of("Hola."), accepted_of("[]"), accepted_of(None)
        (['Hola.', 'Buenas.'], ['Hola.'], [], [])
    """
    return _texts(cell)


def _texts(cell: Any) -> list[str]:
    if cell is None:
        return []
    if not isinstance(cell, str):
        return [str(item).strip() for item in cell if str(item).strip()]
    text = cell.strip()
    found = parse_list(text) if text.startswith("[") else None
    return found if found is not None else [text] if text else []
