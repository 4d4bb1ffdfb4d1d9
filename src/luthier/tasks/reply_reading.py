"""How rows are read whose answer is a text to be continued: as conversations, or as prompts with their completions."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from luthier.core.decision import Decision
from luthier.data.dataset import Dataset
from luthier.data.findings import Finding
from luthier.data.schema import Schema
from luthier.errors import ModelError
from luthier.models.chat_template import PLAIN_TEMPLATE, ChatTemplate, Rendered
from luthier.models.text_processor import TextProcessor

if TYPE_CHECKING:
    import pyarrow as pa

PROBE = "a"  # the content of a message whose surroundings are looked at


class ReplyReading(Protocol):
    """One way to read rows.

    Attributes:
        roles: Of the columns it needs, `target` last.
        optional_roles: Of columns that it reads where they are there.
        noun: What a row is called.
        example: A row as one writes it in Python.
    """

    roles: Sequence[str]
    optional_roles: Sequence[str]
    noun: str
    example: str

    def match(self, schema: Schema) -> Decision[bool]:
        """Whether columns can be read so, and why."""

    def check(self, dataset: Dataset) -> list[Finding]:
        """What is wrong with rows."""

    def fit_values(self, table: "pa.Table", schema: Schema) -> tuple[dict[str, Any], tuple[Decision[Any], ...]]:
        """What must be known of train: values of the state, and what was decided."""

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> Sequence[Any]:
        """Each row; `answer` and `spelt` take what this gives, or what a user asks with in Python."""

    def answer(self, row: Any) -> str:
        """The right answer of a row; empty where there is none."""

    def prompt(self, row: Any) -> str:
        """What is asked, as a text: to find like rows by, and for people."""

    def spelt(self, row: Any, processor: TextProcessor, values: Mapping[str, Any]) -> Rendered:
        """A row as the one text that the network reads, and which parts of it are learnt."""


def template_of(processor: TextProcessor) -> ChatTemplate:
    """The model's chat template, or the plain one.

    Raises:
        ModelError: the plain one needs a token that ends texts, and the tokenizer names none.
    """
    tokens = processor.special_tokens()
    if processor.chat_template is None:
        end_of_text(processor)
    return ChatTemplate(source=processor.chat_template or PLAIN_TEMPLATE, tokens=tokens)


def answer_ends(processor: TextProcessor) -> list[int]:
    """The special tokens that end an answer: the one that ends texts, and the first behind an answer in the chat template."""
    ends = [processor.special_ids["eos"]] if "eos" in processor.special_ids else []
    if processor.chat_template is None:
        return ends
    asked = [{"role": "user", "content": PROBE}, {"role": "assistant", "content": PROBE}]
    made = template_of(processor).rendered(asked, learnt=(1,))
    for start, end in made.learnt:
        behind = processor.encode_marked([made.text[start:end].partition(PROBE)[2]]).ids.tolist()
        ends += [number for number in behind if not processor.decode([number])][:1]
    return sorted(set(ends))


def end_of_text(processor: TextProcessor) -> str:
    """The token that ends a text.

    Raises:
        ModelError: the tokenizer names none: a model could not learn where its answers end.
    """
    token = processor.special_tokens().get("eos_token", "")
    if not token:
        raise ModelError(
            "The model's tokenizer names no token that ends a text (eos_token): it could not learn where answers end.",
            remedy='write {"eos_token": "<|endoftext|>"} (its own token) into the model\'s tokenizer_config.json',
        )
    return token
