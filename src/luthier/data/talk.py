"""Which columns hold conversations, or prompts with what is to follow them. By kind and by name; `infer` asks here first."""

from collections.abc import Sequence
from typing import Any

from luthier.core.decision import Decision
from luthier.data.conversations import TOOLS_COLUMNS
from luthier.data.schema import Column, Kind

# Names of a column with prompts and of one with what is to follow.
EXCHANGES = (
    ("prompt", "completion"),
    ("prompt", "response"),
    ("instruction", "output"),
    ("instruction", "response"),
)


def guess_conversation(columns: Sequence[Column], decided: Sequence[Decision[Any]]) -> list[Decision[str | None]]:
    """One column of conversations is both what is read and what is answered; a column of tools belongs to it."""
    roles = {decision.name: decision.value for decision in decided if decision.value is not None}
    named = {roles[role] for role in ("text", "target") if role in roles}
    held = [column.name for column in columns if column.kind is Kind.MESSAGES and named <= {column.name}]
    if not held or (not named and len(held) > 1 and "messages" not in held):
        return []
    chosen = "messages" if "messages" in held else held[0]
    reason = "its values are conversations: both what is read and what is to be answered"
    found: list[Decision[str | None]] = [
        Decision(name=role, value=chosen, reason=reason, override=f"--{role} COLUMN")
        for role in ("text", "target")
        if role not in roles
    ]
    tools = next((column.name for column in columns if column.name in TOOLS_COLUMNS and column.kind is not Kind.EMPTY), None)
    if tools is not None and tools not in roles.values():
        about = "a usual name for the tools that the assistant may call"
        found.append(Decision(name="tools", value=tools, reason=about, override=f"--ignore {tools}"))
    return found


def guess_exchange(columns: Sequence[Column]) -> list[Decision[str | None]]:
    """A column of prompts and one of what is to follow, by their names."""
    names = {column.name.lower(): column.name for column in columns}
    for prompt, answer in EXCHANGES:
        if prompt in names and answer in names:
            reason = f"'{names[prompt]}' and '{names[answer]}' are usual names of a prompt and of what is to follow it"
            return [
                Decision(name="text", value=names[prompt], reason=reason, override="--text COLUMN"),
                Decision(name="target", value=names[answer], reason=reason, override="--target COLUMN"),
            ]
    return []


def is_exchange(text: str, target: str) -> bool:
    """Whether two columns are named like a prompt and its completion.

    Example:
        >>> is_exchange("Prompt", "completion"), is_exchange("review", "stars")
        (True, False)
    """
    return (text.lower(), target.lower()) in EXCHANGES
