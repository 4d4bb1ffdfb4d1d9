"""Answers in conversations. Columns: conversations in OpenAI's form, as its fine-tuning files have them; maybe tools.

What is learnt are the assistant's messages, those of weight 0 left out; everything else is read. A conversation is written
as the model's own chat template does it. What is asked in the end is the last message that is learnt: the model writes it
anew, given what stands before it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from luthier.core.decision import Decision
from luthier.data.conversations import (
    TOOLS_COLUMNS,
    Conversation,
    as_conversation,
    read_conversation,
    shown_messages,
    spoken_by,
)
from luthier.data.dataset import Dataset
from luthier.data.findings import Finding
from luthier.data.schema import Kind, Schema
from luthier.models.chat_template import Rendered
from luthier.models.text_processor import TextProcessor
from luthier.tasks.conversation_checks import check_conversations
from luthier.tasks.reply_reading import template_of
from luthier.tasks.reply_task import ReplyTask

if TYPE_CHECKING:
    import pyarrow as pa


class Conversations:
    """Rows that are conversations."""

    roles: Sequence[str] = ("text", "target")
    optional_roles: Sequence[str] = ("tools",)
    noun = "conversation"
    example = '[{"role": "user", "content": "My parcel has not come."}]'

    def match(self, schema: Schema) -> Decision[bool]:
        """One column that holds conversations is both what is read and what is answered."""
        missing = [role for role in self.roles if role not in schema.roles]
        if missing:
            return Decision(name="task", value=False, reason=f"no column plays the role {' or '.join(missing)}")
        text, target = (schema.roles[role] for role in self.roles)
        if text != target or schema.kind_of(text) is not Kind.MESSAGES:
            return Decision(name="task", value=False, reason=f"'{target}' does not hold conversations, with roles and contents")
        return Decision(name="task", value=True, reason=f"'{text}' holds conversations", override="--task")

    def check(self, dataset: Dataset) -> list[Finding]:
        """Conversations that nothing can be learnt from."""
        return check_conversations(dataset, self.rows(dataset.table, dataset.schema.roles))

    def fit_values(self, table: "pa.Table", schema: Schema) -> tuple[dict[str, Any], tuple[Decision[Any], ...]]:
        """Nothing: the template knows all."""
        return {}, ()

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> list[Conversation]:
        """The conversations, with the tools that stand beside them.

        Where there is no column with answers, as when the model is asked, a cell may also hold a user's words alone, and what
        is wanted is what comes next; only where an answer stands last already, that one is written anew.
        """
        cells = table.column(roles["text"]).to_pylist()
        name = roles.get("tools") or next((column for column in TOOLS_COLUMNS if column in table.column_names), None)
        tools = [None] * len(cells) if name is None else table.column(name).to_pylist()
        found = [read_conversation(cell, tool) for cell, tool in zip(cells, tools, strict=True)]
        return found if "target" in roles else [_asked(*pair) for pair in zip(found, cells, strict=True)]

    def answer(self, row: Any) -> str:
        """The words of the last message that is learnt."""
        return as_row(row).answer

    def prompt(self, row: Any) -> str:
        """What the user said last before that."""
        conversation = as_row(row)
        said = [spoken_by(message) for message in conversation.context if message.get("role") == "user"]
        return said[-1] if said else shown_messages(conversation)

    def spelt(self, row: Any, processor: TextProcessor, values: Mapping[str, Any]) -> Rendered:
        """By the model's chat template."""
        conversation, template = as_row(row), template_of(processor)
        return template.rendered(conversation.messages, tools=conversation.tools, learnt=conversation.learnt)


def _asked(conversation: Conversation, cell: str | None) -> Conversation:
    """A conversation that is to go on."""
    if "no_list" in conversation.faults:
        return as_row(cell or "")
    is_answered = bool(conversation.learnt) and conversation.learnt[-1] == len(conversation.messages) - 1
    return conversation if is_answered else replace(conversation, learnt=())


def as_row(row: Any) -> Conversation:
    """A row as `predict` takes it: a text, a list of messages, or a conversation already.

    Example:
        >>> as_row("Hi").messages
        ({'role': 'user', 'content': 'Hi'},)
    """
    if isinstance(row, Conversation):
        return row
    messages = [{"role": "user", "content": row}] if isinstance(row, str) else list(row)
    made = as_conversation(messages)
    # Whoever asks with a list of messages wants to know what comes next, even where an answer of the assistant stands last.
    return Conversation(messages=made.messages, tools=made.tools)


TASK = ReplyTask(name="chat", reading=Conversations())
