"""Conversations in OpenAI's form: what the cells of a table say, and what is wrong with them. No torch, no templates.

A cell is a JSON list of messages `{"role": ..., "content": ...}`. Roles are system (or developer), user, assistant, tool and
function. A message of the assistant may have a `weight`: with 0 it is read and not learnt. Instead of words it may hold
`tool_calls` (or the older `function_call`); what a tool says to them comes with the role tool. `content` may be a list of
parts, if all are text. Beside them a column `tools` (or the older `functions`) may hold the tools that can be called.

Source: OpenAI's guide to supervised fine-tuning (the format of its training files).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
TOOLS_COLUMNS = ("tools", "functions")
Message = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """Messages as chat templates read them.

    Attributes:
        messages: With `role` and `content` at least; arguments of tool calls are objects, weights are taken out.
        tools: Schemas of the tools that could be called.
        learnt: Places of the messages that are learnt: the assistant's, without those of weight 0.
        faults: Names of what is wrong with it (`FAULTS` of the task), with an example of each.
    """

    messages: tuple[Message, ...] = ()
    tools: tuple[Mapping[str, Any], ...] = ()
    learnt: tuple[int, ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict)

    @property
    def context(self) -> tuple[Message, ...]:
        """What stands before the last message that is learnt; all of it where none is."""
        return self.messages[: self.learnt[-1]] if self.learnt else self.messages

    @property
    def answer(self) -> str:
        """The words of the last message that is learnt; of tool calls their JSON."""
        return spoken_by(self.messages[self.learnt[-1]]) if self.learnt else ""


def read_conversation(cell: str | None, tools: str | None = None) -> Conversation:
    """The conversation of a cell; whatever is wrong is among its `faults`.

    Example:
        >>> said = read_conversation('[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]')
        >>> said.learnt, said.answer, dict(said.faults)
        ((1,), 'Hello', {})
        >>> dict(read_conversation('[{"role": "user", "content": "Hi"}]').faults)
        {'no_answer': ''}
    """
    found = _parsed(cell)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        return Conversation(faults={"no_list": (cell or "")[:60]})
    return as_conversation(found, _tools_of(tools), faults={} if _are_tools(tools) else {"bad_tools": (tools or "")[:60]})


def as_conversation(
    messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = (), *, faults: Mapping[str, str] | None = None
) -> Conversation:
    """A conversation from messages that have been parsed."""
    told: dict[str, str] = dict(faults or {})
    for message in messages:
        if fault := _fault_of(message):
            told.setdefault(*fault)
    assistant = [place for place, message in enumerate(messages) if message.get("role") == "assistant"]
    learnt = tuple(place for place in assistant if messages[place].get("weight", 1) != 0)
    if not assistant:
        told["no_answer"] = ""
    elif not learnt:
        told["no_weight"] = ""
    elif assistant[-1] != len(messages) - 1:
        told["goes_on"] = f"'{messages[-1].get('role')}'"
    return Conversation(
        messages=tuple(_as_read(message) for message in messages), tools=tuple(tools), learnt=learnt, faults=told
    )


def looks_like_messages(value: str) -> bool:
    """Whether a cell holds a list of objects with roles.

    Example:
        >>> looks_like_messages('[{"role": "user", "content": "Hi"}]'), looks_like_messages('["user"]')
        (True, False)
    """
    if '"role"' not in value or not value.lstrip().startswith("["):
        return False
    found = _parsed(value)
    return isinstance(found, list) and bool(found) and all(isinstance(item, dict) and "role" in item for item in found)


def compared_words(cell: str | None) -> str:
    """What is compared of a conversation: the user's words, which tell whether two are about the same; the cell if it is none.

    Answers are what is to be found out, and the words of the system are often the same in all conversations.

    Example:
        >>> compared_words('[{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]')
        'Hi'
    """
    found = _parsed(cell)
    if not isinstance(found, list):
        return cell or ""
    said = [text_of(item.get("content")) for item in found if isinstance(item, dict) and item.get("role") == "user"]
    return "\n".join(text for text in said if text) or (cell or "")


def text_of(content: Any) -> str | None:
    """The text of a message's content; None where it is something else than text."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, list) and all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in content):
        return "".join(part["text"] for part in content)
    return None


def spoken_by(message: Message) -> str:
    """The words of a message; of one without words its tool calls, as JSON."""
    words = text_of(message.get("content")) or ""
    calls = [call.get("function", call) for call in message.get("tool_calls") or ()]
    return words or (json.dumps(calls, ensure_ascii=False) if calls else "")


def shown_messages(conversation: Conversation) -> str:
    """The messages before the answer, for people: who says what, line by line."""
    return "\n".join(f"{message.get('role')}: {spoken_by(message)}" for message in conversation.context)


def _parsed(cell: str | None) -> Any:
    try:
        return json.loads(cell or "", parse_constant=lambda constant: None)
    except (ValueError, RecursionError):
        return None


def _fault_of(message: Message) -> tuple[str, str] | None:
    """The name of what is wrong with one message, and an example."""
    role, content = message.get("role"), message.get("content")
    if role not in ROLES:
        return "unknown_role", f"{role!r}"
    if text_of(content) is None:
        kinds = [part.get("type") for part in content if isinstance(part, dict)] if isinstance(content, list) else []
        return "no_text", f"{next((kind for kind in kinds if kind != 'text'), type(content).__name__)!r}"
    weight = message.get("weight")
    if weight is not None and (role != "assistant" or isinstance(weight, bool) or weight not in (0, 1)):
        return "bad_weight", f"{weight!r}" if role == "assistant" else f"{weight!r} of '{role}'"
    calls = message.get("tool_calls")
    if calls is not None and not (isinstance(calls, list) and all(map(_is_call, calls))):
        return "bad_call", f"{calls!r}"[:60]
    if not text_of(content) and not calls and not message.get("function_call") and role != "tool":
        return "empty_content", f"'{role}'"
    return None


def _is_call(call: Any) -> bool:
    return isinstance(call, dict) and isinstance(call.get("function"), dict) and isinstance(call["function"].get("name"), str)


def _as_read(message: Message) -> Message:
    """A message as templates know it: no weight, plain text, one way to write calls."""
    read = {key: value for key, value in message.items() if key not in ("weight", "function_call") and value is not None}
    read["role"] = "system" if message.get("role") == "developer" else message.get("role")
    read["content"] = text_of(message.get("content")) or ""
    calls = message.get("tool_calls") or (
        [{"type": "function", "function": old}] if (old := message.get("function_call")) else []
    )
    if calls:
        read["tool_calls"] = [_with_arguments(call) for call in calls if _is_call(call)]
    return read


def _with_arguments(call: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments as an object: OpenAI writes them as JSON in a text, which templates would quote once more."""
    function = dict(call["function"])
    arguments = function.get("arguments")
    parsed = _parsed(arguments) if isinstance(arguments, str) else arguments
    function["arguments"] = arguments if parsed is None else parsed
    return {**call, "function": function}


def _are_tools(cell: str | None) -> bool:
    found = _parsed(cell) if cell else []
    return isinstance(found, list) and all(isinstance(item, dict) for item in found)


def _tools_of(cell: str | None) -> list[Mapping[str, Any]]:
    """Schemas of tools; OpenAI's older functions get the wrapping that tools have."""
    if not cell or not _are_tools(cell):
        return []
    return [item if "function" in item else {"type": "function", "function": item} for item in _parsed(cell)]
