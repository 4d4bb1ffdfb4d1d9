"""Texts that follow a prompt: answers to instructions or questions. Columns: the prompt and its completion.

With a model that has a chat template the prompt is what a user says, and the completion what the assistant answers. With
any other the completion follows the prompt as it stands, and the token that ends texts follows both; where neither the
prompt ends nor the completion begins with white space, a line break stands between. Only the completion, with what ends it,
is learnt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.core.decision import Decision
from luthier.data.dataset import Dataset
from luthier.data.findings import Finding
from luthier.data.schema import Kind, Schema
from luthier.data.talk import is_exchange
from luthier.models.chat_template import Rendered
from luthier.models.text_processor import TextProcessor
from luthier.tasks.protocol import FIT
from luthier.tasks.reply_reading import end_of_text, template_of
from luthier.tasks.reply_task import ReplyTask

if TYPE_CHECKING:
    import pyarrow as pa

SEPARATOR = "separator"
NAMED_SO, ANY_TEXTS = 2.0, 0.05  # how well columns fit that are named so, and any two columns of texts


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A prompt, and what is to follow it; None where that is not known."""

    prompt: str
    completion: str | None = None


class Exchanges:
    """Rows that are prompts with their completions."""

    roles: Sequence[str] = ("text", "target")
    optional_roles: Sequence[str] = ()
    noun = "prompt"
    example = '"Translate into Spanish: Good morning."'

    def match(self, schema: Schema) -> Decision[bool]:
        """Two columns named like a prompt and its completion; others where the task is asked for by name."""
        missing = [role for role in self.roles if role not in schema.roles]
        if missing:
            return Decision(name="task", value=False, reason=f"no column plays the role {' or '.join(missing)}")
        text, target = (schema.roles[role] for role in self.roles)
        if text == target:
            return Decision(name="task", value=False, reason=f"'{target}' is both text and target")
        if schema.kind_of(text) in (Kind.LIST, Kind.TEXTS, Kind.MESSAGES, Kind.EMPTY):
            return Decision(name="task", value=False, reason=f"'{text}' holds no text ({schema.kind_of(text)})")
        named = is_exchange(text, target)
        reason = f"'{text}' holds prompts and '{target}' what is to follow them"
        return Decision(
            name="task", value=True, reason=reason, evidence={FIT: NAMED_SO if named else ANY_TEXTS}, override="--task"
        )

    def check(self, dataset: Dataset) -> list[Finding]:
        """Nothing beyond the checks of every table: those for missing texts are what counts here."""
        return []

    def fit_values(self, table: "pa.Table", schema: Schema) -> tuple[dict[str, Any], tuple[Decision[Any], ...]]:
        """What stands between prompt and completion where no template says it."""
        rows = self.rows(table, schema.roles)
        touching = [row for row in rows if row.completion and not (row.prompt[-1:].isspace() or row.completion[:1].isspace())]
        separator = "\n" if touching else ""
        reason = "prompts end, or completions begin, with white space of their own"
        if touching:
            reason = f"{len(touching):,} of {len(rows):,} prompts would run into what follows; not used with a chat template"
        return {SEPARATOR: separator}, (Decision(name=SEPARATOR, value=repr(separator), reason=reason),)

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> list[Exchange]:
        """The prompts, with their completions where there is a column of them."""
        prompts = [_text(cell) for cell in table.column(roles["text"]).to_pylist()]
        if "target" not in roles or roles["target"] not in table.column_names:
            return [Exchange(prompt=prompt) for prompt in prompts]
        answers = table.column(roles["target"]).to_pylist()
        return [
            Exchange(prompt=prompt, completion=None if answer is None or not str(answer).strip() else str(answer))
            for prompt, answer in zip(prompts, answers, strict=True)
        ]

    def answer(self, row: Any) -> str:
        """The completion."""
        return as_exchange(row).completion or ""

    def prompt(self, row: Any) -> str:
        """The prompt."""
        return as_exchange(row).prompt

    def spelt(self, row: Any, processor: TextProcessor, values: Mapping[str, Any]) -> Rendered:
        """By the model's chat template, or one after the other."""
        exchange = as_exchange(row)
        if processor.chat_template is not None:
            asked = [{"role": "user", "content": exchange.prompt}]
            if exchange.completion is None:
                return template_of(processor).rendered(asked, learnt=())
            told = [*asked, {"role": "assistant", "content": exchange.completion}]
            return template_of(processor).rendered(told, learnt=(1,))
        end = end_of_text(processor)
        before = processor.special_tokens()["opening"] + exchange.prompt + values.get(SEPARATOR, "")
        if exchange.completion is None:
            return Rendered(text=before, learnt=(), opens=len(before))
        whole = before + exchange.completion + end
        return Rendered(text=whole, learnt=((len(before), len(whole)),), opens=len(before))


def as_exchange(row: Any) -> Exchange:
    """A row as `predict` takes it: a prompt, or an exchange already."""
    return row if isinstance(row, Exchange) else Exchange(prompt=str(row))


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell)


TASK = ReplyTask(name="instruction", reading=Exchanges())
