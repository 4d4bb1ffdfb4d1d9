"""Utterances with slots, the JSON of PolyAI's RESTAURANTS-8K and its kin.

A list of `{"userInput": {"text": ...}, "context": {"requestedSlots": [...]}, "labels": [{"slot": ..., "valueSpan":
{"startIndex": ..., "endIndex": ...}}]}`. Columns: `text`, `requested` (the slots that were asked for, `nothing` if none), and
`slots`, a JSON list of `{"slot": ..., "start": ..., "end": ..., "text": ...}`. A number that is left out is 0, as in Protocol
Buffers' JSON; an utterance without `labels` has no span.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from luthier.core.records import to_json
from luthier.data.load.json_documents import Entry, Form

NOTHING = "nothing"
ROLES = {"text": "text", "text_pair": "requested", "target": "slots"}


def is_utterances(document: Any) -> bool:
    """Whether some item is an utterance.

    Example:
        >>> is_utterances([{"userInput": {"text": "hello"}}]), is_utterances([{"text": "hello"}])
        (True, False)
    """
    return isinstance(document, list) and any(isinstance(item, dict) and "userInput" in item for item in document)


def read_utterances(document: Any) -> Iterator[Entry]:
    """One row for each utterance."""
    for item in document:
        try:
            yield Entry(cells=_cells(item))
        except (TypeError, KeyError, AttributeError, ValueError):
            yield Entry(cells={"text": _text_of(item)}, fault="bad_entry")


def _cells(item: Mapping[str, Any]) -> dict[str, str | None]:
    text = item["userInput"]["text"]
    if not isinstance(text, str):
        raise TypeError("the text is no text")
    requested = item.get("context", {}).get("requestedSlots", [])
    labels = [_label(label, text) for label in item.get("labels", [])]
    return {"text": text, "requested": ", ".join(map(str, requested)) or NOTHING, "slots": to_json(labels)}


def _label(label: Mapping[str, Any], text: str) -> dict[str, object]:
    places = label["valueSpan"]
    start, end = int(places.get("startIndex", 0)), int(places.get("endIndex", 0))
    return {"slot": str(label["slot"]), "start": start, "end": end, "text": text[start:end]}


def _text_of(item: Any) -> str | None:
    said = item.get("userInput") if isinstance(item, dict) else None
    text = said.get("text") if isinstance(said, dict) else None
    return text if isinstance(text, str) else None


def utterance_roles(entries: Sequence[Entry]) -> dict[str, str]:
    """The text is searched, and what was asked for is read with it, where anything ever was."""
    asked = any(entry.cells.get("requested", NOTHING) != NOTHING for entry in entries)
    return {role: column for role, column in ROLES.items() if asked or role != "text_pair"}


UTTERANCES = Form(name="utterances with slots", fits=is_utterances, entries=read_utterances, roles=utterance_roles)
